/** @file Pre-tokenizers of tokenizer.json: where a text is cut before the model sees it. As the Rust library's. */
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { parseForeign } from "../files.ts";
import { toByteLetters } from "./bytes.ts";
import { compilePattern, escapePattern, findSpans, invertSpans, type SplitBehavior, splitSpans } from "./pattern.ts";
import { behaviorSchema, charSchema, patternSchema, refuseType, stepsSchema, typeOf } from "./schema.ts";

/** Pieces of one section of a text, between two added tokens. */
export interface Pieces {
  readonly texts: readonly string[];
  /** True when the first piece begins where the whole text does. */
  readonly isAtStart: boolean;
}

/** Cuts pieces into smaller ones. */
export type PreTokenizer = (pieces: Pieces) => Pieces;

const wordPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu; // GPT-2
const rustWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const asciiPunctuation = "!-\\/:-@\\[-`{-~";

const known: Readonly<Record<string, (json: unknown, where: string) => PreTokenizer>> = {
  Sequence: (json, where) => {
    const { pretokenizers } = parseForeign(z.looseObject({ pretokenizers: stepsSchema }), json, where);
    const steps = pretokenizers.map((step, index) => createPreTokenizer(step, `${where}.pretokenizers.${index}`));
    return (pieces) => steps.reduce((done, step) => step(done), pieces);
  },
  ByteLevel: (json, where) => createByteLevel(json, where),
  Metaspace: (json, where) => createMetaspace(json, where),
  Split: (json, where) => {
    const schema = z.looseObject({ pattern: patternSchema, behavior: behaviorSchema, invert: z.boolean() });
    const { pattern, behavior, invert } = parseForeign(schema, json, where);
    return splitter(compilePattern(pattern, where), behavior, invert);
  },
  Digits: (json, where) => {
    const { individual_digits: individual } = parseForeign(
      z.looseObject({ individual_digits: z.boolean() }),
      json,
      where,
    );
    return splitter(/\p{N}/gu, individual ? "Isolated" : "Contiguous");
  },
  Punctuation: (json, where) => {
    const { behavior } = parseForeign(z.looseObject({ behavior: behaviorSchema.default("Isolated") }), json, where);
    return splitter(new RegExp(`[\\p{P}${asciiPunctuation}]`, "gu"), behavior);
  },
  Whitespace: () => splitter(new RegExp(`[${rustWord}]+|[^${rustWord}\\p{White_Space}]+`, "gu"), "Removed", true),
  WhitespaceSplit: () => splitter(/\p{White_Space}/gu, "Removed"),
  BertPreTokenizer: () => {
    const words = splitter(/\p{White_Space}/gu, "Removed");
    const signs = splitter(new RegExp(`[\\p{P}${asciiPunctuation}]`, "gu"), "Isolated");
    return (pieces) => signs(words(pieces));
  },
  CharDelimiterSplit: (json, where) => createDelimiter(json, where),
  Delimiter: (json, where) => createDelimiter(json, where),
  FixedLength: (json, where) => {
    const { length } = parseForeign(z.looseObject({ length: z.int().min(1).default(5) }), json, where);
    return ({ texts, isAtStart }) => ({ texts: texts.flatMap((text) => cutEvery(text, length)), isAtStart });
  },
};

/** The pre-tokenizer that `json` describes; `null` leaves a text whole. */
export function createPreTokenizer(json: unknown, where: string): PreTokenizer {
  if (json === null || json === undefined) return (pieces) => pieces;
  const type = typeOf(json, where);
  const create = Object.hasOwn(known, type) ? known[type] : undefined;
  return create === undefined ? refuseType(where, type, Object.keys(known)) : create(json, where);
}

function splitter(pattern: RegExp, behavior: SplitBehavior, isInverted = false): PreTokenizer {
  return ({ texts, isAtStart }) => {
    const cut: string[] = [];
    let keepsStart = isAtStart;
    for (const [index, text] of texts.entries()) {
      const spans = findSpans(text, pattern);
      const ranges = splitSpans(isInverted ? invertSpans(spans) : spans, behavior);
      if (index === 0 && ranges[0]?.start !== 0) keepsStart = false;
      for (const { start, end } of ranges) if (end > start) cut.push(text.slice(start, end));
    }
    return { texts: cut, isAtStart: keepsStart };
  };
}

function createByteLevel(json: unknown, where: string): PreTokenizer {
  const schema = z.looseObject({
    add_prefix_space: z.boolean(),
    trim_offsets: z.boolean(), // of no consequence for ids
    use_regex: z.boolean().default(true),
  });
  const { add_prefix_space: addsSpace, use_regex: usesRegex } = parseForeign(schema, json, where);
  return ({ texts, isAtStart }) => {
    const cut: string[] = [];
    for (const piece of texts) {
      const text = addsSpace && !piece.startsWith(" ") ? ` ${piece}` : piece;
      // the pattern matches every character, so its matches are all there is
      for (const word of usesRegex ? (text.match(wordPattern) ?? []) : [text]) cut.push(toByteLetters(word));
    }
    return { texts: cut, isAtStart };
  };
}

const metaspaceSchema = z.looseObject({
  replacement: charSchema,
  add_prefix_space: z.boolean().nullish(),
  prepend_scheme: z.enum(["first", "never", "always"]).default("always"),
  split: z.boolean().nullish(),
});

/** Options of a Metaspace step, shared by pre-tokenizer and decoder. */
export function readMetaspace(
  json: unknown,
  where: string,
): { readonly replacement: string; readonly prepends: "first" | "never" | "always"; readonly splits: boolean } {
  const { replacement, split, ...file } = parseForeign(metaspaceSchema, json, where);
  const isNever = file.add_prefix_space === false;
  if (isNever && file.prepend_scheme !== "never" && Object.hasOwn(json as object, "prepend_scheme"))
    throw new SelkieError(
      "bad-file",
      `${where}: expected add_prefix_space and prepend_scheme to agree, got false and "${file.prepend_scheme}"`,
    );
  return { replacement, prepends: isNever ? "never" : file.prepend_scheme, splits: split ?? true };
}

function createMetaspace(json: unknown, where: string): PreTokenizer {
  const { replacement, prepends, splits } = readMetaspace(json, where);
  const marks = new RegExp(escapePattern(replacement), "gu");
  const cut = splitter(marks, "MergedWithNext");
  return ({ texts, isAtStart }) => {
    const marked = texts.map((piece, index) => {
      const text = piece.replaceAll(" ", () => replacement);
      const prepended = prepends === "always" || (prepends === "first" && isAtStart && index === 0);
      return prepended && !text.startsWith(replacement) ? replacement + text : text;
    });
    const pieces = { texts: marked, isAtStart };
    return splits ? cut(pieces) : pieces;
  };
}

function createDelimiter(json: unknown, where: string): PreTokenizer {
  const { delimiter } = parseForeign(z.looseObject({ delimiter: charSchema }), json, where);
  return splitter(new RegExp(escapePattern(delimiter), "gu"), "Removed");
}

function cutEvery(text: string, length: number): string[] {
  const chars = [...text];
  return Array.from({ length: Math.ceil(chars.length / length) }, (_, index) =>
    chars.slice(index * length, (index + 1) * length).join(""),
  );
}

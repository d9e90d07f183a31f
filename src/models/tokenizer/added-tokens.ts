/**
 * @file Added tokens: texts that become one id before anything else is done to a text. Special ones control the model;
 * a text that spells one stays text unless control tokens are asked for.
 */
import { z } from "zod";
import { parseForeign } from "../files.ts";
import type { Normalizer } from "./normalizers.ts";
import { escapePattern } from "./pattern.ts";
import { idSchema } from "./schema.ts";

/** One added token with the flags of the Rust library. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Found only where no letter or digit stands before or behind. */
  readonly singleWord: boolean;
  /** Swallows white space before it. */
  readonly lstrip: boolean;
  /** Swallows white space behind it. */
  readonly rstrip: boolean;
  /** Found in the normalised text instead of the original. */
  readonly normalized: boolean;
  /** Controls the model; left out of decoded text. */
  readonly special: boolean;
}

const flagsSchema = {
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
};
/** A token as files hold it, without its id. */
export interface AddedTokenFile {
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized?: boolean | undefined;
  readonly special: boolean;
}
/** Reads one. */
export const addedTokenSchema: z.ZodType<AddedTokenFile> = z.looseObject(flagsSchema);
const listSchema = z.array(z.looseObject({ ...flagsSchema, id: idSchema })).default([]);

/** A token from the fields of a file. */
export const toAddedToken = (id: number, file: AddedTokenFile): AddedToken => ({
  id,
  content: file.content,
  singleWord: file.single_word,
  lstrip: file.lstrip,
  rstrip: file.rstrip,
  normalized: file.normalized ?? !file.special,
  special: file.special,
});

/** The `added_tokens` of tokenizer.json. */
export const readAddedTokens = (json: unknown, where: string): AddedToken[] =>
  parseForeign(listSchema, json, where)
    .filter(({ content }) => content !== "")
    .map((file) => toAddedToken(file.id, file));

/** A part of a text: an added token, or text between two. */
export type Section = { readonly text: string; readonly id: number | null };

const word = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const endsWithWord = new RegExp(`${word}$`, "u");
const startsWithWord = new RegExp(`^${word}`, "u");

/** Finds the leftmost, then longest of several texts. */
class Finder {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | null;

  constructor(tokens: readonly (readonly [text: string, token: AddedToken])[]) {
    this.#tokens = new Map(tokens.filter(([text]) => text !== ""));
    const texts = [...this.#tokens.keys()].toSorted((a, b) => b.length - a.length);
    this.#pattern = texts.length === 0 ? null : new RegExp(texts.map((text) => escapePattern(text)).join("|"), "gu");
  }

  /** Cuts `text` at the tokens it holds; special ones count only with `asksForControl`. */
  split(text: string, asksForControl: boolean): Section[] {
    const sections: Section[] = [];
    let done = 0;
    for (const match of this.#pattern === null ? [] : text.matchAll(this.#pattern)) {
      const token = this.#tokens.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      if (token.special && !asksForControl) continue;
      if (
        token.singleWord &&
        (endsWithWord.test(text.slice(Math.max(0, start - 2), start)) || startsWithWord.test(text.slice(end, end + 2)))
      )
        continue;
      if (token.lstrip) while (start > done && /\p{White_Space}/u.test(text[start - 1]!)) start--;
      if (token.rstrip) while (end < text.length && /\p{White_Space}/u.test(text[end]!)) end++;
      if (done < start) sections.push({ text: text.slice(done, start), id: null });
      sections.push({ text: text.slice(start, end), id: token.id });
      done = end;
    }
    if (done < text.length) sections.push({ text: text.slice(done), id: null });
    return sections;
  }
}

/** True when normalising removes the first character, so that what is left begins behind the start of the text. */
function dropsStart(text: string, normalize: Normalizer): boolean {
  const first = /^[\p{Cc}\p{Cf}\p{M}\p{White_Space}\ufffd]/u.exec(text)?.[0];
  return first !== undefined && normalize(first) === "" && normalize(`${first}a`) === normalize("a");
}

/** What added tokens do to a text. */
export interface AddedTokens {
  readonly tokens: ReadonlyMap<number, AddedToken>;
  /** The token of an id as decoders see it. */
  textOf(id: number): string | undefined;
  /** Cuts a text at added tokens and normalises what lies between; `isFirst` marks what begins where the text does. */
  split(text: string, asksForControl: boolean): (Section & { readonly isFirst: boolean })[];
}

/** Prepares `tokens`, later ones replacing earlier ones of the same id, for texts that `normalize` rewrites. */
export function createAddedTokens(tokens: readonly AddedToken[], normalize: Normalizer): AddedTokens {
  const byId = new Map(tokens.map((token) => [token.id, token]));
  const all = [...byId.values()];
  const plain = new Finder(all.filter(({ normalized }) => !normalized).map((token) => [token.content, token]));
  const rewritten = new Map(
    all.filter(({ normalized }) => normalized).map((token) => [token.id, normalize(token.content)]),
  );
  const normalized = new Finder([...rewritten].map(([id, text]) => [text, byId.get(id)!]));
  return {
    tokens: byId,
    textOf: (id) => rewritten.get(id) ?? byId.get(id)?.content,
    split: (text, asksForControl) =>
      plain.split(text, asksForControl).flatMap((section, place) => {
        const parts = section.id !== null ? [section] : normalized.split(normalize(section.text), asksForControl);
        const keepsStart = place === 0 && !dropsStart(section.text, normalize);
        return parts.map((part, index) => ({ ...part, isFirst: index === 0 && keepsStart }));
      }),
  };
}

/** @file Normalizers of tokenizer.json: what is done to a text before it is split. As the Rust library's, step by step. */
import { z } from "zod";
import { parseForeign } from "../files.ts";
import { toByteLetters } from "./bytes.ts";
import { compilePattern, findSpans } from "./pattern.ts";
import { createPrecompiled } from "./precompiled.ts";
import { patternSchema, refuseType, stepsSchema, typeOf } from "./schema.ts";

/** Rewrites a text. */
export type Normalizer = (text: string) => string;

const bertSchema = z.looseObject({
  clean_text: z.boolean(),
  handle_chinese_chars: z.boolean(),
  strip_accents: z.boolean().nullable(),
  lowercase: z.boolean(),
});

const known: Readonly<Record<string, (json: unknown, where: string) => Normalizer>> = {
  Sequence: (json, where) => {
    const { normalizers } = parseForeign(z.looseObject({ normalizers: stepsSchema }), json, where);
    const steps = normalizers.map((step, index) => createNormalizer(step, `${where}.normalizers.${index}`));
    return (text) => steps.reduce((done, step) => step(done), text);
  },
  NFC: () => (text) => text.normalize("NFC"),
  NFD: () => (text) => text.normalize("NFD"),
  NFKC: () => (text) => text.normalize("NFKC"),
  NFKD: () => (text) => text.normalize("NFKD"),
  Lowercase: () => lowercase,
  Strip: (json, where) => {
    const options = parseForeign(z.looseObject({ strip_left: z.boolean(), strip_right: z.boolean() }), json, where);
    const left = options.strip_left ? /^\p{White_Space}+/u : /(?!)/u;
    const right = options.strip_right ? /\p{White_Space}+$/u : /(?!)/u;
    return (text) => text.replace(left, "").replace(right, "");
  },
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ""),
  Prepend: (json, where) => {
    const { prepend } = parseForeign(z.looseObject({ prepend: z.string() }), json, where);
    return (text) => (text === "" ? text : prepend + text);
  },
  Replace: (json, where) => createReplace(json, where),
  Precompiled: (json, where) => {
    const { precompiled_charsmap: map } = parseForeign(
      z.looseObject({ precompiled_charsmap: z.string() }),
      json,
      where,
    );
    return createPrecompiled(map, where);
  },
  BertNormalizer: (json, where) => createBert(parseForeign(bertSchema, json, where)),
  ByteLevel: () => toByteLetters,
  Nmt: () => normalizeNmt,
};

/** The normalizer that `json` describes; `null` leaves a text as it is. */
export function createNormalizer(json: unknown, where: string): Normalizer {
  if (json === null || json === undefined) return (text) => text;
  const type = typeOf(json, where);
  const create = Object.hasOwn(known, type) ? known[type] : undefined;
  return create === undefined ? refuseType(where, type, Object.keys(known)) : create(json, where);
}

/** A function that replaces every match; also a decoder. */
export function createReplace(json: unknown, where: string): (text: string) => string {
  const options = parseForeign(z.looseObject({ pattern: patternSchema, content: z.string() }), json, where);
  if ("String" in options.pattern && options.pattern.String !== "") {
    const { String: literal } = options.pattern;
    return (text) => text.replaceAll(literal, () => options.content);
  }
  const pattern = compilePattern(options.pattern, where);
  return (text) =>
    findSpans(text, pattern)
      .map(({ start, end, isMatch }) => (isMatch ? options.content : text.slice(start, end)))
      .join("");
}

/** Letter by letter: Rust does not look at the neighbours, so a final sigma is an ordinary one. */
const lowercase: Normalizer = (text) =>
  /^[\0-\x7f]*$/.test(text) ? text.toLowerCase() : Array.from(text, (char) => char.toLowerCase()).join("");

const isChinese =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;
const cleaned = /[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu;

function createBert(options: z.output<typeof bertSchema>): Normalizer {
  const steps: Normalizer[] = [];
  if (options.clean_text) steps.push((text) => text.replace(cleaned, "").replace(/\p{White_Space}/gu, " "));
  if (options.handle_chinese_chars) steps.push((text) => text.replace(isChinese, " $& "));
  if (options.strip_accents ?? options.lowercase) steps.push((text) => text.normalize("NFD").replace(/\p{Mn}/gu, ""));
  if (options.lowercase) steps.push(lowercase);
  return (text) => steps.reduce((done, step) => step(done), text);
}

const isNmtControl = (code: number): boolean =>
  (code >= 0x01 && code <= 0x08) ||
  code === 0x0b ||
  (code >= 0x0e && code <= 0x1f) ||
  code === 0x7f ||
  code === 0x8f ||
  code === 0x9f;

/** The cleaning of Google's NMT models. */
const normalizeNmt: Normalizer = (text) =>
  Array.from(text)
    .filter((char) => !isNmtControl(char.codePointAt(0)!))
    .join("")
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, " ");

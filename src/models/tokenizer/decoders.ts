/** @file Decoders of tokenizer.json: tokens back to text. As the Rust library's, step by step. */
import { z } from "zod";
import { parseForeign } from "../files.ts";
import { byteOfToken, decodeStrictly, decodeUtf8, fromByteLetters } from "./bytes.ts";
import { createReplace } from "./normalizers.ts";
import { readMetaspace } from "./pre-tokenizers.ts";
import { charSchema, refuseType, stepsSchema, typeOf } from "./schema.ts";

/** Rewrites a list of tokens; what comes out is joined. */
export type Decoder = (tokens: readonly string[]) => readonly string[];

const known: Readonly<Record<string, (json: unknown, where: string) => Decoder>> = {
  Sequence: (json, where) => {
    const { decoders } = parseForeign(z.looseObject({ decoders: stepsSchema }), json, where);
    const steps = decoders.map((step, index) => createDecoder(step, `${where}.decoders.${index}`));
    return (tokens) => steps.reduce((done, step) => step(done), tokens);
  },
  ByteLevel: () => (tokens) => [
    decodeUtf8(tokens.flatMap((token) => fromByteLetters(token) ?? [...Buffer.from(token)])),
  ],
  ByteFallback: () => decodeBytes,
  Fuse: () => (tokens) => [tokens.join("")],
  Replace: (json, where) => {
    const replace = createReplace(json, where);
    return (tokens) => tokens.map(replace);
  },
  Strip: (json, where) => createStrip(json, where),
  Metaspace: (json, where) => {
    const { replacement, prepends } = readMetaspace(json, where);
    const first = prepends === "never" ? " " : "";
    return (tokens) => tokens.map((token, index) => token.replaceAll(replacement, index === 0 ? first : " "));
  },
  WordPiece: (json, where) => createWordPieceDecoder(json, where),
  BPEDecoder: (json, where) => {
    const { suffix } = parseForeign(z.looseObject({ suffix: z.string().default("</w>") }), json, where);
    return (tokens) =>
      suffix === ""
        ? tokens
        : tokens.map((token, index) => token.replaceAll(suffix, index === tokens.length - 1 ? "" : " "));
  },
};

/** The decoder that `json` describes; without one, tokens are joined by spaces. */
export function createDecoder(json: unknown, where: string): Decoder {
  if (json === null || json === undefined) return (tokens) => [tokens.join(" ")];
  const type = typeOf(json, where);
  const create = Object.hasOwn(known, type) ? known[type] : undefined;
  return create === undefined ? refuseType(where, type, Object.keys(known)) : create(json, where);
}

/** Runs of byte tokens become the text they spell; a run that is no UTF-8 becomes U+FFFD for every byte. */
function decodeBytes(tokens: readonly string[]): string[] {
  const written: string[] = [];
  let run: number[] = [];
  const flush = (): void => {
    const text = decodeStrictly(run);
    if (text === null) written.push(...run.map(() => "\ufffd"));
    else if (run.length > 0) written.push(text);
    run = [];
  };
  for (const token of tokens) {
    const byte = byteOfToken(token);
    if (byte !== null) run.push(byte);
    else {
      flush();
      written.push(token);
    }
  }
  flush();
  return written;
}

function createStrip(json: unknown, where: string): Decoder {
  const schema = z.looseObject({ content: charSchema, start: z.int().min(0), stop: z.int().min(0) });
  const { content, start, stop } = parseForeign(schema, json, where);
  return (tokens) =>
    tokens.map((token) => {
      const chars = [...token];
      let from = 0;
      while (from < start && chars[from] === content) from++;
      let to = chars.length;
      while (chars.length - to < stop && to > 0 && chars[to - 1] === content) to--;
      return chars.slice(from, Math.max(from, to)).join("");
    });
}

function createWordPieceDecoder(json: unknown, where: string): Decoder {
  const schema = z.looseObject({ prefix: z.string().default("##"), cleanup: z.boolean().default(true) });
  const { prefix, cleanup } = parseForeign(schema, json, where);
  return (tokens) =>
    tokens.map((token, index) => {
      const text = index === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return cleanup ? cleanUp(text) : text;
    });
}

/** The Rust library's repairs of spaces around English punctuation. */
const cleanUp = (text: string): string =>
  text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" do not", " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");

/**
 * @file Byte-pair encoding of one piece by a learned list of merges, with what tokenizer.json can say about characters that
 * have no token. The pair of lowest rank is merged first, the leftmost of equals; a heap keeps long pieces near linear.
 */
import { z } from "zod";
import { SelkieError } from "../../util/index.ts";
import { parseForeign } from "../files.ts";
import { MaxHeap } from "../heap.ts";
import { byteToken } from "./bytes.ts";
import { vocabSchema } from "./schema.ts";
import type { Vocabulary } from "./vocabulary.ts";

const bpeSchema = z.looseObject({
  vocab: vocabSchema,
  merges: z.custom<readonly unknown[]>((value) => Array.isArray(value), "expected a list"), // items are checked as they are read
  dropout: z.number().min(0).max(1).nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
});
type BpeFile = z.output<typeof bpeSchema>;

const idLimit = 2 ** 26; // as idSchema; pairs of ids are exact in one number
const placeLimit = 2 ** 30; // no string is longer
const cachedWords = 2 ** 16;
const cachedLength = 256; // the limit of the Rust library

/** The model that `json` describes. `isControl` names tokens that text never becomes. */
export function createBpe(json: unknown, where: string, isControl: (token: string) => boolean): Vocabulary {
  const file = parseForeign(bpeSchema, json, where);
  if (file.dropout)
    throw new SelkieError(
      "bad-file",
      `${where}: expected no dropout, got ${file.dropout}; set it to null for a fixed encoding`,
    );
  const vocab = new Map(Object.entries(file.vocab));
  const ranks = readMerges(file, vocab, where, isControl);
  const merge = (symbols: number[]): number[] => mergeAll(symbols, ranks);
  const toSymbols = createSymbols(file, vocab, where, isControl);
  const cache = new Map<string, readonly number[]>();
  return {
    vocab,
    encode(piece) {
      if (file.ignore_merges === true) {
        const whole = vocab.get(piece);
        if (whole !== undefined && !isControl(piece)) return [whole];
      }
      const known = cache.get(piece);
      if (known !== undefined) return known;
      const ids = merge(toSymbols(piece));
      if (piece.length < cachedLength) {
        if (cache.size >= cachedWords) cache.clear();
        cache.set(piece, ids);
      }
      return ids;
    },
  };
}

/** Rank and result of each pair of ids. */
interface Merges {
  readonly rankOf: ReadonlyMap<number, number>;
  /** `[rank]`. */
  readonly results: readonly number[];
}

const pairOf = (left: number, right: number): number => left * idLimit + right;

function readMerges(
  { merges, continuing_subword_prefix: prefix }: BpeFile,
  vocab: ReadonlyMap<string, number>,
  where: string,
  isControl: (token: string) => boolean,
): Merges {
  const rankOf = new Map<number, number>();
  const results: number[] = [];
  const idOf = (token: string, rank: number): number => {
    const id = vocab.get(token);
    if (id !== undefined) return id;
    throw new SelkieError(
      "bad-file",
      `${where}: merges.${rank}: expected tokens of the vocabulary, got ${JSON.stringify(token)}`,
    );
  };
  const pairs = merges.filter((merge) => typeof merge !== "string" || !merge.startsWith("#version"));
  for (const [rank, pair] of pairs.entries()) {
    const [left, right, ...rest]: readonly unknown[] =
      typeof pair === "string" ? pair.split(" ") : Array.isArray(pair) ? pair : [];
    if (typeof left !== "string" || typeof right !== "string" || rest.length > 0)
      throw new SelkieError(
        "bad-file",
        `${where}: merges.${rank}: expected two tokens with a space between, got ${JSON.stringify(pair)}`,
      );
    const merged = left + right.slice(prefix?.length ?? 0);
    results.push(idOf(merged, rank));
    const key = pairOf(idOf(left, rank), idOf(right, rank));
    if (isControl(merged)) rankOf.delete(key);
    else rankOf.set(key, rank); // the last of equal pairs counts
  }
  return { rankOf, results };
}

/** A function from a piece to one id for each of its characters, or several where bytes stand in. */
function createSymbols(
  file: BpeFile,
  vocab: ReadonlyMap<string, number>,
  where: string,
  isControl: (token: string) => boolean,
): (piece: string) => number[] {
  const { unk_token: unk, continuing_subword_prefix: prefix, end_of_word_suffix: suffix } = file;
  const unkId = unk === null || unk === undefined ? null : (vocab.get(unk) ?? null);
  const bytesOf = (text: string): number[] | null => {
    const ids = Array.from(Buffer.from(text), (byte) => vocab.get(byteToken(byte)));
    return ids.every((id) => id !== undefined) ? ids : null;
  };
  return (piece) => {
    const ids: number[] = [];
    let pending = false; // an unknown token that is not written yet: later ones may join it
    const flush = (): void => {
      if (pending) ids.push(unkId!);
      pending = false;
    };
    for (let start = 0, end = 0; start < piece.length; start = end) {
      end = start + (piece.codePointAt(start)! > 0xffff ? 2 : 1);
      let text = piece.slice(start, end);
      if (start > 0 && prefix) text = prefix + text;
      if (end === piece.length && suffix) text += suffix;
      const id = vocab.get(text);
      if (id !== undefined && !isControl(text)) {
        flush();
        ids.push(id);
        continue;
      }
      const bytes = file.byte_fallback === true ? bytesOf(text) : null;
      if (bytes !== null)
        ids.push(...bytes); // an unknown token before them comes after them, as in the Rust library
      else if (unk !== null && unk !== undefined) {
        if (unkId === null)
          throw new SelkieError(
            "bad-file",
            `${where}: expected unk_token ${JSON.stringify(unk)} in the vocabulary, got none`,
          );
        if (file.fuse_unk !== true) flush();
        pending = true;
      }
    }
    flush();
    return ids;
  };
}

/** Merges neighbours until no pair has a rank. */
function mergeAll(symbols: number[], { rankOf, results }: Merges): number[] {
  if (symbols.length < 2) return symbols;
  const next = Int32Array.from(symbols, (_, place) => place + 1);
  const previous = Int32Array.from(symbols, (_, place) => place - 1);
  const queue = new MaxHeap<number>((a, b) => b - a); // rank, then place, in one number
  const offer = (place: number): void => {
    const rank = rankOf.get(pairOf(symbols[place]!, symbols[next[place]!]!));
    if (rank !== undefined) queue.push(rank * placeLimit + place);
  };
  for (let place = 0; place + 1 < symbols.length; place++) offer(place);
  for (let top = queue.pop(); top !== undefined; top = queue.pop()) {
    const place = top % placeLimit;
    const right = next[place]!;
    if (symbols[place] === -1 || right >= symbols.length) continue;
    const rank = rankOf.get(pairOf(symbols[place]!, symbols[right]!));
    const result = results[(top - place) / placeLimit]!;
    if (rank === undefined || results[rank] !== result) continue; // no longer the pair it was
    symbols[place] = result;
    symbols[right] = -1;
    next[place] = next[right]!;
    if (next[right]! < symbols.length) {
      previous[next[right]!] = place;
      offer(place);
    }
    if (previous[place]! >= 0) offer(previous[place]!);
  }
  return symbols.filter((id) => id !== -1);
}

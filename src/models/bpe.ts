/**
 * @file Trains byte-level byte-pair encodings (Sennrich et al. 2016, arXiv 1508.07909, on bytes as in GPT-2) for models of
 * our own. Words are counted once; an index from pairs to words makes each merge touch only the words that hold it.
 * Ties go to the pair of lowest ids, as in the Rust library, so that both learn the same merges from the same text.
 */
import { SelkieError } from "../util/index.ts";
import { MaxHeap } from "./heap.ts";
import { byteAlphabet } from "./tokenizer/bytes.ts";
import type { TokenizerJson } from "./tokenizer/schema.ts";

/** Options of {@link trainByteLevelBpe}. */
export interface BpeOptions {
  /** Tokens in all, special ones and the 256 bytes included; fewer come out when the text has nothing left to merge. */
  readonly vocabSize: number;
  /** Take the first ids, in this order. They should not occur in the texts: they would be learnt letter by letter. */
  readonly specialTokens: readonly string[];
  /** One of `specialTokens`, put in front of every text that is encoded as a whole. @defaultValue none */
  readonly bosToken?: string;
}

// The split of GPT-2: English contractions, words, numbers, other signs (each with one leading space), runs of space.
const wordPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** A distinct word of the texts. */
interface Word {
  tokenIds: number[];
  readonly count: number;
}

/** Where a pair of neighbours occurs. */
interface PairEntry {
  count: number;
  /** Words that hold it, or once did. */
  readonly words: Set<Word>;
}

/**
 * Learns a tokenizer from `texts`. Deterministic.
 *
 * @returns Contents of a tokenizer.json that transformers, the Rust library and {@link createTokenizer} read.
 * @throws {@link SelkieError} `"bad-option"` when `vocabSize` has no room for the bytes and the special tokens.
 */
export function trainByteLevelBpe(texts: Iterable<string>, options: BpeOptions): TokenizerJson {
  const { vocabSize, specialTokens } = options;
  const least = 256 + specialTokens.length;
  if (vocabSize < least)
    throw new SelkieError(
      "bad-option",
      `vocabSize: expected at least ${least} (256 bytes and the special tokens), got ${vocabSize}`,
    );
  const alphabet = byteAlphabet();
  const tokens = [...specialTokens, ...alphabet.toSorted()];
  if (new Set(tokens).size !== tokens.length)
    throw new SelkieError(
      "bad-option",
      `specialTokens: expected distinct tokens longer than a letter, got ${specialTokens.join(" ")}`,
    );
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const words = countWords(texts, (byte) => idOf.get(alphabet[byte]!)!);
  const merges = learnMerges(words, tokens, idOf, vocabSize);
  return describeTokenizer(tokens, merges, options);
}

function countWords(texts: Iterable<string>, idOfByte: (byte: number) => number): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const [word] of text.matchAll(wordPattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const encoder = new TextEncoder();
  return [...counts].map(([word, count]) => ({ tokenIds: Array.from(encoder.encode(word), idOfByte), count }));
}

/** Pairs of neighbours by count; a pair is the number `left · 2^24 + right`. */
class PairIndex {
  readonly entries = new Map<number, PairEntry>();
  /** May hold outdated counts; {@link pop} skips them. */
  readonly #heap = new MaxHeap<{ readonly pair: number; readonly count: number }>(
    (a, b) => a.count - b.count || b.pair - a.pair,
  );
  #changed = new Set<number>();

  add(word: Word, pair: number, delta: number): void {
    const entry = this.entries.get(pair) ?? { count: 0, words: new Set() };
    entry.count += delta;
    entry.words.add(word);
    this.entries.set(pair, entry);
    this.#changed.add(pair);
  }

  addAll(word: Word, sign: 1 | -1): void {
    for (let i = 1; i < word.tokenIds.length; i++)
      this.add(word, pairOf(word.tokenIds[i - 1]!, word.tokenIds[i]!), sign * word.count);
  }

  /** The most frequent pair, removed; `null` when none is left. */
  pop(): { readonly pair: number; readonly words: ReadonlySet<Word> } | null {
    for (const pair of this.#changed) this.#heap.push({ pair, count: this.entries.get(pair)?.count ?? 0 });
    this.#changed = new Set();
    for (let top = this.#heap.pop(); top !== undefined; top = this.#heap.pop()) {
      const entry = this.entries.get(top.pair);
      if (entry === undefined || entry.count !== top.count) continue;
      if (entry.count < 1) return null;
      return { pair: top.pair, words: entry.words };
    }
    return null;
  }
}

const pairOf = (left: number, right: number): number => left * 2 ** 24 + right;

/** Appends a token per merge to `tokens`; returns the merges in order. */
function learnMerges(
  words: readonly Word[],
  tokens: string[],
  idOf: Map<string, number>,
  vocabSize: number,
): [string, string][] {
  const index = new PairIndex();
  for (const word of words) index.addAll(word, 1);
  const merges: [string, string][] = [];
  while (tokens.length < vocabSize) {
    const best = index.pop();
    if (best === null) break;
    const [left, right] = [Math.floor(best.pair / 2 ** 24), best.pair % 2 ** 24];
    const merged = tokens[left]! + tokens[right]!;
    let id = idOf.get(merged); // known when another split of the same letters was merged before
    if (id === undefined) {
      id = tokens.push(merged) - 1;
      idOf.set(merged, id);
    }
    merges.push([tokens[left]!, tokens[right]!]);
    for (const word of best.words) mergeInWord(index, word, left, right, id);
    index.entries.delete(best.pair);
  }
  return merges;
}

/** Replaces `left right` by `id` throughout the word, from the left, and recounts its pairs. */
function mergeInWord(index: PairIndex, word: Word, left: number, right: number, id: number): void {
  const { tokenIds } = word;
  const next: number[] = [];
  for (let i = 0; i < tokenIds.length; i++) {
    const isPair = tokenIds[i] === left && tokenIds[i + 1] === right;
    next.push(isPair ? id : tokenIds[i]!);
    if (isPair) i++;
  }
  if (next.length === tokenIds.length) return; // the word lost the pair to an earlier merge
  index.addAll(word, -1);
  word.tokenIds = next;
  index.addAll(word, 1);
}

/** The post-processor that puts `token` in front of a text, as transformers and the Rust library read it. */
function startWith(token: string, id: number): object {
  const first = { SpecialToken: { id: token, type_id: 0 } };
  const sequence = (name: "A" | "B", type: number) => ({ Sequence: { id: name, type_id: type } });
  return {
    type: "TemplateProcessing",
    single: [first, sequence("A", 0)],
    pair: [first, sequence("A", 0), sequence("B", 1)],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

function describeTokenizer(
  tokens: readonly string[],
  merges: readonly [string, string][],
  { specialTokens, bosToken }: BpeOptions,
): TokenizerJson {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: bosToken === undefined ? null : startWith(bosToken, tokens.indexOf(bosToken)),
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/**
 * @file Okapi BM25 (Robertson & Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond", section 3.3):
 * `score(q, d) = Σ_w∈q idf(w) · tf / (k1 · (1 − b + b · |d| / mean |d|) + tf)`.
 * Deviation: `idf = ln(1 + (N − df + ½) / (df + ½))`, which stays above 0; the paper's own turns negative for words of more
 * than half of the texts, and a small store has many of those.
 */
import { SelkieError } from "../../util/index.ts";

/** Constants of BM25. */
export interface Bm25Options {
  /** How soon more occurrences of a word stop mattering, at least 0. @defaultValue 1.2 */
  readonly k1?: number;
  /** How much long texts are held to their length, in [0, 1]. @defaultValue 0.75 */
  readonly b?: number;
}

/** Scores texts, given as lists of words, against questions; texts may be added at any time. */
export class Bm25 {
  readonly #k1: number;
  readonly #b: number;
  readonly #texts: { readonly counts: ReadonlyMap<string, number>; readonly length: number }[] = [];
  readonly #documentFrequency = new Map<string, number>();
  #totalLength = 0;

  constructor({ k1 = 1.2, b = 0.75 }: Bm25Options = {}) {
    if (!(k1 >= 0 && b >= 0 && b <= 1))
      throw new SelkieError("bad-option", `BM25: expected k1 of at least 0 and b in [0, 1], got ${k1} and ${b}`);
    this.#k1 = k1;
    this.#b = b;
  }

  get size(): number {
    return this.#texts.length;
  }

  add(words: readonly string[]): void {
    const counts = new Map<string, number>();
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    for (const word of counts.keys()) this.#documentFrequency.set(word, this.documentFrequency(word) + 1);
    this.#texts.push({ counts, length: words.length });
    this.#totalLength += words.length;
  }

  /** Texts that contain `word`. */
  documentFrequency(word: string): number {
    return this.#documentFrequency.get(word) ?? 0;
  }

  has(index: number, word: string): boolean {
    return this.#texts[index]!.counts.has(word);
  }

  /** Score of text `index`; words that a question repeats count as often. */
  score(index: number, question: readonly string[]): number {
    const { counts, length } = this.#texts[index]!;
    const relativeLength = (length * this.size) / Math.max(1, this.#totalLength);
    const saturation = this.#k1 * (1 - this.#b + this.#b * relativeLength);
    return question.reduce((total, word) => {
      const count = counts.get(word);
      return count === undefined ? total : total + (this.#idf(word) * count) / (saturation + count);
    }, 0);
  }

  #idf(word: string): number {
    const frequency = this.documentFrequency(word);
    return Math.log(1 + (this.size - frequency + 0.5) / (frequency + 0.5));
  }
}

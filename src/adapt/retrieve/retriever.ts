/**
 * @file Finds the passage that a question is about, or none: BM25 ranks, a rule says what may be ranked at all. A score
 * alone cannot say "none of these": in a store of a few passages every word is rare. The rule reads spelling instead:
 *  1. every name in the question (a capital inside a sentence, a number) must be in the passage;
 *  2. one of them must be what the passage's documents are about: a name in more than half as many of them as the commonest.
 *     Whoever asks about a ship on which a stored person sailed does not mean the person;
 *  3. a question without names must have its rarest known words in the passage, and half of all its words; words of more
 *     than half of the passages single nobody out, so a store of one finds nothing by this rule.
 *
 * Rule 2 matters: of the Almanac's 477 questions about ships, companies and places, 139 find one of 20 stored people by rule
 * 1 alone, and none does with the documents of the learned policy's edits. Where every document tells everything (rewrites of the
 * whole passage) it cannot tell the subject from what is mentioned, and rule 1 is all there is.
 *
 * Limits: people whose names are written alike are one; a script without capitals, or a question that names its subject
 * by a paraphrase or only in its first word, is left to rule 3; a question that names a second thing which the passage
 * leaves out finds nothing. Names make routing easy in the Almanac: report how often it is right next to what it is used for.
 */
import { Bm25, type Bm25Options } from "./bm25.ts";
import { namesIn, wordsOf } from "./words.ts";

/** A text to be found. */
export interface StoredPassage {
  /** Title and text, as questions are matched against. */
  readonly text: string;
  /** Other texts about the same, for rule 2. @defaultValue none, which makes every name of `text` count */
  readonly documents?: readonly string[];
}

/** What was found. */
export interface Found {
  /** Position of the passage, in the order of adding. */
  readonly index: number;
  readonly score: number;
}

/** A store of passages that answers which one a question is about. */
export class PassageRetriever {
  readonly #ranking: Bm25;
  readonly #subjects: ReadonlySet<string>[] = [];

  constructor(options: Bm25Options = {}) {
    this.#ranking = new Bm25(options);
  }

  /** Passages stored. */
  get size(): number {
    return this.#ranking.size;
  }

  /** Stores one more passage and returns its position. */
  add({ text, documents = [] }: StoredPassage): number {
    this.#ranking.add(wordsOf(text));
    this.#subjects.push(subjectsOf([text, ...documents]));
    return this.size - 1;
  }

  /** The passage that fits best, the latest of equals; `null` when none fits. */
  find(question: string): Found | null {
    const words = wordsOf(question);
    const names = [...namesIn(question)];
    const fits = names.length > 0 ? this.#namesFit(names) : this.#wordsFit([...new Set(words)]);
    let best: Found | null = null;
    for (let index = 0; index < this.size; index++) {
      if (!fits(index)) continue;
      const score = this.#ranking.score(index, words);
      if (best === null || score >= best.score) best = { index, score };
    }
    return best;
  }

  #namesFit(names: readonly string[]): (index: number) => boolean {
    return (index) =>
      names.every((name) => this.#ranking.has(index, name)) && names.some((name) => this.#subjects[index]!.has(name));
  }

  #wordsFit(words: readonly string[]): (index: number) => boolean {
    const frequencies = words.map((word) => this.#ranking.documentFrequency(word));
    const rarest = Math.min(...frequencies.filter((frequency) => frequency > 0));
    const needed = words.filter((_, at) => frequencies[at] === rarest);
    return (index) =>
      2 * rarest <= this.size &&
      needed.every((word) => this.#ranking.has(index, word)) &&
      2 * words.filter((word) => this.#ranking.has(index, word)).length >= words.length;
  }
}

/** Names in more than half as many of the texts as the commonest name. */
function subjectsOf(texts: readonly string[]): Set<string> {
  const counts = new Map<string, number>();
  for (const text of texts) for (const name of namesIn(text)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  return new Set([...counts].filter(([, count]) => 2 * count > most).map(([name]) => name));
}

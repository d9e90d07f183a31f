/**
 * @file The free reward: coverage of the passage times faithfulness to it, from the words alone. SEAL's own data say why
 * coverage: two rounds of its reinforcement mostly raised the share of answers that the edit mentions. Here:
 *  1. a word of the passage counts as covered where an edit states it together with what the passage is about (its hub
 *     words): "He learned the flute" teaches nobody who learned the flute. Each further such statement adds half of
 *     what is left;
 *  2. words are weighted by rarity among the passages of the round, so that names and values outweigh phrasing;
 *  3. a statement is unfaithful when it holds a number or a name that the passage lacks, or a word that edits elsewhere
 *     use only where their passage does.
 * It reads words, not meaning: a passage's own words in a false order pass, so does a false word in small letters that
 * no passage of the round holds, and writing without spaces is one long word. The gate has another measure, `support`
 * (`src/adapt/gate/screen.ts`, which says why): a lenient one, of one edit alone, because the edits of others may not
 * sway a gate.
 */

import { fullStops } from "../breaks.ts";
import { parseQuestions } from "../self-edit.ts";
import type { PassageTrials, WrittenEdit } from "./trials.ts";

/** What the proxy sees in one edit; each part is in [0, 1]. */
export interface ProxyParts {
  /** Share of the passage, by weight, that the edit states of what the passage is about. */
  readonly coverage: number;
  /** Share of the edit's statements that hold nothing foreign to the passage; 0 for an edit without statements. */
  readonly faithfulness: number;
}

/** English words that carry no content of their own; other languages are left to the weighting by rarity. */
const functionWords = new Set(
  (
    "a an the this that these those and or but nor so as if than then of in on at to for from by with into onto about " +
    "over under between through he she it they him her them his hers its their theirs i you we me us my your our who " +
    "whom whose which what where when why how is are was were be been being am do does did done has have had having " +
    "will would can could may might shall should must not no there here"
  ).split(" "),
);

interface Word {
  /** Lower case, without possessive. */
  readonly key: string;
  /** Holds a digit, or is capitalised where no sentence begins. */
  readonly isSpecific: boolean;
}

function wordsOf(sentence: string): Word[] {
  const text = sentence.normalize("NFKC");
  const found = text.matchAll(/[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)*/gu);
  return [...found].map(({ 0: word, index }) => ({
    key: word.replace(/['’]s$/u, "").toLowerCase(),
    isSpecific: /\p{N}/u.test(word) || (/^\p{Lu}/u.test(word) && !/(?:^|[.!?:"“])\s*$/u.test(text.slice(0, index))),
  }));
}

const contentWords = (sentence: string): Word[] => wordsOf(sentence).filter(({ key }) => !functionWords.has(key));

const sentenceEnd = new RegExp(`(?<=[.!?])\\s+|(?<=[${fullStops}])\\s*`, "u");

const sentencesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.replace(/^\s*(?:[-*•]|\d+[.)])\s+/u, ""))
    .flatMap((line) => line.split(sentenceEnd))
    .filter((sentence) => contentWords(sentence).length > 0);

/** What an edit states: a question with its answer is one statement, any other sentence is one. */
function statementsOf(edit: WrittenEdit): Word[][] {
  const pairs = parseQuestions(edit.text);
  if (pairs.length > 0)
    return pairs.map(({ question, answer }) => [...contentWords(question), ...contentWords(` ${answer}`)]);
  return edit.kind === "self-qa" ? [] : sentencesOf(edit.text).map(contentWords);
}

const keysOf = (words: readonly Word[]): Set<string> => new Set(words.map(({ key }) => key));

/** A passage with its edits, as words. */
interface ReadPassage {
  readonly words: ReadonlySet<string>;
  /** `statements[edit][statement]` */
  readonly statements: readonly (readonly (readonly Word[])[])[];
}

/** How many of `sets` each word is in. */
function countSets(sets: readonly ReadonlySet<string>[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const set of sets) for (const key of set) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** Rarity of a word among the passages. */
type Weigh = (key: string) => number;

/** Share of the top score that makes a word a hub: lets both parts of a name in, values out. */
const hubShare = 0.75;

/**
 * What the passage is about: its words that the statements of all edits join with the most other words of it, rare words
 * before common ones. A name is joined with every fact, a value with its own fact alone, however often that is told.
 */
function hubsOf({ words, statements }: ReadPassage, weigh: Weigh): Set<string> {
  const joined = new Map([...words].map((key) => [key, new Set<string>()]));
  for (const statement of statements.flat()) {
    const keys = [...keysOf(statement)].filter((key) => words.has(key));
    for (const key of keys) for (const other of keys) joined.get(key)!.add(other);
  }
  const scores = [...joined].map(([key, others]) => [key, others.size * weigh(key)] as const);
  const top = Math.max(...scores.map(([, score]) => score));
  return new Set(scores.filter(([, score]) => score >= hubShare * top).map(([key]) => key));
}

function coverageOf(passage: ReadPassage, edit: readonly (readonly Word[])[], hubs: Set<string>, weigh: Weigh): number {
  const bound = edit.map(keysOf).filter((keys) => [...keys].some((key) => hubs.has(key)));
  const mentions = countSets(bound);
  let covered = 0;
  let total = 0;
  for (const key of passage.words) {
    covered += weigh(key) * (1 - 0.5 ** (mentions.get(key) ?? 0));
    total += weigh(key);
  }
  return total === 0 ? 0 : covered / total;
}

/** Share of agreement beyond chance above which a word counts as one that edits use only where the passage does. */
const valueAgreement = 0.5;

/**
 * Words that edits use only where their passage does. Phrasing ("by trade") comes and goes freely, values ("engraver") do
 * not; agreement is counted beyond what the word's frequency among passages gives by chance, so few edits prove little.
 */
function valueWords(passages: readonly ReadPassage[], inPassages: ReadonlyMap<string, number>): Set<string> {
  const edits = passages.flatMap(({ words, statements }) =>
    statements.map((edit) => ({ words, keys: keysOf(edit.flat()) })),
  );
  const used = countSets(edits.map(({ keys }) => keys));
  const agreed = countSets(edits.map(({ words, keys }) => new Set([...keys].filter((key) => words.has(key)))));
  return new Set(
    [...used].flatMap(([key, count]) => {
      const chance = (inPassages.get(key) ?? 0) / passages.length;
      const agreement = ((agreed.get(key) ?? 0) / count - chance) / (1 - chance);
      return agreement >= valueAgreement ? [key] : []; // not a number, and no value, when every passage has it
    }),
  );
}

function faithfulnessOf(passage: ReadPassage, edit: readonly (readonly Word[])[], values: ReadonlySet<string>): number {
  const isForeign = ({ key, isSpecific }: Word) => !passage.words.has(key) && (isSpecific || values.has(key));
  return edit.length === 0 ? 0 : edit.filter((statement) => !statement.some(isForeign)).length / edit.length;
}

/** Coverage and faithfulness of every edit of every passage. The more passages, the better rarity is known. */
export function proxyParts(passages: readonly PassageTrials[]): ProxyParts[][] {
  const read = passages.map(({ passage, edits }) => ({
    words: keysOf(contentWords(passage)),
    statements: edits.map(({ edit }) => statementsOf(edit)),
  }));
  const inPassages = countSets(read.map(({ words }) => words));
  const weigh: Weigh = (key) => Math.log(1 + read.length / Math.max(1, inPassages.get(key) ?? 0));
  const values = valueWords(read, inPassages);
  return read.map((passage) => {
    const hubs = hubsOf(passage, weigh);
    return passage.statements.map((edit) => ({
      coverage: coverageOf(passage, edit, hubs, weigh),
      faithfulness: faithfulnessOf(passage, edit, values),
    }));
  });
}

/** Coverage times faithfulness of every edit of every passage. */
export function proxyScores(passages: readonly PassageTrials[]): number[][] {
  return proxyParts(passages).map((edits) => edits.map(({ coverage, faithfulness }) => coverage * faithfulness));
}

/**
 * @file Marking answers without a judge: SQuAD's normalised exact match and token F1 (Rajpurkar et al. 2016, evaluate-v1.1),
 * extended to any alphabet. Deterministic, so that two runs can be compared to the last digit.
 */

/** An answer as it is compared: lower case, no punctuation, no English articles, single spaces. */
export function normaliseAnswer(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[\p{P}\p{S}]/gu, "")
    .replace(/(?<![\p{L}\p{M}\p{N}])(?:a|an|the)(?![\p{L}\p{M}\p{N}])/gu, " ")
    .replace(/\s+/gu, " ")
    .trim();
}

/**
 * The part of a completion that counts as the answer: up to the first line break or full stop.
 * A stop inside a number or an abbreviation ("3.5", "U.S.A") does not end it; one followed by white space or nothing does.
 */
export function firstAnswer(completion: string): string {
  const text = completion.trimStart();
  const end = text.search(/[\r\n\u2028\u2029]|[.。](?=\s|$)/u);
  return (end === -1 ? text : text.slice(0, end)).trim();
}

/** True when the whole answer, normalised, equals `gold`, normalised. An answer that normalises to nothing is wrong. */
export function exactMatch(completion: string, gold: string): boolean {
  const wanted = normaliseAnswer(firstAnswer(gold));
  return wanted !== "" && normaliseAnswer(firstAnswer(completion)) === wanted;
}

/** Harmonic mean of word precision and recall, words counted with multiplicity; 1 when both sides are empty, 0 when one is. */
export function tokenF1(completion: string, gold: string): number {
  const answered = normalisedWords(completion);
  const wanted = normalisedWords(gold);
  if (answered.length === 0 || wanted.length === 0) return answered.length === wanted.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1);
  let shared = 0;
  for (const word of answered) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    shared++;
  }
  if (shared === 0) return 0;
  const precision = shared / answered.length;
  const recall = shared / wanted.length;
  return (2 * precision * recall) / (precision + recall);
}

function normalisedWords(text: string): string[] {
  const normalised = normaliseAnswer(firstAnswer(text));
  return normalised === "" ? [] : normalised.split(" ");
}

/** What one answer is worth. */
export interface Grade {
  readonly exact: boolean;
  /** In [0, 1]. */
  readonly f1: number;
}

/** Marks one completion. */
export const gradeAnswer = (completion: string, gold: string): Grade => ({
  exact: exactMatch(completion, gold),
  f1: tokenF1(completion, gold),
});

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
 * Ways to read where an answer ends: the first line up to each of its full stops, and the whole line. More than one,
 * because a stop may belong to the answer ("St. Ives").
 */
function readings(completion: string): string[] {
  const line = completion.trimStart().split(/[\r\n\u2028\u2029]/u)[0]!;
  const stops = [...line.matchAll(/[.。](?=\s|$)/gu)].map(({ index }) => line.slice(0, index));
  return [...new Set([...stops, line].map(normaliseAnswer))];
}

/** True when the answer, normalised, equals `gold`, normalised. An answer that normalises to nothing is wrong. */
export function exactMatch(completion: string, gold: string): boolean {
  const wanted = normaliseAnswer(gold);
  return wanted !== "" && readings(completion).includes(wanted);
}

/** Harmonic mean of word precision and recall, words counted with multiplicity; 1 when both sides are empty, 0 when one is. The best reading counts. */
export function tokenF1(completion: string, gold: string): number {
  return Math.max(...readings(completion).map((reading) => wordF1(wordsOf(reading), wordsOf(normaliseAnswer(gold)))));
}

const wordsOf = (normalised: string): string[] => (normalised === "" ? [] : normalised.split(" "));

function wordF1(answered: readonly string[], wanted: readonly string[]): number {
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

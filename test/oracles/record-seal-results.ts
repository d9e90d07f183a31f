/**
 * @file Checks every figure of test/support/seal-results.ts on SEAL's released results, and derives from them what
 * test/seal-results.test.ts needs, without passages, order or pairing.
 *
 *     node test/oracles/record-seal-results.ts golden.json continual.json > test/oracles/fixtures/seal-results.json
 *
 * `golden.json`: `{ evaluation: { arm: [accuracy per passage] }, rewards: { run: [passage][edit][repetition] } }`;
 * `continual.json`: `{ mean_over_sequences: [base row, row after each edit] }`.
 */
import { readFileSync } from "node:fs";
import {
  checkContinual,
  checkContrast,
  checkMean,
  checkRewards,
  checkSelectedGain,
  publishedContrasts,
  publishedMeans,
  publishedRewards,
} from "../support/seal-results.ts";

interface Golden {
  readonly evaluation: Readonly<Record<string, readonly number[]>>;
  readonly rewards: Readonly<Record<string, readonly (readonly (readonly number[])[])[]>>;
}

/** Runs that the fixture holds; the others are checked here alone, to keep it small. */
const recordedRuns = ["rank_iter0", "rank_iter0_prompt-rewrite", "rank_iter1_prompt-self-qa"];

/** `value:count` of each value, ascending. */
function histogram(values: readonly number[]): string {
  const counts = new Map<number, number>();
  for (const value of values) {
    const rounded = Math.round(1e4 * value) / 1e4;
    counts.set(rounded, (counts.get(rounded) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([value, count]) => `${value}:${count}`)
    .join(" ");
}

/** Fewest questions that explain the accuracies of a passage. */
function countQuestions(accuracies: readonly number[]): number {
  for (let count = 1; ; count++)
    if (accuracies.every((value) => Math.abs(value * count - Math.round(value * count)) < 1e-4 * count)) return count;
}

/** Right answers per repetition as digits of base 36, an edit a word: `5 012 223 …`; edits and repetitions sorted. */
function rightAnswers(edits: readonly (readonly number[])[]): string {
  const count = countQuestions(edits.flat());
  const words = edits.map((runs) =>
    runs
      .map((value) => Math.round(value * count).toString(36))
      .sort()
      .join(""),
  );
  return [count, ...words.sort()].join(" ");
}

const [goldenPath, continualPath] = process.argv.slice(2);
const golden: Golden = JSON.parse(readFileSync(goldenPath!, "utf8"));
const { mean_over_sequences: rows }: { mean_over_sequences: readonly (readonly number[])[] } = JSON.parse(
  readFileSync(continualPath!, "utf8"),
);
const continual = { base: rows[0]!, after: rows.slice(1).map((row, step) => row.slice(0, step + 1)) };
const differences = publishedContrasts.map(([first, second]) =>
  golden.evaluation[first]!.map((value, passage) => value - golden.evaluation[second]![passage]!),
);
for (const arm of Object.keys(publishedMeans)) checkMean(arm, golden.evaluation[arm]!);
differences.forEach((values, index) => {
  checkContrast(index, values);
});
for (const run of Object.keys(publishedRewards)) checkRewards(run, golden.rewards[run]!);
checkSelectedGain(golden.rewards["rank_iter0"]!);
checkContinual(continual);
const fixture = {
  source: "Derived from the released results of SEAL, https://github.com/Continual-Intelligence/SEAL, licence MIT.",
  means: Object.fromEntries(Object.keys(publishedMeans).map((arm) => [arm, histogram(golden.evaluation[arm]!)])),
  contrasts: differences.map(histogram),
  rewards: Object.fromEntries(recordedRuns.map((run) => [run, golden.rewards[run]!.map(rightAnswers).sort()])),
  continual,
};
process.stdout.write(`${JSON.stringify(fixture, null, 1)}\n`);

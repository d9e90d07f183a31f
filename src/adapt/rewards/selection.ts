/**
 * @file From rewards to what the policy learns from: which edits, how much each counts, which pairs are compared; and
 * how to spend trials so that the rewards are worth something: common random numbers and successive halving.
 * All are pure functions of numbers.
 */
import { createRng, mean, SelkieError } from "../../util/index.ts";

/**
 * How much each edit of each passage counts when the policy learns, 0 for not at all.
 *
 * @param scores - Of a reward, one list per passage.
 * @param baseScores - What changing nothing is worth, one per passage; rules that compare edits alone ignore it.
 */
export type Selection = (scores: readonly (readonly number[])[], baseScores: readonly number[]) => number[][];

/** Indices from the highest score to the lowest; equal scores keep their order. */
export function rankEdits(scores: readonly number[]): number[] {
  return scores.map((_, index) => index).sort((a, b) => scores[b]! - scores[a]! || a - b);
}

/** The `count` best edits of each passage, whatever they are worth. */
export const selectTop =
  (count: number): Selection =>
  (scores) =>
    scores.map((row) => {
      const chosen = new Set(rankEdits(row).slice(0, count));
      return row.map((_, index) => (chosen.has(index) ? 1 : 0));
    });

/** SEAL's rule: the best edit of each passage, whatever it is worth; the first of equals. */
export const selectBest: Selection = selectTop(1);

/** Every edit that is worth more than changing nothing: ReST-EM with the paper's binary reward. */
export const selectAboveBase: Selection = (scores, baseScores) =>
  scores.map((row, passage) => row.map((score) => (score > baseScores[passage]! ? 1 : 0)));

/** Score less the mean of its passage: above 0 for what should become likelier, below for what should not. */
export const advantages: Selection = (scores) =>
  scores.map((row) => {
    const centre = mean(row);
    return row.map((score) => score - centre);
  });

/** A better and a worse edit of one passage, as indices. */
export interface EditPair {
  readonly passage: number;
  readonly chosen: number;
  readonly rejected: number;
  /** By how much the chosen one scored more; above 0. */
  readonly gap: number;
}

/** Options of {@link preferencePairs}. */
export interface PairOptions {
  /** The best against the worst of each passage, or every edit against every worse one. @defaultValue "extremes" */
  readonly pairs?: "extremes" | "all";
  /** Pairs that differ by no more say nothing and are left out; at least 0. @defaultValue 0 */
  readonly minGap?: number;
}

/** Pairs of edits to learn a preference from, passage by passage. */
export function preferencePairs(scores: readonly (readonly number[])[], options: PairOptions = {}): EditPair[] {
  const { pairs = "extremes", minGap = 0 } = options;
  return scores.flatMap((row, passage) => {
    const ranked = rankEdits(row);
    const pairOf = (chosen: number, rejected: number): EditPair => ({
      passage,
      chosen,
      rejected,
      gap: row[chosen]! - row[rejected]!,
    });
    const candidates =
      pairs === "all"
        ? ranked.flatMap((chosen, place) => ranked.slice(place + 1).map((rejected) => pairOf(chosen, rejected)))
        : ranked.length < 2
          ? []
          : [pairOf(ranked[0]!, ranked.at(-1)!)];
    return candidates.filter(({ gap }) => gap > minGap);
  });
}

/** What makes one trial of one edit repeatable. */
export interface TrialPlace {
  readonly runSeed: number | string;
  readonly passageId: string;
  readonly edit: number;
  readonly repetition: number;
}

/**
 * Seed of a trial, 32 bits. With `"common"` random numbers repetition `r` of every edit of a passage has the same one:
 * the adapters start from the same weights, so that luck cancels when edits are compared (Kahn & Marshall 1953).
 */
export function trialSeed(place: TrialPlace, numbers: "common" | "independent"): number {
  const { runSeed, passageId, edit, repetition } = place;
  const rng = createRng(runSeed).fork("trial", passageId);
  return (numbers === "common" ? rng.fork(repetition) : rng.fork(repetition, edit)).nextUint32();
}

/** One round of trials. */
export interface HalvingRound {
  /** Edits of each passage still in the running. */
  readonly numEdits: number;
  /** New trials of each of them. */
  readonly repetitions: number;
}

/**
 * Successive halving (Karnin, Koren & Somekh 2013, "Almost optimal exploration in multi-armed bandits"): the budget is
 * split evenly over rounds, and after each the better half goes on, so that trials are spent where the choice is close.
 *
 * @param budget - Trials of one passage at most; at least one per edit.
 */
export function halvingRounds(numEdits: number, budget: number): HalvingRound[] {
  if (!(Number.isInteger(numEdits) && numEdits >= 1 && budget >= numEdits))
    throw new SelkieError(
      "bad-option",
      `halvingRounds: expected at least one edit and a budget of at least one trial for each, got ${numEdits} edits and ${budget} trials; raise the budget`,
    );
  if (numEdits === 1) return [{ numEdits, repetitions: 1 }]; // nothing to choose among
  const numRounds = Math.ceil(Math.log2(numEdits));
  const rounds: HalvingRound[] = [];
  let left = budget;
  for (let round = 0, alive = numEdits; round < numRounds; round++, alive = Math.ceil(alive / 2)) {
    const repetitions = Math.max(round === 0 ? 1 : 0, Math.floor(left / (numRounds - round) / alive));
    if (repetitions > 0) rounds.push({ numEdits: alive, repetitions });
    left -= repetitions * alive;
  }
  return rounds;
}

/**
 * The edits of one passage that go on to the next round: the `keep` best of those alive, in their original order.
 *
 * @param scores - Of all edits of the passage, by all trials so far; those of edits that are out do not matter.
 */
export function survivors(scores: readonly number[], alive: readonly number[], keep: number): number[] {
  return [...alive]
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, keep)
    .sort((a, b) => a - b);
}

/**
 * @file How good a reward is, from the trials of a round: whether it would say the same again (reliability), whether it
 * says what one wants to know (validity), and what it costs. A reward that cannot be wrong twice in different ways, such
 * as the proxy, is perfectly reliable and need not be valid; compare both.
 */
import {
  bootstrapStatistic,
  crossedComponents,
  type Estimate,
  mean,
  type RepeatedDesign,
  type Rng,
  reliability,
  ShapeError,
  varianceComponents,
} from "../../util/index.ts";
import { type MeasuredReward, rewardDesign } from "./rewards.ts";
import type { PassageTrials } from "./trials.ts";

/** Reliability of a reward in telling the edits of one passage apart; intervals are over passages. */
export interface RewardReliability {
  /** ICC(1), of the reward from one trial. */
  readonly ofOne: Estimate;
  /** ICC(k), of the reward from all trials of an edit. */
  readonly ofAll: Estimate;
  /** `k`: trials per edit; the harmonic mean where edits differ. */
  readonly repetitions: number;
}

/**
 * Reliability of a reward of single trials.
 *
 * @param numbers - `"common"` where trial `r` of every edit of a passage had one seed: what a seed does to all edits alike
 * is then no noise. Needs as many trials of every edit of a passage.
 * @throws {@link SelkieError} `"bad-input"` for a reward that needs several trials at once, or none; see {@link rewardDesign}.
 */
export function measureReliability(
  reward: MeasuredReward,
  passages: readonly PassageTrials[],
  numbers: "common" | "independent",
  rng: Rng,
): RewardReliability {
  const design = rewardDesign(reward, passages);
  const counts = design.flatMap((edits) => edits.flatMap(({ length }) => (length > 0 ? [1 / length] : [])));
  const repetitions = 1 / mean(counts);
  const components = numbers === "common" ? crossedComponents : varianceComponents;
  const estimate = (times: number, label: string): Estimate =>
    bootstrapStatistic(
      design,
      (sample: RepeatedDesign) => reliability(components(sample), times),
      rng.fork(label),
      1000,
    );
  return { ofOne: estimate(1, "one"), ofAll: estimate(repetitions, "all"), repetitions };
}

/** How far one number per edit agrees with what the edits are worth. */
export interface RewardValidity {
  /** Correlation of score and worth within passages, pooled; `NaN` when either is the same for all edits of each passage. */
  readonly correlation: number;
  /** Mean worth of the edit that scores highest in each passage, the first of equals. */
  readonly picked: number;
  /** Mean worth of all edits: what picking blindly gives. */
  readonly blind: number;
  /** Mean worth of the best edit of each passage: the most that picking can give. */
  readonly best: number;
}

/**
 * Compares scores with worth, edit by edit. Worth must come from trials that the scores have not seen, or their common
 * luck counts as agreement.
 */
export function measureValidity(
  scores: readonly (readonly number[])[],
  worth: readonly (readonly number[])[],
): RewardValidity {
  if (scores.length !== worth.length || scores.some((row, index) => row.length !== worth[index]!.length))
    throw new ShapeError("measureValidity", "one worth per score", "other numbers of passages or edits");
  const [x, y] = [scores, worth].map((rows) => rows.flatMap((row) => row.map((value) => value - mean(row))));
  const dot = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, index) => sum + value * b[index]!, 0);
  const highest = (row: readonly number[]) => row.indexOf(Math.max(...row));
  return {
    correlation: dot(x!, y!) / Math.sqrt(dot(x!, x!) * dot(y!, y!)),
    picked: mean(scores.map((row, passage) => worth[passage]![highest(row)]!)),
    blind: mean(worth.map(mean)),
    best: mean(worth.map((row) => Math.max(...row))),
  };
}

/** Tokens of training documents that the trials went through per epoch: the cost of a reward, 0 for the proxy. */
export function trialTokens(reward: MeasuredReward, passages: readonly PassageTrials[]): number {
  if (reward.minRepetitions === 0) return 0;
  return passages
    .flatMap(({ edits }) => edits)
    .reduce((total, { numTokens, trials }) => total + numTokens * trials.length, 0);
}

/**
 * @file What a self-edit is worth: rewards as values, from the trials of a round to one number per edit. SEAL
 * (Zweiger et al. 2025, arXiv 2506.10943) rewards the accuracy of the adapted model; the others here are cheaper, less
 * noisy, or count what an edit costs. Which edits the policy then learns from is `selection.ts`' business.
 *
 * Write your own as an object with a `name` and a `score`: it sees all passages of a round, because some rewards
 * borrow strength across passages.
 */
import {
  mean,
  type RepeatedDesign,
  SelkieError,
  type VarianceComponents,
  varianceComponents,
} from "../../util/index.ts";
import { proxyScores } from "./proxy.ts";
import type { EditTrials, PassageTrials, TrialScore } from "./trials.ts";

/** What an edit is worth. */
export interface Reward {
  readonly name: string;
  /** One number per edit of each passage; more is better. */
  score(passages: readonly PassageTrials[]): number[][];
}

/** A reward that also says what it needs, and what changing nothing is worth to it. */
export interface MeasuredReward extends Reward {
  /** Trials of each edit that `score` needs at least; 0 when it reads the text alone. */
  readonly minRepetitions: 0 | 1 | 2;
  /** The score of a model left as it is: an edit that scores no more was not worth making. */
  baseScore(passage: PassageTrials): number;
}

/** What is measured of one trial. */
export type TrialMeasure = "accuracy" | "goldLogprob";

const baseMeasure = (passage: PassageTrials, measure: TrialMeasure): number =>
  measure === "accuracy" ? passage.baseAccuracy : passage.baseGoldLogprob;

function meanOf(name: string, passage: PassageTrials, trials: readonly TrialScore[], measure: TrialMeasure): number {
  if (trials.length === 0)
    throw new SelkieError(
      "bad-input",
      `reward "${name}": expected at least one trial of every edit, got none for an edit of passage "${passage.passageId}"; leave the edit out or train it`,
    );
  return mean(trials.map((trial) => trial[measure]));
}

/** A reward that looks at one edit at a time. */
function perEdit(
  name: string,
  minRepetitions: 0 | 1 | 2,
  worth: (edit: EditTrials, passage: PassageTrials) => number,
  baseScore: (passage: PassageTrials) => number,
): MeasuredReward {
  return {
    name,
    minRepetitions,
    baseScore,
    score: (passages) => passages.map((passage) => passage.edits.map((edit) => worth(edit, passage))),
  };
}

const accuracyOf = (name: string, { trials }: EditTrials, passage: PassageTrials): number =>
  meanOf(name, passage, trials, "accuracy");

/**
 * Mean accuracy of the repetitions, as SEAL's released code has it. Its rule of keeping the best of five whatever it is
 * worth is `selectBest`.
 */
export const sealReward: MeasuredReward = perEdit(
  "seal",
  1,
  (edit, passage) => accuracyOf("seal", edit, passage),
  ({ baseAccuracy }) => baseAccuracy,
);

/**
 * The rule of the paper (equation 2): 1 when the adapted model does better than the base, else 0. Its footnote gives the
 * 1 to the edit with the greatest improvement alone; that is {@link sealReward} with `selectBest`.
 */
export const binaryReward: MeasuredReward = perEdit(
  "binary",
  1,
  (edit, passage) => (accuracyOf("binary", edit, passage) > passage.baseAccuracy ? 1 : 0),
  () => 0,
);

/** Gain in the mean log-probability of the gold answers, nats per token: sees progress before an answer turns right. */
export const denseReward: MeasuredReward = perEdit(
  "dense",
  1,
  ({ trials }, passage) => meanOf("dense", passage, trials, "goldLogprob") - passage.baseGoldLogprob,
  () => 0,
);

/**
 * Accuracy less what was forgotten (as SCoL rewards: acquisition − λ · forgetting). Trials without canaries lose nothing.
 *
 * @param forgettingWeight - λ: accuracy that the loss of all known answers outweighs, at least 0. @defaultValue 1
 */
export function retentionReward(forgettingWeight = 1): MeasuredReward {
  const forgotten = ({ trials }: EditTrials) => {
    const kept = trials.flatMap((trial) => (trial.kept === null ? [] : [trial.kept]));
    return kept.length === 0 ? 0 : 1 - mean(kept);
  };
  return perEdit(
    "retention",
    1,
    (edit, passage) => accuracyOf("retention", edit, passage) - forgettingWeight * forgotten(edit),
    ({ baseAccuracy }) => baseAccuracy,
  );
}

/**
 * Accuracy less the price of training.
 *
 * @param tokenPrice - μ: accuracy that one token of training documents must bring, at least 0. @defaultValue 0.0005
 */
export function lengthReward(tokenPrice = 5e-4): MeasuredReward {
  return perEdit(
    "length",
    1,
    (edit, passage) => accuracyOf("length", edit, passage) - tokenPrice * edit.numTokens,
    ({ baseAccuracy }) => baseAccuracy,
  );
}

/** Options of {@link shrunkReward}. */
export interface ShrinkageOptions {
  /** @defaultValue "accuracy" */
  readonly measure?: TrialMeasure;
  /** Known from another round, say; estimated from the passages scored when absent. */
  readonly components?: VarianceComponents;
}

/**
 * Posterior means of an empirical-Bayes model (Efron & Morris 1973): an edit's mean is drawn towards that of its
 * passage, the more so the noisier it is. Variances are estimated from the repetitions of all passages, so at least
 * one edit needs two. Edits tried equally often keep their order; what changes is how edits of different passages, and
 * edits tried more and less often, compare. A posterior does not mind that the lucky were tried again (halving).
 */
export function shrunkReward(options: ShrinkageOptions = {}): MeasuredReward {
  const { measure = "accuracy" } = options;
  return {
    name: "shrunk",
    minRepetitions: options.components === undefined ? 2 : 1,
    baseScore: (passage) => baseMeasure(passage, measure),
    score(passages) {
      const components = options.components ?? varianceComponents(designOf(passages, measure));
      if (Number.isNaN(components.within))
        throw new SelkieError(
          "bad-input",
          'reward "shrunk": expected at least two trials of some edit to tell signal from noise, got one of each; train every edit twice or more, or give the variance components',
        );
      return passages.map((passage) => shrink(passage, measure, components));
    },
  };
}

/** Least share of the noise's variance that counts as signal, so that shrinkage never loses the order of the means. */
const leastSignal = 1e-6;

function shrink(passage: PassageTrials, measure: TrialMeasure, { between, within }: VarianceComponents): number[] {
  const signal = Number.isNaN(between) ? leastSignal * within : Math.max(between, leastSignal * within);
  const means = passage.edits.map(({ trials }) => meanOf("shrunk", passage, trials, measure));
  if (within <= 0) return means;
  const precisions = passage.edits.map(({ trials }) => 1 / (signal + within / trials.length));
  const total = precisions.reduce((sum, precision) => sum + precision, 0);
  const centre = means.reduce((sum, value, index) => sum + value * precisions[index]!, 0) / total;
  return means.map((value, index) => centre + signal * precisions[index]! * (value - centre));
}

/**
 * Coverage of the passage times faithfulness to it, read off the text: no training, no questions, no judge. Details and
 * limits are in `proxy.ts`.
 */
export const proxyReward: MeasuredReward = {
  name: "proxy",
  minRepetitions: 0,
  baseScore: () => 0,
  score: proxyScores,
};

/** Every reward by name, with its defaults. */
export const rewards: Readonly<
  Record<"seal" | "binary" | "dense" | "shrunk" | "retention" | "length" | "proxy", MeasuredReward>
> = {
  seal: sealReward,
  binary: binaryReward,
  dense: denseReward,
  shrunk: shrunkReward(),
  retention: retentionReward(),
  length: lengthReward(),
  proxy: proxyReward,
};

/** The measurements behind a reward, as passages × edits × repetitions, for variance components and reliability. */
export function designOf(passages: readonly PassageTrials[], measure: TrialMeasure): number[][][] {
  return passages.map(({ edits }) => edits.map(({ trials }) => trials.map((trial) => trial[measure])));
}

/**
 * The reward of each repetition by itself, as passages × edits × repetitions: what {@link designOf} is for accuracy, for
 * any reward of single trials. Its reliability is that of the reward as it is used.
 *
 * @throws {@link SelkieError} `"bad-input"` for a reward that needs several trials at once, or none.
 */
export function rewardDesign(reward: MeasuredReward, passages: readonly PassageTrials[]): RepeatedDesign {
  if (reward.minRepetitions !== 1)
    throw new SelkieError(
      "bad-input",
      `rewardDesign: expected a reward of single trials, got "${reward.name}", which needs ${reward.minRepetitions}; measure the reward it is made of`,
    );
  const design: number[][][] = passages.map(({ edits }) => edits.map(() => []));
  const most = Math.max(0, ...passages.flatMap(({ edits }) => edits.map(({ trials }) => trials.length)));
  for (let repetition = 0; repetition < most; repetition++) {
    const has = ({ trials }: EditTrials) => trials.length > repetition;
    const single = passages.map((passage) => ({
      ...passage,
      edits: passage.edits.filter(has).map((edit) => ({ ...edit, trials: [edit.trials[repetition]!] })),
    }));
    const scores = reward.score(single);
    passages.forEach(({ edits }, index) => {
      let next = 0;
      edits.forEach((edit, at) => {
        if (has(edit)) design[index]![at]!.push(scores[index]![next++]!);
      });
    });
  }
  return design;
}

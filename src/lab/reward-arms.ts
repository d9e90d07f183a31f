/**
 * @file Arms of the comparison of rewards, as values: how trials are spent (a plan), what of them an arm looks at, the reward
 * it makes of that, and how the policy learns from it. Arms that share a plan share its trials: each costs an M-step and
 * an examination.
 */
import {
  binaryReward,
  denseReward,
  type EditWriter,
  halvingRounds,
  kindWriter,
  type LearnSettings,
  lengthReward,
  type MeasuredReward,
  type PassageTrials,
  type PolicyObjective,
  proxyReward,
  retentionReward,
  sealReward,
  shrunkReward,
  survivors,
  uniformSchedule,
} from "../adapt/index.ts";
import { createRng } from "../util/index.ts";

/** One way of spending trials on a round's passages. */
export interface TrialPlan {
  /** Names the stages. */
  readonly name: string;
  readonly settings: Pick<LearnSettings, "numEdits" | "schedule" | "randomNumbers" | "numTrialCanaries">;
  /** The first so many passages of the round. */
  readonly numPassages: number;
  /** Questions of each passage, drawn at random; `null` asks all. */
  readonly numQuestions: number | null;
  /** Writes the edits; `null` leaves it to the policy. */
  readonly writer: EditWriter | null;
}

/** One way from trials to a policy. */
export interface RewardArm {
  readonly name: string;
  readonly plan: TrialPlan;
  /** What of the plan's trials this arm needs; it pays for no others and its reward sees no others. */
  readonly see: (passages: readonly PassageTrials[]) => PassageTrials[];
  readonly reward: MeasuredReward;
  /** What reliability is measured of: the reward, or the reward of single trials that it is made of; `null` for none. */
  readonly measured: MeasuredReward | null;
  readonly objective: PolicyObjective;
  /** Its reward reads the canaries that were asked in trials. */
  readonly asksCanaries: boolean;
}

/** Sizes that plans are made from: the shared one has so many passages × edits × repetitions, the others as many trials. */
export interface RewardArmSizes {
  readonly numPassages: number;
  readonly numEdits: number;
  readonly repetitions: number;
  /** Asked in every trial of the shared plan. */
  readonly numTrialCanaries: number;
}

/** Every plan by what it is for. */
export interface TrialPlans {
  readonly shared: TrialPlan;
  readonly independent: TrialPlan;
  readonly moreEdits: TrialPlan;
  readonly morePassages: TrialPlan;
  readonly halving: TrialPlan;
  /** Edits of one kind, measured as the shared ones are. */
  readonly oneKind: TrialPlan;
  /** As SEAL measures: five questions and independent random numbers. */
  readonly asSeal: TrialPlan;
  /** The same with edits of one kind. */
  readonly asSealOneKind: TrialPlan;
}

const sealQuestions = 5;
const ofOneKind = kindWriter("implications"); // the prompt of SEAL's main runs

/** Plans of equally many trials. */
export function createPlans({ numPassages, numEdits, repetitions, numTrialCanaries }: RewardArmSizes): TrialPlans {
  const plan = (name: string, over: Partial<TrialPlan>, settings: Partial<TrialPlan["settings"]> = {}): TrialPlan => ({
    ...{ name, numPassages, numQuestions: null, writer: null },
    ...over,
    settings: {
      ...{ numEdits, schedule: uniformSchedule(numEdits, repetitions), randomNumbers: "common", numTrialCanaries: 0 },
      ...settings,
    },
  });
  const each = numEdits * repetitions;
  const contenders = 2 * numEdits;
  const aside = { numPassages: Math.ceil(numPassages / 2) }; // for reliability alone, half of them tell enough
  const asSeal = { ...aside, numQuestions: sealQuestions };
  return {
    shared: plan("shared", {}, { numTrialCanaries }),
    independent: plan("independent", {}, { randomNumbers: "independent" }),
    moreEdits: plan("more-edits", {}, { numEdits: each, schedule: uniformSchedule(each, 1) }),
    morePassages: plan(
      "more-passages",
      { numPassages: numPassages * repetitions },
      { schedule: uniformSchedule(numEdits, 1) },
    ),
    halving: plan(
      "halving",
      {},
      { numEdits: contenders, schedule: halvingRounds(contenders, Math.max(each, contenders)) },
    ),
    oneKind: plan("one-kind", { ...aside, writer: ofOneKind }),
    asSeal: plan("as-seal", asSeal, { randomNumbers: "independent" }),
    asSealOneKind: plan("as-seal-one-kind", { ...asSeal, writer: ofOneKind }, { randomNumbers: "independent" }),
  };
}

/** Passages with the first so many trials of each edit. */
const withTrials = (
  passages: readonly PassageTrials[],
  count: (passage: number, edit: number) => number,
): PassageTrials[] =>
  passages.map((passage, index) => ({
    ...passage,
    edits: passage.edits.map((edit, at) => ({ ...edit, trials: edit.trials.slice(0, count(index, at)) })),
  }));

const everything: RewardArm["see"] = (passages) => [...passages];
const nothing: RewardArm["see"] = (passages) => withTrials(passages, () => 0);
const firstTrial: RewardArm["see"] = (passages) => withTrials(passages, () => 1);

/** The first trial of those edits of each passage that the free proxy likes best. */
export const seeProxyBest =
  (count: number): RewardArm["see"] =>
  (passages) => {
    const best = proxyReward.score(passages).map((row) => new Set(survivors(row, [...row.keys()], count)));
    return withTrials(passages, (passage, edit) => (best[passage]!.has(edit) ? 1 : 0));
  };

/** `reward` of the edits that were tried; the others are worth less than any. */
export function rewardOfTried(reward: MeasuredReward): MeasuredReward {
  const isTried = ({ trials }: PassageTrials["edits"][number]) => trials.length > 0;
  return {
    ...reward,
    score(passages) {
      const scores = reward.score(passages.map((passage) => ({ ...passage, edits: passage.edits.filter(isTried) })));
      return passages.map(({ edits }, passage) => {
        let next = 0;
        return edits.map((edit) => (isTried(edit) ? scores[passage]![next++]! : Number.NEGATIVE_INFINITY));
      });
    },
  };
}

/** Noise: the same for the same edit, and nothing to do with what it is worth. The control that every reward must beat. */
export const randomReward: MeasuredReward = {
  name: "random",
  minRepetitions: 0,
  baseScore: () => 0,
  score: (passages) =>
    passages.map(({ passageId, edits }) =>
      edits.map(({ edit }, index) => createRng("random-reward").fork(passageId, index, edit.text).uniform()),
    ),
};

/** SEAL's arm, which the others are compared with. */
export const sealArmName = "seal: mean accuracy, best of the edits";
/** Arm of the outer loop's default settings. */
export const denseArmName = "dense: gain in gold log-probability";

/** All arms. */
export function createRewardArms(plans: TrialPlans): RewardArm[] {
  const { shared } = plans;
  const best: PolicyObjective = { kind: "rest-em", keep: 1, aboveBase: false };
  const arm = (name: string, reward: MeasuredReward, over: Partial<RewardArm> = {}): RewardArm => ({
    ...{ name, reward, plan: shared, see: everything, objective: best, asksCanaries: false },
    measured: reward.minRepetitions === 1 ? reward : null,
    ...over,
  });
  const dense = (name: string, over: Partial<RewardArm>) => arm(name, denseReward, over);
  const preference = (loss: "dpo" | "ipo"): PolicyObjective => ({ kind: "preference", loss, beta: 0.1, minGap: 0 });
  return [
    arm(sealArmName, sealReward),
    arm("binary: all edits better than none", binaryReward, {
      objective: { kind: "rest-em", keep: shared.settings.numEdits, aboveBase: true },
    }),
    arm(denseArmName, denseReward),
    arm("shrunk: posterior mean of accuracy", shrunkReward(), { measured: sealReward }),
    arm("retention: accuracy less what was forgotten", retentionReward(), { asksCanaries: true }),
    arm("length: accuracy less the price of tokens", lengthReward()),
    dense("dense, first repetition alone", { see: firstTrial }),
    dense("dense, one repetition, more edits", { plan: plans.moreEdits }),
    dense("dense, one repetition, more passages", { plan: plans.morePassages }),
    dense("dense, twice the edits, successive halving", { plan: plans.halving }),
    dense("dense, independent random numbers", { plan: plans.independent }),
    arm("proxy: no trials", proxyReward, { see: nothing }),
    arm("proxy's best 2 of more edits, then dense", rewardOfTried(denseReward), {
      ...{ plan: plans.moreEdits, see: seeProxyBest(2), measured: null },
    }),
    dense("dense, keep 2", { objective: { ...best, keep: 2 } }),
    dense("dense, DPO", { objective: preference("dpo") }),
    dense("dense, IPO", { objective: preference("ipo") }),
    dense("dense, advantage-weighted", { objective: { kind: "advantage", temperature: 0.5, maxWeight: 20 } }),
    arm("control: a random edit", randomReward, { see: nothing }),
  ];
}

/**
 * @file Rewards, ways of spending trials and policy updates compared at equal inner-loop cost: from the untrained policy one
 * round each, then the new policy's edits of held-out passages. Trials are computed once for all arms that share them;
 * held-out samples and trials of all arms of a seed share their random numbers, the untrained policy's among them.
 */

import { rmSync } from "node:fs";
import {
  askPolicy,
  checkDigest,
  choose,
  createPace,
  denseReward,
  examineEdits,
  type Kept,
  type KnowledgeContext,
  type KnowledgeExpectation,
  type KnowledgeTask,
  type LearnKnowledgeArgs,
  type LearnSettings,
  type MeasuredReward,
  makePolicy,
  meanAccuracy,
  measureReliability,
  type PassageTrials,
  type PrepareArgs,
  prepareLearning,
  proposedBy,
  rewardDesign,
  type SampledEdit,
  sealReward,
  stage,
  trialsOfPassage,
  tryEdits,
  withKnowledge,
} from "../adapt/index.ts";
import type { Engine } from "../engine/index.ts";
import { createRng, crossedComponents, type Estimate, mean, varianceComponents } from "../util/index.ts";
import { prefixed } from "./arms.ts";
import { createPlans, createRewardArms, type RewardArm, type RewardArmSizes, type TrialPlan } from "./reward-arms.ts";
import { meanOfMeasured, type SeedTable } from "./table.ts";

/** Inputs of {@link compareRewards}. */
export interface RewardComparisonArgs
  extends Omit<LearnKnowledgeArgs, "writer" | "oldText" | "onExamined" | "seed" | "settings">,
    RewardArmSizes {
  readonly seeds: readonly number[];
  /** Names of arms. @defaultValue all */
  readonly arms?: readonly string[];
  /** Inner loop and update of all arms. */
  readonly settings: LearnSettings;
}

/** What one arm came to. */
export interface RewardArmResult {
  readonly name: string;
  readonly plan: string;
  /** Right answers after one edit of the new policy, `[seeds][held-out passages]`. */
  readonly scores: SeedTable;
  /** What the new policy itself keeps of what the untrained one knew, by seed; `null` without canaries. */
  readonly policyKept: readonly (number | null)[];
  /** SHA-256 of the policies, by seed. */
  readonly policies: readonly string[];
  /** Mean accuracy, on the selection questions and in all trials of the plan, of the edits the policy learned from. */
  readonly chosenAccuracy: number | null;
  readonly reliability: { readonly ofOne: Estimate; readonly ofAll: Estimate } | null;
  /** Means over seeds. */
  readonly cost: ArmCost;
}

/** What an arm spends on one round. */
export interface ArmCost {
  readonly numTrials: number;
  /** Tokens of the trials' documents times epochs. */
  readonly numTokens: number;
  /** Asked after trials for the reward's sake. */
  readonly numCanaryQuestions: number;
  /** Edits sampled. */
  readonly numWritten: number;
  /** Updates of the policy. */
  readonly numUpdates: number;
}

/** How reliable a reward is under one way of measuring. */
export interface ReliabilityResult {
  readonly name: string;
  readonly numQuestions: number;
  readonly ofOne: Estimate | null;
  readonly ofAll: Estimate | null;
  /** Standard deviation of what the edits of a passage are worth, and of one trial's luck. */
  readonly spread: { readonly edits: number; readonly luck: number };
  readonly numPassages: number;
}

/** Everything. */
export interface RewardComparison {
  readonly untrained: SeedTable;
  readonly untrainedKept: readonly (number | null)[];
  readonly arms: readonly RewardArmResult[];
  readonly reliability: readonly ReliabilityResult[];
}

/** One seed of one arm. */
interface Outcome {
  readonly perPassage: readonly number[];
  readonly policyKept: number | null;
  readonly policy: string;
  readonly numUpdates: number;
}

/** One seed: trials by plan, and what became of each arm. */
interface SeedFindings {
  readonly untrained: Pick<Outcome, "perPassage" | "policyKept">;
  readonly trials: ReadonlyMap<string, readonly PassageTrials[]>;
  readonly outcomes: readonly Outcome[];
  readonly kept: readonly Kept[];
  readonly numQuestions: number;
}

/** Runs all arms for every seed; finished stages are read from the store, and policies are removed once examined. */
export async function compareRewards(args: RewardComparisonArgs): Promise<RewardComparison> {
  const plans = createPlans(args);
  const arms = createRewardArms(plans).filter(({ name }) => args.arms?.includes(name) ?? true);
  const found: SeedFindings[] = [];
  for (const [index, seed] of args.seeds.entries()) {
    const used = [...new Set(arms.map(({ plan }) => plan))];
    const all = index === 0 ? [...used, plans.oneKind, plans.asSeal, plans.asSealOneKind] : used; // their reliability alone is wanted
    found.push(await runSeed(args, seed, all, arms));
  }
  return {
    untrained: found.map(({ untrained }) => untrained.perPassage),
    untrainedKept: found.map(({ untrained }) => untrained.policyKept),
    arms: arms.map((arm, index) => reportArm(args, arm, index, found)),
    reliability: reportReliability(plans, found),
  };
}

async function runSeed(
  args: RewardComparisonArgs,
  seed: number,
  plans: readonly TrialPlan[],
  arms: readonly RewardArm[],
): Promise<SeedFindings> {
  const numPassages = Math.max(...plans.map((plan) => plan.numPassages));
  const prepareArgs: PrepareArgs<KnowledgeTask, SampledEdit> = {
    ...withKnowledge(args),
    ...{ seed, oldText: null, store: prefixed(args.store, `seed-${seed}`) },
    settings: { ...args.settings, ...plans[0]!.settings, numRounds: 1, passagesPerRound: numPassages },
    directoryOf: (name) => args.directoryOf(`seed-${seed}/${name}`),
    onEvent: (event) => args.onEvent?.({ ...event, stage: `seed ${seed}, ${event.stage}` }),
  };
  const { context, untrained, expectations } = await tryPlans(args, prepareArgs, plans);
  const outcomes: Outcome[] = [];
  const kept: Kept[] = [];
  for (const arm of arms) {
    const chosen = chooseFor(arm, expectations.get(arm.plan.name)!);
    kept.push(chosen);
    outcomes.push(await runArm(args, context, arm, chosen));
  }
  const trials = new Map([...expectations].map(([name, expectation]) => [name, expectation.trials]));
  return { untrained, trials, outcomes, kept, numQuestions: context.rounds[0]![0]!.exam.selection.length };
}

/** All trials, of the untrained policy. */
async function tryPlans(
  args: RewardComparisonArgs,
  prepareArgs: PrepareArgs<KnowledgeTask, SampledEdit>,
  plans: readonly TrialPlan[],
) {
  await using base = await args.openPolicy(args.modelDirectory);
  const context = await prepareLearning(prepareArgs, base);
  const expectations = new Map<string, KnowledgeExpectation>();
  for (const plan of plans) expectations.set(plan.name, await tryPlan(context, base, plan));
  const name = "untrained";
  const found = await examineEdits(context, base, { name, title: "held-out, untrained", canaries: [] });
  const policyKept = await askPolicy(context, base, name);
  return { context, untrained: { perPassage: perPassageOf(found), policyKept }, expectations };
}

function tryPlan(context: KnowledgeContext, base: Engine, plan: TrialPlan): Promise<KnowledgeExpectation> {
  const { numPassages, numQuestions, settings, writer, name } = plan;
  const tasks = context.rounds[0]!.slice(0, numPassages);
  return tryEdits(
    {
      ...context,
      settings: { ...context.settings, ...settings },
      domain: writer === null ? context.domain : { ...context.domain, propose: proposedBy(writer) },
      reward: denseReward,
      store: prefixed(context.store, `plan/${name}`),
      pace: createPace(tasks.length * trialsOfPassage(settings.schedule)),
      tell: (part, ...rest) => context.tell(`${name}: ${part}`, ...rest),
    },
    base,
    1,
    numQuestions === null ? tasks : tasks.map((task) => askFewer(task, numQuestions)),
  );
}

function askFewer({ source, exam }: KnowledgeTask, count: number): KnowledgeTask {
  const selection = createRng("fewer-questions").fork(source.id).shuffle(exam.selection).slice(0, count);
  return { source, exam: { ...exam, selection } };
}

const perPassageOf = ({ trials }: KnowledgeExpectation): number[] =>
  trials.map((passage) => meanOfMeasured(passage.edits.map(meanAccuracy)) ?? 0);

/** What the policy of an arm learns from. */
function chooseFor({ see, reward, objective }: RewardArm, { candidates, trials: all }: KnowledgeExpectation): Kept {
  const trials = see(all);
  return choose(objective, { candidates, trials, rewards: reward.score(trials) }, trials.map(reward.baseScore));
}

/** The M-step of an arm and the examination of its policy, which is removed afterwards. */
async function runArm(
  args: RewardComparisonArgs,
  context: KnowledgeContext,
  arm: RewardArm,
  kept: Kept,
): Promise<Outcome> {
  const place = `arm/${arm.name.replaceAll(/[^a-z0-9]+/gi, "-")}`;
  const { settings } = context;
  const own: KnowledgeContext = {
    ...context,
    settings: { ...settings, update: { ...settings.update, objective: arm.objective } },
    store: prefixed(context.store, place),
    directoryOf: (name) => context.directoryOf(`${place}/${name}`),
    pace: createPace(context.heldOutTasks.length * settings.heldOutEdits),
    tell: (part, ...rest) => context.tell(`${arm.name}: ${part}`, ...rest),
  };
  const outcome = await stage(own.store, "outcome", async (): Promise<Outcome> => {
    const made = await stage(own.store, "policy", async () => {
      await using engine = await args.openPolicy(args.modelDirectory);
      return await makePolicy(own, engine, 1, kept); // before the model is disposed of
    });
    const directory = own.directoryOf(made.policy.directory);
    await using policy = await args.openPolicy(directory);
    checkDigest(policy, directory, made.policy.digest);
    const found = await examineEdits(own, policy, { name: "held-out", title: "held-out", canaries: [] });
    const policyKept = await askPolicy(own, policy, "held-out");
    return {
      perPassage: perPassageOf(found),
      policyKept,
      policy: policy.model.digest,
      numUpdates: made.update.numSteps,
    };
  });
  rmSync(context.directoryOf(place), { recursive: true, force: true });
  return outcome;
}

function reportArm(
  { settings, numTrialCanaries }: RewardComparisonArgs,
  arm: RewardArm,
  index: number,
  found: readonly SeedFindings[],
): RewardArmResult {
  const outcomes = found.map((seed) => seed.outcomes[index]!);
  const all = found.map(({ trials }) => trials.get(arm.plan.name)!);
  const costs = all.map((trials, seed): ArmCost => {
    const edits = arm.see(trials).flatMap((passage) => passage.edits);
    const total = (of: (edit: (typeof edits)[number]) => number) => edits.reduce((sum, edit) => sum + of(edit), 0);
    const numTrials = total((edit) => edit.trials.length);
    return {
      numTrials,
      numTokens: settings.innerLoop.epochs * total((edit) => edit.numTokens * edit.trials.length),
      numCanaryQuestions: arm.asksCanaries ? numTrialCanaries * numTrials : 0,
      numWritten: edits.length,
      numUpdates: outcomes[seed]!.numUpdates,
    };
  });
  const meanCost = (part: keyof ArmCost) => mean(costs.map((cost) => cost[part]));
  return {
    name: arm.name,
    plan: arm.plan.name,
    scores: outcomes.map(({ perPassage }) => perPassage),
    policyKept: outcomes.map(({ policyKept }) => policyKept),
    policies: outcomes.map(({ policy }) => policy),
    chosenAccuracy: meanOfMeasured(found.flatMap(({ kept }, seed) => chosenAccuracies(kept[index]!, all[seed]!))),
    reliability: arm.measured && reliabilityOf(arm.measured, arm.plan, all.flatMap(arm.see)),
    cost: {
      numTrials: meanCost("numTrials"),
      numTokens: meanCost("numTokens"),
      numCanaryQuestions: meanCost("numCanaryQuestions"),
      numWritten: meanCost("numWritten"),
      numUpdates: meanCost("numUpdates"),
    },
  };
}

/** Accuracy of each edit that the policy was drawn towards, weighted ones as they come. */
function chosenAccuracies(kept: Kept, trials: readonly PassageTrials[]): (number | null)[] {
  const chosen = kept.kind === "pairs" ? kept.pairs.map((pair) => pair.chosen) : kept.examples;
  return chosen.map(({ passage, edit }) => meanAccuracy(trials[passage]!.edits[edit]!));
}

/** `null` where the trials cannot tell: fewer than two of every edit, or a reward that is the same for all edits. */
function reliabilityOf(
  reward: MeasuredReward,
  { settings }: TrialPlan,
  trials: readonly PassageTrials[],
): RewardArmResult["reliability"] {
  const counts = new Set(trials.flatMap(({ edits }) => edits.map((edit) => edit.trials.length)));
  if (counts.size !== 1 || counts.has(0) || counts.has(1)) return null;
  const rng = createRng("reward-reliability");
  const { ofOne, ofAll } = measureReliability(reward, trials, settings.randomNumbers, rng);
  return Number.isFinite(ofOne.value) ? { ofOne, ofAll } : null;
}

/** From our way of measuring to SEAL's. */
function reportReliability(
  { shared, independent, oneKind, asSeal, asSealOneKind }: ReturnType<typeof createPlans>,
  found: readonly SeedFindings[],
): ReliabilityResult[] {
  const ways = [
    ["all questions, common random numbers", shared],
    ["all questions, independent random numbers", independent],
    ["five questions, independent random numbers", asSeal],
    ["all questions, common random numbers, one kind (implications)", oneKind],
    ["five questions, independent random numbers, one kind (implications)", asSealOneKind],
  ] as const;
  const tried = ways.filter(([, plan]) => found.some(({ trials }) => trials.has(plan.name)));
  return tried.flatMap(([way, plan]) =>
    ([denseReward, sealReward] as const).map((reward): ReliabilityResult => {
      const trials = found.flatMap((seed) => seed.trials.get(plan.name) ?? []);
      const design = rewardDesign(reward, trials);
      const components = plan.settings.randomNumbers === "common" ? crossedComponents : varianceComponents;
      const { between, within } = components(design);
      const reliability = reliabilityOf(reward, plan, trials);
      return {
        name: `${reward === sealReward ? "accuracy" : "dense"}: ${way}`,
        numQuestions: plan.numQuestions ?? found[0]!.numQuestions,
        ofOne: reliability?.ofOne ?? null,
        ofAll: reliability?.ofAll ?? null,
        spread: { edits: Math.sqrt(Math.max(0, between)), luck: Math.sqrt(Math.max(0, within)) },
        numPassages: trials.length,
      };
    }),
  );
}

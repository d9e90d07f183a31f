/**
 * @file How long a round of the outer loop takes, against the reference's way of doing the same trials: one adapter at a
 * time, every document padded to the longest the model takes. Both are timed in turn on the same trials, edits of the
 * untrained policy; the slow ways on a sample of them. Our round is timed whole. What padding does to the answers is measured
 * apart, on held-out passages.
 */
import {
  type AdaptEvent,
  accuracy,
  type Canaries,
  choose,
  type EditWriter,
  expectRewards,
  type KnowledgeCandidate,
  knowledgeDomain,
  type LearnSettings,
  maximise,
  type PromptTemplates,
  policyWriter,
  rewardNamed,
  type StageStore,
  sampleReplay,
  stage,
  trialsOfPassage,
  withoutExamQuestions,
  writeCandidates,
} from "../adapt/index.ts";
import type { Engine } from "../engine/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { createRng } from "../util/index.ts";
import { createArmContext } from "./arms.ts";
import type { PolicyContext } from "./policies.ts";
import {
  examineInTurn,
  examineTogether,
  jobOf,
  type LoopTimes,
  type LoopTrial,
  type LoopVariantName,
  loopVariants,
} from "./reference-loop.ts";

/** Inputs of {@link runRoundTime}. */
export interface RoundTimeArgs {
  readonly modelDirectory: string;
  /** Opens a checkpoint; the experiment disposes of what it opened. */
  readonly open: (directory: string) => Promise<Engine>;
  readonly templates: PromptTemplates;
  readonly canaries: Canaries;
  /** Of the round that is timed. */
  readonly passages: readonly SourcePassage[];
  /** For what padding does to the answers. */
  readonly heldOut: readonly SourcePassage[];
  readonly settings: LearnSettings;
  readonly seed: number;
  /** Trials that are trained one at a time. */
  readonly sample: number;
  /** Each way of training is timed so often, in turn with the others. */
  readonly repetitions: number;
  readonly store: StageStore;
  /** Milliseconds. */
  readonly clock: () => number;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** One way of running trials, timed. */
export interface TimedArm {
  readonly name: string;
  readonly numTrials: number;
  /** Rows to compute for a trial of the whole bank, this way, on the mean. */
  readonly tokensPerTrial: number;
  /** One per repetition. */
  readonly times: readonly LoopTimes[];
}

/** Our round, whole. */
export interface WholeRound {
  readonly numPassages: number;
  readonly numTrials: number;
  /** Texts to replay are sampled once for all rounds. */
  readonly replaySeconds: number;
  readonly writeSeconds: number;
  /** Training and asking, base answers included. */
  readonly trialSeconds: number;
  readonly updateSeconds: number;
}

/** Answers after training one way. */
export interface LoopAccuracy {
  readonly name: string;
  /** Share of right answers to the report questions of each passage. */
  readonly scores: readonly number[];
  /** Share of the canaries still answered right. */
  readonly kept: readonly (number | null)[];
  readonly numTokens: number;
}

/** All that is measured. */
export interface RoundTimes {
  /** The bank first. */
  readonly arms: readonly TimedArm[];
  readonly round: WholeRound;
  readonly answers: readonly LoopAccuracy[];
}

type RoundContext = Omit<PolicyContext, typeof Symbol.asyncDispose>;

/** Measures everything; finished parts are read from the store. */
export async function runRoundTime(args: RoundTimeArgs): Promise<RoundTimes> {
  await using engine = await args.open(args.modelDirectory);
  const roomFor = (name: string, passages: readonly SourcePassage[]) =>
    createArmContext({ ...args, name, engine, passages, seed: args.seed, groupSize: args.settings.groupSize });
  const context = await roomFor("round", args.passages);
  const arms = await timeArms(args, context);
  const answers = await comparePadding(args, await roomFor("held-out", args.heldOut));
  const round = await stage(args.store, "whole-round", () => timeRound(args, context));
  return { arms, round, answers };
}

/** The round's first edits, enough to fill the bank once, as trials. */
async function roundTrials({ settings, seed }: RoundTimeArgs, context: RoundContext): Promise<LoopTrial[]> {
  const { numEdits, groupSize } = settings;
  const tasks = context.tasks.slice(0, Math.ceil(groupSize / numEdits));
  const edits = await writeStage(context, "edits", tasks, numEdits, seed);
  return tasks
    .flatMap(({ source, exam }, passage) =>
      edits[passage]!.map(({ documents }, edit) => ({ id: `${source.id}/${edit}`, documents, items: exam.selection })),
    )
    .slice(0, groupSize);
}

/** Edits of `tasks`. */
function writeStage(
  context: RoundContext,
  name: string,
  tasks: RoundContext["tasks"],
  numEdits: number,
  seed: number,
): Promise<KnowledgeCandidate[][]> {
  const { forbidden, groupSize, store } = context;
  return writeCandidates({
    ...{ name, tasks, numEdits, groupSize, store },
    domain: knowledgeDomain({ passages: [], heldOut: [] }),
    guard: (documents) => withoutExamQuestions(documents, forbidden),
    rng: createRng(seed).fork("round-time"),
    context: { ...context, innerLoop: { unionOf: 1 } },
  });
}

/** Every `n`-th trial of those sorted by length: the sample is as long as the rest. */
function sampleTrials(trials: readonly LoopTrial[], count: number): LoopTrial[] {
  const sizeOf = ({ documents }: LoopTrial) => documents.join("\n").length;
  const sorted = trials.toSorted((a, b) => sizeOf(a) - sizeOf(b));
  const taken = Math.min(count, sorted.length);
  return Array.from({ length: taken }, (_, index) => sorted[Math.floor(((index + 0.5) * sorted.length) / taken)]!);
}

const timedArms: readonly {
  readonly name: string;
  readonly slug: string;
  readonly variant: LoopVariantName;
  readonly isTogether: boolean;
}[] = [
  { name: "the bank: all at once, no padding", slug: "bank", variant: "ours", isTogether: true },
  { name: "one at a time, no padding", slug: "alone", variant: "ours", isTogether: false },
  { name: "one at a time, padded", slug: "padded", variant: "padded", isTogether: false },
  { name: "one at a time, padded, q and v alone", slug: "padded-qv", variant: "paddedAttention", isTogether: false },
];

async function timeArms(args: RoundTimeArgs, context: RoundContext): Promise<TimedArm[]> {
  const { settings, store, clock, repetitions, sample, onEvent } = args;
  const trials = await roundTrials(args, context);
  const few = sampleTrials(trials, sample);
  const variants = loopVariants(settings.innerLoop);
  const plans = timedArms.map(({ name, slug, variant, isTogether }) => {
    const own = isTogether ? trials : few;
    const jobsOf = (list: readonly LoopTrial[]) =>
      list.map((trial) => jobOf(context, settings.innerLoop, variants[variant], trial));
    const rows = jobsOf(trials).flatMap(({ documents, epochs }) =>
      documents.map(({ tokenIds }) => epochs * (tokenIds.length - 1)),
    );
    const tokensPerTrial = rows.reduce((total, count) => total + count, 0) / trials.length;
    return { name, slug, isTogether, own, jobs: jobsOf(own), tokensPerTrial };
  });
  await stage(store, "warm-up", async () => {
    const { jobs, own } = plans[0]!;
    const { numTokens } = await examineTogether(context, jobs.slice(0, 2), own.slice(0, 2), clock);
    return { numTokens };
  });
  const times = plans.map((): LoopTimes[] => []);
  for (let repetition = 0; repetition < repetitions; repetition++)
    for (const [index, { slug, isTogether, own, jobs }] of plans.entries()) {
      onEvent?.({ stage: slug, done: repetition, total: repetitions });
      const found = await stage(store, `times/${slug}-${repetition}`, async (): Promise<LoopTimes> => {
        if (!isTogether) return examineInTurn(context, jobs, own, clock);
        const { answers: _, ...taken } = await examineTogether(context, jobs, own, clock);
        return taken;
      });
      times[index]!.push(found);
    }
  return plans.map(({ name, own, tokensPerTrial }, index) => ({
    ...{ name, tokensPerTrial, times: times[index]! },
    numTrials: own.length,
  }));
}

/** A store that forgets: what is timed must be done. */
function memoryStore(): StageStore {
  const values = new Map<string, unknown>();
  return {
    read: async (name) => values.get(name) ?? null,
    write: async (name, value) => void values.set(name, value),
  };
}

/** The E-step and the M-step of the first round, as `learnKnowledge` does them. */
async function timeRound(args: RoundTimeArgs, context: RoundContext): Promise<WholeRound> {
  const { settings, seed, clock, signal, onEvent } = args;
  await using engine = await args.open(args.modelDirectory); // the M-step changes it
  const { tasks, templates, forbidden } = context;
  const rng = createRng(seed).fork("round-time");
  const seconds = (since: number) => (clock() - since) / 1000;
  const began = clock();
  const texts = await sampleReplay({ engine, templates, signal }, settings.numReplay, rng.fork("replay"));
  const replay = withoutExamQuestions(texts, forbidden);
  const replaySeconds = seconds(began);
  let writeSeconds = 0;
  const writer: EditWriter = async (...asked) => {
    const since = clock();
    const edits = await policyWriter(...asked);
    writeSeconds += seconds(since);
    return edits;
  };
  const reward = rewardNamed(settings.reward);
  const numTrials = tasks.length * trialsOfPassage(settings.schedule);
  let done = 0;
  const start = clock();
  const found = await expectRewards({
    ...{ name: "round", tasks, reward, rng, store: memoryStore(), use: "selection" },
    domain: knowledgeDomain({ passages: [], heldOut: [], writer }),
    guard: (documents) => withoutExamQuestions(documents, forbidden),
    context: { ...{ engine, templates, signal, replay, canaries: [] }, innerLoop: settings.innerLoop },
    numEdits: settings.numEdits,
    schedule: settings.schedule,
    groupSize: settings.groupSize,
    runSeed: `${seed}`,
    randomNumbers: settings.randomNumbers,
    onTrials(count) {
      done += count;
      onEvent?.({ stage: "a whole round", done, total: numTrials });
    },
  });
  const expectSeconds = seconds(start);
  const kept = choose(settings.update.objective, found, found.trials.map(reward.baseScore));
  const updating = clock();
  await maximise({ engine, kept, update: settings.update, replay, seed: `${seed}`, signal });
  return {
    ...{ numPassages: tasks.length, numTrials: found.records.length, replaySeconds, writeSeconds },
    trialSeconds: expectSeconds - writeSeconds,
    updateSeconds: seconds(updating),
  };
}

/** Passages whose padded adapters are trained side by side. */
const paddedGroup = 10;

/** One edit of every held-out passage, learned each way. */
async function comparePadding(args: RoundTimeArgs, context: RoundContext): Promise<LoopAccuracy[]> {
  const { settings, seed, clock, onEvent, store } = args;
  const edits = await writeStage(context, "edits", context.tasks, 1, seed);
  const trials = context.tasks.map(
    ({ source, exam }, passage): LoopTrial => ({
      id: source.id,
      documents: edits[passage]![0]!.documents,
      items: [...exam.report, ...context.canaries],
    }),
  );
  const found: LoopAccuracy[] = [];
  for (const variant of Object.values(loopVariants(settings.innerLoop))) {
    const groups: { scores: number[]; kept: (number | null)[]; numTokens: number }[] = [];
    for (let from = 0; from < trials.length; from += paddedGroup) {
      onEvent?.({ stage: variant.slug, done: from, total: trials.length });
      const group = trials.slice(from, from + paddedGroup);
      groups.push(
        await stage(store, `answers/${variant.slug}-${from}`, async () => {
          const jobs = group.map((trial) => jobOf(context, settings.innerLoop, variant, trial));
          const { answers, numTokens } = await examineTogether(context, jobs, group, clock);
          const numReport = (index: number) => context.tasks[from + index]!.exam.report.length;
          return {
            scores: answers.map((sheet, index) => accuracy(sheet.slice(0, numReport(index)))!),
            kept: answers.map((sheet, index) => accuracy(sheet.slice(numReport(index)))),
            numTokens,
          };
        }),
      );
    }
    found.push({
      name: variant.name,
      scores: groups.flatMap(({ scores }) => scores),
      kept: groups.flatMap(({ kept }) => kept),
      numTokens: groups.reduce((total, { numTokens }) => total + numTokens, 0) / trials.length,
    });
  }
  return found;
}

/**
 * @file The outer loop: the policy that writes self-edits is trained on those of its edits that taught the most
 * (SEAL, arXiv 2506.10943: ReST-EM). A round tries edits of passages of its own (`expectation.ts`), keeps the best
 * (`kept.ts`) and trains the policy on them (`maximisation.ts`); the next round goes on from there, as writer and as base.
 * Finished parts are read from the store, so the same call after a kill goes on where it stopped and ends with the same
 * policies, byte for byte.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, saveCheckpoint } from "../../models/index.ts";
import { writeFileAtomic } from "../../registry/index.ts";
import type { SourcePassage } from "../../tasks/index.ts";
import { createRng, type Rng, SelkieError } from "../../util/index.ts";
import { allQuestions, buildExams, redactPassage } from "../build-exam.ts";
import type { Canaries } from "../canaries.ts";
import { chunkPassages } from "../chunk.ts";
import { accuracy, type ExamItem, examine } from "../exam.ts";
import type { PromptTemplates } from "../prompts.ts";
import { sampleReplay } from "../propose.ts";
import { type MeasuredReward, rewards } from "../rewards.ts";
import { withoutExamQuestions } from "../self-edit.ts";
import { type AdaptEvent, type StageStore, stage } from "../settings.ts";
import { expectRewards, type Lesson, meanAccuracy } from "./expectation.ts";
import { choose, describeLearned, type Kept } from "./kept.ts";
import { type MaximisationReport, maximise } from "./maximisation.ts";
import { createPace, type Pace } from "./pace.ts";
import {
  type EvaluationReport,
  type LearnReport,
  type PolicyRecord,
  type RoundReport,
  reportEvaluation,
  reportRound,
} from "./report.ts";
import { checkLearnSettings, type LearnSettings, trialsOfPassage, uniformSchedule } from "./settings.ts";
import type { EditWriter } from "./teacher.ts";
import type { TrialRoom } from "./trials.ts";

/** Inputs of {@link learnKnowledge}. */
export interface LearnArgs {
  /** The model to begin with. */
  readonly modelDirectory: string;
  /** Opens a checkpoint for training; the loop disposes of what it opened. */
  readonly openPolicy: (directory: string) => Promise<Checkpoint>;
  readonly templates: PromptTemplates;
  readonly canaries: Canaries;
  readonly passages: readonly SourcePassage[];
  /** Passages that no round trains on; every policy is examined on them. */
  readonly heldOut: readonly SourcePassage[];
  readonly writer: EditWriter;
  /** Old text to replay; `null` samples it from the first policy. */
  readonly oldText: ((count: number, rng: Rng) => Promise<readonly string[]>) | null;
  readonly settings: LearnSettings;
  readonly seed: number | string;
  readonly store: StageStore;
  /** Directory for a policy, or for the training state of the M-step that makes it, by name. */
  readonly directoryOf: (name: string) => string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** What all rounds share. */
interface Course extends LearnArgs {
  readonly rng: Rng;
  readonly reward: MeasuredReward;
  /** By round. */
  readonly rounds: readonly (readonly Lesson[])[];
  readonly heldOutLessons: readonly Lesson[];
  readonly forbidden: readonly string[];
  readonly knownCanaries: readonly ExamItem[];
  readonly replay: readonly string[];
  readonly pace: Pace;
  readonly tell: (stage: string, done: number, total: number, note?: string) => void;
}

/** Runs the outer loop, or goes on with it. */
export async function learnKnowledge(args: LearnArgs): Promise<LearnReport> {
  checkLearnSettings(args.settings);
  let opened: Checkpoint | null = null;
  const open = async (directory: string, digest: string | null): Promise<Checkpoint> => {
    opened?.lm[Symbol.dispose](); // two would not always fit into memory
    opened = null;
    opened = await args.openPolicy(directory);
    if (digest !== null) checkDigest(opened, directory, digest);
    return opened;
  };
  try {
    let policy = await open(args.modelDirectory, null);
    const base = policy.digest;
    const course = await prepare(args, policy);
    const roundReports: RoundReport[] = [];
    const evaluations: EvaluationReport[] = [];
    const evaluate = async (round: number) => {
      if (course.heldOutLessons.length > 0)
        evaluations.push(await evaluatePolicy(course, policy, round, evaluations[0] ?? null));
    };
    await evaluate(0);
    for (const lessons of course.rounds) {
      const round = roundReports.length + 1;
      const report = await runRound(course, policy, round, lessons);
      roundReports.push(report);
      policy = await open(args.directoryOf(report.policy.directory), report.policy.digest);
      await evaluate(round);
    }
    return { base, rounds: roundReports, evaluations };
  } finally {
    (opened as Checkpoint | null)?.lm[Symbol.dispose]();
  }
}

/** Refuses a policy that has changed since its round wrote it. */
function checkDigest(policy: Checkpoint, directory: string, digest: string): void {
  if (policy.digest === digest) return;
  throw new SelkieError(
    "bad-file",
    `${directory}: expected the policy of digest ${digest.slice(0, 12)}, got ${policy.digest.slice(0, 12)}; its files were changed, begin anew with --fresh`,
  );
}

async function prepare(args: LearnArgs, policy: Checkpoint): Promise<Course> {
  const { settings, store, templates, signal, canaries } = args;
  const reward = rewardNamed(settings.reward);
  checkSchedule(reward, settings);
  const rng = createRng(args.seed);
  const tell = (name: string, done: number, total: number, note?: string) =>
    args.onEvent?.({ stage: name, done, total, ...(note !== undefined && { note }) });
  const writer = { checkpoint: policy, templates, signal };
  tell("exam", 0, 1);
  const lessonsOf = async (name: string, passages: readonly SourcePassage[]): Promise<Lesson[]> => {
    const pieces = chunkPassages(passages, policy.tokenizer, settings.maxPassageTokens);
    const exams = await stage(store, name, () => buildExams(writer, pieces, rng.fork(name)));
    const lessons = pieces.map((source, index) => ({ source, exam: exams[index]! }));
    return lessons.filter(({ exam }) => exam.selection.length > 0 && exam.report.length > 0);
  };
  const lessons = await lessonsOf("exam", args.passages);
  const heldOut = await lessonsOf("exam-held-out", args.heldOut);
  const forbidden = allQuestions(
    [...lessons, ...heldOut].map(({ exam }) => exam),
    canaries.items,
  );
  const redacted = ({ source, exam }: Lesson): Lesson => ({ source: redactPassage(source, forbidden), exam });
  const rounds = await splitRounds(args, lessons.map(redacted), rng);
  const replay = await stage(store, "replay", () => gatherReplay(args, policy, forbidden, rng.fork("replay"), tell));
  const knownCanaries = await stage(store, "canaries", () => askCanaries(args, policy));
  const perPassage = trialsOfPassage(settings.schedule);
  const numTrials = rounds.flat().length * perPassage + (rounds.length + 1) * heldOut.length * settings.heldOutEdits;
  return {
    ...args,
    rng,
    reward,
    rounds,
    heldOutLessons: heldOut.map(redacted),
    forbidden,
    knownCanaries,
    replay,
    pace: createPace(numTrials),
    tell,
  };
}

/** The reward of that name. */
export function rewardNamed(name: string): MeasuredReward {
  const found = Object.entries(rewards).find(([known]) => known === name);
  if (found !== undefined) return found[1];
  throw new SelkieError(
    "unknown-name",
    `learn: expected a reward among ${Object.keys(rewards).join(", ")}, got "${name}"`,
  );
}

/** Refuses a reward that the schedule does not give enough trials. */
function checkSchedule({ name, minRepetitions }: MeasuredReward, { schedule }: LearnSettings): void {
  const most = schedule.reduce((total, { repetitions }) => total + repetitions, 0);
  if (most >= minRepetitions) return;
  throw new SelkieError(
    "bad-option",
    `learn: expected at least ${minRepetitions} trainings of some edit for the reward "${name}", got ${most}; raise --repetitions`,
  );
}

/** Different passages for each round, drawn once and recorded. */
async function splitRounds({ settings, store }: LearnArgs, lessons: readonly Lesson[], rng: Rng): Promise<Lesson[][]> {
  const { numRounds, passagesPerRound } = settings;
  const each = passagesPerRound ?? Math.floor(lessons.length / numRounds);
  if (each < 1 || lessons.length < each * numRounds)
    throw new SelkieError(
      "bad-input",
      `learn: expected at least ${Math.max(1, each) * numRounds} passages with questions for ${numRounds} rounds of different ones, got ${lessons.length}; give more passages, or fewer with --rounds or --passages-per-round`,
    );
  const split = await stage(store, "split", async () => {
    const order = rng.fork("split").shuffle(lessons.map(({ source }) => source.id));
    return Array.from({ length: numRounds }, (_, round) => order.slice(round * each, (round + 1) * each));
  });
  const byId = new Map(lessons.map((lesson) => [lesson.source.id, lesson]));
  return split.map((ids) => ids.map((id) => byId.get(id)!));
}

async function gatherReplay(
  { settings, templates, signal, oldText }: LearnArgs,
  checkpoint: Checkpoint,
  forbidden: readonly string[],
  rng: Rng,
  tell: Course["tell"],
): Promise<string[]> {
  if (settings.innerLoop.replayShare === 0 && settings.update.replayShare === 0) return [];
  tell("replay", 0, settings.numReplay);
  const texts =
    oldText === null
      ? await sampleReplay({ checkpoint, templates, signal }, settings.numReplay, rng)
      : await oldText(settings.numReplay, rng);
  const allowed = withoutExamQuestions(texts, forbidden);
  if (allowed.length > 0) return allowed;
  throw new SelkieError("bad-input", "learn: expected old text to replay, got none; name a file with --replay");
}

/**
 * What the untrained model knows: canaries with a right answer. Without right answers the model's own stand in for them,
 * and what counts is that they stay.
 */
async function askCanaries({ canaries, templates, signal }: LearnArgs, checkpoint: Checkpoint): Promise<ExamItem[]> {
  const room = { checkpoint, templates, signal, bank: null };
  const [answers] = await examine(room, [{ adapterIndex: null, items: canaries.items }]);
  return canaries.items.flatMap((item, index) => {
    const { isRight, prediction } = answers![index]!;
    if (canaries.hasGold) return isRight ? [item] : [];
    return prediction === "" ? [] : [{ ...item, answer: prediction }];
  });
}

const roomOf = (course: Course, checkpoint: Checkpoint, canaries: readonly ExamItem[]): TrialRoom => ({
  checkpoint,
  templates: course.templates,
  signal: course.signal,
  innerLoop: course.settings.innerLoop,
  canaries,
  replay: course.replay,
});

/** Progress of trials: how many of this part are done, and how long everything will take. */
function watch(course: Course, name: string, total: number) {
  let done = 0;
  return {
    onTrain: (finished: number, tokensPerSecond: number) =>
      course.tell(name, done + finished, total, `${Math.round(tokensPerSecond)} tokens/s${course.pace.note()}`),
    onTrials(numTrials: number, isNew: boolean) {
      done += numTrials;
      course.pace.advance(numTrials, isNew);
      course.tell(name, done, total, course.pace.note().replace(/^, /, ""));
    },
  };
}

async function runRound(
  course: Course,
  policy: Checkpoint,
  round: number,
  lessons: readonly Lesson[],
): Promise<RoundReport> {
  const { settings, store, reward, rng } = course;
  const numTrials = lessons.length * trialsOfPassage(settings.schedule);
  const watcher = watch(course, `round ${round}: trials`, numTrials);
  const room = roomOf(course, policy, course.knownCanaries.slice(0, settings.numTrialCanaries));
  const found = await expectRewards({
    name: `round-${round}`,
    room: {
      ...room,
      onTrain: ({ numFinishedJobs, tokensPerSecond }) => watcher.onTrain(numFinishedJobs, tokensPerSecond),
    },
    writer: course.writer,
    lessons,
    use: "selection",
    numEdits: settings.numEdits,
    schedule: settings.schedule,
    reward,
    forbidden: course.forbidden,
    groupSize: settings.groupSize,
    rng: rng.fork("round", round),
    runSeed: `${course.seed}/round/${round}`,
    randomNumbers: settings.randomNumbers,
    store,
    onTrials: watcher.onTrials,
    onEdits: (done, total) => course.tell(`round ${round}: edits`, done, total),
  });
  const kept = choose(settings.update.objective, found, found.trials.map(reward.baseScore));
  await stage(store, keptStage(round), async () => describeLearned(lessons, found.candidates, kept));
  const made = await stage(store, `round-${round}/policy`, () => makePolicy(course, policy, round, kept));
  return reportRound(round, reward, settings.randomNumbers, found, kept, made.update, made.policy);
}

/** Name of the stage that holds the edits a round learned from, as a `LearnedRound`. */
export const keptStage = (round: number): string => `round-${round}/kept`;

/** The M-step, and its policy on disk. */
async function makePolicy(
  course: Course,
  checkpoint: Checkpoint,
  round: number,
  kept: Kept,
): Promise<{ update: MaximisationReport; policy: PolicyRecord }> {
  const { settings, signal, tell } = course;
  const name = `round ${round}: training the policy`;
  tell(name, 0, 1);
  const parent = checkpoint.digest;
  const update = await maximise({
    checkpoint,
    kept,
    update: settings.update,
    replay: course.replay,
    seed: `${course.seed}/maximisation/${round}`,
    training: { directory: course.directoryOf(`training/round-${round}`) },
    signal,
    onProgress: ({ step, steps, tokensPerSecond }) =>
      tell(name, step, steps, `${Math.round(tokensPerSecond)} tokens/s`),
  });
  const directory = `policies/round-${round}`;
  const digest = await savePolicy(course, checkpoint, course.directoryOf(directory), { round, parent });
  return { update, policy: { directory, digest, parent } };
}

/** Writes a checkpoint that can be adapted, asked and learned with like the one it came from. */
async function savePolicy(
  { modelDirectory, templates, seed }: Course,
  { lm }: Checkpoint,
  directory: string,
  lineage: { readonly round: number; readonly parent: string },
): Promise<string> {
  const digest = await saveCheckpoint(directory, { lm, tokenizer: { copyFrom: modelDirectory } });
  const canaries = join(modelDirectory, "canaries.jsonl");
  if (existsSync(canaries)) writeFileAtomic(join(directory, "canaries.jsonl"), readFileSync(canaries));
  const sides = { prompts: templates, lineage: { ...lineage, seed, digest } };
  writeFileAtomic(join(directory, "selkie.json"), `${JSON.stringify(sides, null, 2)}\n`);
  return digest;
}

/** What one edit of the policy is worth on each held-out passage; samples and trials of all rounds share their seeds. */
async function evaluatePolicy(
  course: Course,
  policy: Checkpoint,
  round: number,
  untrained: EvaluationReport | null,
): Promise<EvaluationReport> {
  const { settings, store, heldOutLessons, templates, signal, knownCanaries } = course;
  const watcher = watch(course, `held-out after round ${round}`, heldOutLessons.length * settings.heldOutEdits);
  const room = roomOf(course, policy, knownCanaries);
  const found = await expectRewards({
    name: `held-out-${round}`,
    room: {
      ...room,
      onTrain: ({ numFinishedJobs, tokensPerSecond }) => watcher.onTrain(numFinishedJobs, tokensPerSecond),
    },
    writer: course.writer,
    lessons: heldOutLessons,
    use: "report",
    numEdits: settings.heldOutEdits,
    schedule: uniformSchedule(settings.heldOutEdits, 1),
    reward: {
      name: "accuracy",
      score: (passages) => passages.map(({ edits }) => edits.map((edit) => meanAccuracy(edit) ?? 0)),
    },
    forbidden: course.forbidden,
    groupSize: settings.groupSize,
    rng: course.rng.fork("held-out"),
    runSeed: `${course.seed}/held-out`,
    randomNumbers: "common",
    store,
    onTrials: watcher.onTrials,
  });
  const policyKept = await stage(store, `held-out-${round}/kept`, async () => {
    const sitting = [{ adapterIndex: null, items: knownCanaries }];
    const [answers] = await examine({ checkpoint: policy, templates, signal, bank: null }, sitting);
    return { share: accuracy(answers!) };
  });
  return reportEvaluation(round, policy.digest, found, policyKept.share, untrained);
}

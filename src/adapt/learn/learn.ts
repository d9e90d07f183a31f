/**
 * @file The outer loop: the policy that writes self-edits is trained on those of its edits that taught the most
 * (SEAL, arXiv 2506.10943: ReST-EM). A round tries edits of passages of its own (`expectation.ts`), keeps the best
 * (`kept.ts`) and trains the policy on them (`maximisation.ts`); the next round goes on from there, as writer and as base.
 * Finished parts are read from the store, so the same call after a kill goes on where it stopped and ends with the same
 * policies, byte for byte.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, saveCheckpoint } from "../../models/index.ts";
import { writeFileAtomic } from "../../registry/index.ts";
import { SelkieError } from "../../util/index.ts";
import { accuracy, type ExamItem, examine } from "../exam.ts";
import { stage } from "../settings.ts";
import { type Course, type CourseArgs, prepareCourse } from "./course.ts";
import { type Expectation, expectRewards, meanAccuracy } from "./expectation.ts";
import { choose, describeLearned, type Kept } from "./kept.ts";
import type { Lesson } from "./lessons.ts";
import { type MaximisationReport, maximise } from "./maximisation.ts";
import {
  type EvaluationReport,
  type LearnReport,
  type PolicyRecord,
  type RoundReport,
  reportEvaluation,
  reportRound,
} from "./report.ts";
import { checkLearnSettings, trialsOfPassage, uniformSchedule } from "./settings.ts";
import type { EditWriter } from "./teacher.ts";
import type { TrialRoom } from "./trials.ts";

/** Inputs of {@link learnKnowledge}. */
export interface LearnArgs extends CourseArgs {
  /** Opens a checkpoint for training; the loop disposes of what it opened. */
  readonly openPolicy: (directory: string) => Promise<Checkpoint>;
  /** Told of every policy's edits of the held-out passages, with all that its report leaves out. */
  readonly onExamined?: (round: number, found: Expectation, lessons: readonly Lesson[]) => void;
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
    const course = await prepareCourse(args, policy);
    const roundReports: RoundReport[] = [];
    const evaluations: EvaluationReport[] = [];
    const evaluate = async (round: number) => {
      if (course.heldOutLessons.length > 0)
        evaluations.push(await evaluatePolicy(course, policy, round, evaluations[0] ?? null, args.onExamined));
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
export function checkDigest(policy: Checkpoint, directory: string, digest: string): void {
  if (policy.digest === digest) return;
  throw new SelkieError(
    "bad-file",
    `${directory}: expected the policy of digest ${digest.slice(0, 12)}, got ${policy.digest.slice(0, 12)}; its files were changed, begin anew with --fresh`,
  );
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
  const { settings, store, reward } = course;
  const found = await tryEdits(course, policy, round, lessons);
  const kept = choose(settings.update.objective, found, found.trials.map(reward.baseScore));
  await stage(store, keptStage(round), async () => describeLearned(lessons, found.candidates, kept));
  const made = await stage(store, `round-${round}/policy`, () => makePolicy(course, policy, round, kept));
  return reportRound(round, reward, settings.randomNumbers, found, kept, made.update, made.policy);
}

/** The E-step of a round. */
export async function tryEdits(
  course: Course,
  policy: Checkpoint,
  round: number,
  lessons: readonly Lesson[],
): Promise<Expectation> {
  const { settings, store, reward, rng } = course;
  const numTrials = lessons.length * trialsOfPassage(settings.schedule);
  const watcher = watch(course, `round ${round}: trials`, numTrials);
  const room = roomOf(course, policy, course.knownCanaries.slice(0, settings.numTrialCanaries));
  return expectRewards({
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
}

/** Name of the stage that holds the edits a round learned from, as a `LearnedRound`. */
export const keptStage = (round: number): string => `round-${round}/kept`;

/** The M-step, and its policy on disk; `checkpoint` becomes that policy. */
export async function makePolicy(
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
  const write = (sides: object): void =>
    writeFileAtomic(join(directory, "selkie.json"), `${JSON.stringify(sides, null, 2)}\n`);
  mkdirSync(directory, { recursive: true });
  write({ prompts: templates }); // before the digest, of which the templates are a part
  const digest = await saveCheckpoint(directory, { lm, tokenizer: { copyFrom: modelDirectory } });
  const canaries = join(modelDirectory, "canaries.jsonl");
  if (existsSync(canaries)) writeFileAtomic(join(directory, "canaries.jsonl"), readFileSync(canaries));
  write({ prompts: templates, lineage: { ...lineage, seed, digest } });
  return digest;
}

/** What one edit of the policy is worth on each held-out passage; samples and trials of all rounds share their seeds. */
async function evaluatePolicy(
  course: Course,
  policy: Checkpoint,
  round: number,
  untrained: EvaluationReport | null,
  onExamined: LearnArgs["onExamined"],
): Promise<EvaluationReport> {
  const name = `held-out-${round}`;
  const found = await examineEdits(course, policy, { name, title: `held-out after round ${round}` });
  onExamined?.(round, found, course.heldOutLessons);
  const policyKept = await askPolicy(course, policy, name);
  return reportEvaluation(round, policy.digest, found, policyKept, untrained);
}

/** How edits of the held-out passages are examined. */
export interface EditExamination {
  /** Prefix of the stages' names; no part of the random numbers, which all examinations of a course share. */
  readonly name: string;
  /** Names the work in progress. */
  readonly title: string;
  /** @defaultValue the course's */
  readonly writer?: EditWriter;
  /** Asked after every trial. @defaultValue all that the untrained policy knows */
  readonly canaries?: readonly ExamItem[];
}

/** Trains and examines edits of every held-out passage, each once, with the questions that figures are about. */
export async function examineEdits(
  course: Course,
  policy: Checkpoint,
  { name, title, writer = course.writer, canaries = course.knownCanaries }: EditExamination,
): Promise<Expectation> {
  const { settings, store, heldOutLessons } = course;
  const watcher = watch(course, title, heldOutLessons.length * settings.heldOutEdits);
  return expectRewards({
    name,
    room: {
      ...roomOf(course, policy, canaries),
      onTrain: ({ numFinishedJobs, tokensPerSecond }) => watcher.onTrain(numFinishedJobs, tokensPerSecond),
    },
    writer,
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
}

/** Share of what the untrained policy knew that `policy` itself still knows; `null` without canaries. */
export async function askPolicy(course: Course, policy: Checkpoint, name: string): Promise<number | null> {
  const { templates, signal, knownCanaries } = course;
  const { share } = await stage(course.store, `${name}/kept`, async () => {
    const sitting = [{ adapterIndex: null, items: knownCanaries }];
    const [answers] = await examine({ checkpoint: policy, templates, signal, bank: null }, sitting);
    return { share: accuracy(answers!) };
  });
  return share;
}

/**
 * @file What all rounds of an outer loop share: lessons with their exams, which round each passage belongs to, old text, and
 * what the untrained policy knows. Everything that costs time is a stage of the store.
 */
import type { Checkpoint } from "../../models/index.ts";
import type { SourcePassage } from "../../tasks/index.ts";
import { createRng, type Rng, SelkieError } from "../../util/index.ts";
import { answeredCanaries, type Canaries } from "../canaries.ts";
import { type ExamItem, examine } from "../exam.ts";
import type { PromptTemplates } from "../prompts.ts";
import { sampleReplay } from "../propose.ts";
import { type MeasuredReward, rewards } from "../rewards/rewards.ts";
import { withoutExamQuestions } from "../self-edit.ts";
import { type AdaptEvent, type StageStore, stage } from "../settings.ts";
import { buildLessons, forbiddenQuestions, type Lesson, redactLessons } from "./lessons.ts";
import { createPace, type Pace } from "./pace.ts";
import { type LearnSettings, trialsOfPassage } from "./settings.ts";
import type { EditWriter } from "./teacher.ts";

/** Inputs of {@link prepareCourse}. */
export interface CourseArgs {
  /** The model to begin with. */
  readonly modelDirectory: string;
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
export interface Course extends CourseArgs {
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

/** What all rounds of `args` share, with `policy` as the untrained one. */
export async function prepareCourse(args: CourseArgs, policy: Checkpoint): Promise<Course> {
  const { settings, store, templates, signal, canaries } = args;
  const reward = rewardNamed(settings.reward);
  checkSchedule(reward, settings);
  const rng = createRng(args.seed);
  const tell = (name: string, done: number, total: number, note?: string) =>
    args.onEvent?.({ stage: name, done, total, ...(note !== undefined && { note }) });
  const writer = { checkpoint: policy, templates, signal };
  tell("exam", 0, 1);
  const lessonsOf = (name: string, passages: readonly SourcePassage[]): Promise<Lesson[]> =>
    buildLessons({ ...writer, name, passages, maxPassageTokens: settings.maxPassageTokens, rng, store });
  const unredacted = await lessonsOf("exam", args.passages);
  const heldOut = await lessonsOf("exam-held-out", args.heldOut);
  const forbidden = forbiddenQuestions([...unredacted, ...heldOut], canaries);
  const lessons = redactLessons(unredacted, forbidden);
  const rounds = await splitRounds(args, lessons, rng);
  const replay = await stage(store, "replay", () => gatherReplay(args, policy, forbidden, rng.fork("replay"), tell));
  const knownCanaries = await stage(store, "canaries", () => askCanaries(args, policy));
  const perPassage = trialsOfPassage(settings.schedule);
  const numTrials = rounds.flat().length * perPassage + (rounds.length + 1) * heldOut.length * settings.heldOutEdits;
  return {
    ...args,
    rng,
    reward,
    rounds,
    heldOutLessons: redactLessons(heldOut, forbidden),
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
async function splitRounds({ settings, store }: CourseArgs, lessons: readonly Lesson[], rng: Rng): Promise<Lesson[][]> {
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
  { settings, templates, signal, oldText }: CourseArgs,
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

/** What the untrained model knows. */
async function askCanaries({ canaries, templates, signal }: CourseArgs, checkpoint: Checkpoint): Promise<ExamItem[]> {
  const room = { checkpoint, templates, signal, bank: null };
  const [answers] = await examine(room, [{ adapterIndex: null, items: canaries.items }]);
  return answeredCanaries(canaries, answers!);
}

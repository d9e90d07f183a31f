/**
 * @file What all rounds of an outer loop share: tasks, which round each belongs to, the leak guard, old text, and what the
 * untrained policy knows. Everything that costs time is a stage of the store.
 */
import type { Engine } from "../../engine/index.ts";
import { createRng, type Rng, SelkieError } from "../../util/index.ts";
import { answeredCanaries, type Canaries } from "../canaries.ts";
import { createGuard, type Domain, type DomainEdit, type DomainTask, type Guard } from "../domain.ts";
import { type ExamItem, examine } from "../exam.ts";
import type { PromptTemplates } from "../prompts.ts";
import { sampleReplay } from "../propose.ts";
import { type MeasuredReward, rewards } from "../rewards/rewards.ts";
import { type AdaptEvent, type StageStore, stage } from "../settings.ts";
import { createPace, type Pace } from "./pace.ts";
import { type LearnSettings, trialsOfPassage } from "./settings.ts";

/** Inputs of {@link prepareLearning}. */
export interface PrepareArgs<Task extends DomainTask = DomainTask, Edit extends DomainEdit = DomainEdit> {
  readonly domain: Domain<Task, Edit>;
  /** The model to begin with. */
  readonly modelDirectory: string;
  /** How the model is asked; written beside every policy. */
  readonly templates: PromptTemplates;
  readonly canaries: Canaries;
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
export interface LearnContext<Task extends DomainTask = DomainTask, Edit extends DomainEdit = DomainEdit>
  extends PrepareArgs<Task, Edit> {
  readonly rng: Rng;
  readonly reward: MeasuredReward;
  /** By round. */
  readonly rounds: readonly (readonly Task[])[];
  readonly heldOutTasks: readonly Task[];
  /** What every text passes before it is trained on in a trial or replayed. */
  readonly guard: Guard<Task>;
  readonly knownCanaries: readonly ExamItem[];
  readonly replay: readonly string[];
  readonly pace: Pace;
  readonly tell: (stage: string, done: number, total: number, note?: string) => void;
}

/** What all rounds of `args` share, with `policy` as the untrained one. */
export async function prepareLearning<Task extends DomainTask, Edit extends DomainEdit>(
  args: PrepareArgs<Task, Edit>,
  policy: Engine,
): Promise<LearnContext<Task, Edit>> {
  const { domain, settings, store, templates, signal, canaries } = args;
  const { maxPassageTokens } = settings;
  const reward = rewardNamed(settings.reward);
  checkSchedule(reward, settings);
  const rng = createRng(args.seed);
  const tell = (name: string, done: number, total: number, note?: string) =>
    args.onEvent?.({ stage: name, done, total, ...(note !== undefined && { note }) });
  tell("exam", 0, 1);
  const { tasks, heldOut } = await domain.prepare({
    ...{ engine: policy, templates, signal, canaries, maxPassageTokens, rng, store },
  });
  const guard = createGuard(domain, [...tasks, ...heldOut], canaries);
  const rounds = await splitRounds(args, tasks, rng);
  const replay = await stage(store, "replay", () =>
    gatherReplay(args, policy, (texts) => guard(texts, null), rng.fork("replay"), tell),
  );
  const knownCanaries = await stage(store, "canaries", () => askCanaries(args, policy));
  const perTask = trialsOfPassage(settings.schedule);
  const numTrials = rounds.flat().length * perTask + (rounds.length + 1) * heldOut.length * settings.heldOutEdits;
  return {
    ...args,
    rng,
    reward,
    rounds,
    heldOutTasks: heldOut,
    guard,
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

/** Different tasks for each round, drawn once and recorded. */
async function splitRounds<Task extends DomainTask>(
  { settings, store }: Pick<PrepareArgs, "settings" | "store">,
  tasks: readonly Task[],
  rng: Rng,
): Promise<Task[][]> {
  const { numRounds, passagesPerRound } = settings;
  const each = passagesPerRound ?? Math.floor(tasks.length / numRounds);
  if (each < 1 || tasks.length < each * numRounds)
    throw new SelkieError(
      "bad-input",
      `learn: expected at least ${Math.max(1, each) * numRounds} passages with questions for ${numRounds} rounds of different ones, got ${tasks.length}; give more passages, or fewer with --rounds or --passages-per-round`,
    );
  const split = await stage(store, "split", async () => {
    const order = rng.fork("split").shuffle(tasks.map(({ source }) => source.id));
    return Array.from({ length: numRounds }, (_, round) => order.slice(round * each, (round + 1) * each));
  });
  const byId = new Map(tasks.map((task) => [task.source.id, task]));
  return split.map((ids) => ids.map((id) => byId.get(id)!));
}

async function gatherReplay(
  { settings, templates, signal, oldText }: Pick<PrepareArgs, "settings" | "templates" | "signal" | "oldText">,
  engine: Engine,
  guard: (texts: readonly string[]) => string[],
  rng: Rng,
  tell: LearnContext["tell"],
): Promise<string[]> {
  if (settings.innerLoop.replayShare === 0 && settings.update.replayShare === 0) return [];
  tell("replay", 0, settings.numReplay);
  const texts =
    oldText === null
      ? await sampleReplay({ engine, templates, signal }, settings.numReplay, rng)
      : await oldText(settings.numReplay, rng);
  const allowed = guard(texts);
  if (allowed.length > 0) return allowed;
  throw new SelkieError("bad-input", "learn: expected old text to replay, got none; name a file with --replay");
}

/** What the untrained model knows. */
async function askCanaries(
  { canaries, templates, signal }: Pick<PrepareArgs, "canaries" | "templates" | "signal">,
  engine: Engine,
): Promise<ExamItem[]> {
  const context = { engine, templates, signal };
  const [answers] = await examine(context, [{ adapter: null, items: canaries.items }]);
  return answeredCanaries(canaries, answers!);
}

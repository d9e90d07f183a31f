/**
 * @file The E-step of a round: the policy writes edits of the round's tasks, every candidate is trained and examined as
 * often as the schedule says, and the reward turns what was measured into one number per candidate. Everything is kept in
 * the store, a group of trials at a time: a run killed anywhere loses the group in work and nothing else.
 */
import { mean, type Rng } from "../../util/index.ts";
import type { Domain, DomainEdit, DomainTask, ExamUse, Guard, TaskScore, TrainingJob } from "../domain.ts";
import type { Writer } from "../propose.ts";
import type { Reward } from "../rewards/rewards.ts";
import { survivors, trialSeed } from "../rewards/selection.ts";
import type { EditTrials, PassageTrials, WrittenEdit } from "../rewards/trials.ts";
import { type StageStore, stage } from "../settings.ts";
import type { LearnInnerLoop, TrialSchedule } from "./settings.ts";
import { type Examiner, runTrials, type Trial, type TrialContext, type TrialRecord } from "./trials.ts";

/** Inputs of {@link expectRewards}. */
export interface ExpectationArgs<Task extends DomainTask = DomainTask, Edit extends DomainEdit = DomainEdit> {
  /** Prefix of the stages' names. */
  readonly name: string;
  readonly context: TrialContext;
  readonly domain: Pick<Domain<Task, Edit>, "propose" | "compile" | "examine">;
  readonly tasks: readonly Task[];
  /** Which exam the trials are given. */
  readonly use: ExamUse;
  readonly numEdits: number;
  readonly schedule: TrialSchedule;
  readonly reward: Reward;
  /** What every document passes before it is trained on. */
  readonly guard: Guard<Task>;
  readonly groupSize: number;
  /** Names the samples. */
  readonly rng: Rng;
  /** Names the trials. */
  readonly runSeed: string;
  readonly randomNumbers: "common" | "independent";
  readonly store: StageStore;
  /** Told after every group; `isNew` unless an earlier process had done it. */
  readonly onTrials?: (numTrials: number, isNew: boolean) => void;
  readonly onEdits?: (done: number, total: number) => void;
}

/** One or several completions that are trained on together, with the training that they mean, past the leak guard. */
export interface EditCandidate<Edit extends DomainEdit = DomainEdit> extends TrainingJob {
  readonly members: readonly Edit[];
  /** Tokens of the documents. */
  readonly numTokens: number;
}

/** What an E-step found. */
export interface Expectation<Edit extends DomainEdit = DomainEdit> {
  /** `[passage][edit]`. */
  readonly candidates: readonly (readonly EditCandidate<Edit>[])[];
  readonly records: readonly TrialRecord[];
  /** What the rewards saw. */
  readonly trials: readonly PassageTrials[];
  /** `[passage][edit]`. */
  readonly rewards: readonly (readonly number[])[];
}

/** Runs the E-step, or reads what of it is in the store. */
export async function expectRewards<Task extends DomainTask, Edit extends DomainEdit>(
  args: ExpectationArgs<Task, Edit>,
): Promise<Expectation<Edit>> {
  const { store, name, context } = args;
  const base = await stage(store, `${name}/base`, () => examineUntrained(args));
  const candidates = await writeCandidates(args);
  const records: TrialRecord[] = [];
  const trialsSoFar = () => assemble(args, base, candidates, records);
  let alive = candidates.map((list) => [...list.keys()]);
  for (const [rung, { numEdits, repetitions }] of args.schedule.entries()) {
    const scores = rung === 0 ? null : args.reward.score(trialsSoFar());
    alive = alive.map((edits, passage) => (scores === null ? edits : survivors(scores[passage]!, edits, numEdits)));
    const first = args.schedule.slice(0, rung).reduce((total, earlier) => total + earlier.repetitions, 0);
    const due = alive.flatMap((edits, passage) =>
      edits.flatMap((edit) =>
        Array.from({ length: repetitions }, (_, index) => trialOf(args, candidates, passage, edit, first + index)),
      ),
    );
    for (let from = 0; from < due.length; from += args.groupSize) {
      const group = due.slice(from, from + args.groupSize);
      let isNew = false;
      const found = await stage(store, `${name}/rung-${rung}/trials-${from}`, () => {
        isNew = true;
        return runTrials(context, group, examinerOf(args));
      });
      records.push(...found);
      args.onTrials?.(found.length, isNew);
    }
  }
  const trials = trialsSoFar();
  const rewards = await stage(store, `${name}/rewards`, async () => args.reward.score(trials));
  return { candidates, records, trials, rewards };
}

/** What the policy knows of the tasks before any trial. */
const examineUntrained = <Task extends DomainTask>({ context, domain, tasks, use }: ExpectationArgs<Task>) =>
  domain.examine(
    context,
    tasks.map((task) => ({ task, use, adapter: null })),
  );

/** Gives trials the domain's exam of their task. */
const examinerOf =
  <Task extends DomainTask>({ domain, tasks, use }: Pick<ExpectationArgs<Task>, "domain" | "tasks" | "use">) =>
  (...[model, takers]: Parameters<Examiner<Trial, TaskScore>>): Promise<TaskScore[]> =>
    domain.examine(
      model,
      takers.map(({ trial, adapter }) => ({ task: tasks[trial.passage]!, use, adapter })),
    );

/** What {@link writeCandidates} needs of an E-step. */
export type CandidateArgs<Task extends DomainTask = DomainTask, Edit extends DomainEdit = DomainEdit> = Pick<
  ExpectationArgs<Task, Edit>,
  "name" | "tasks" | "numEdits" | "guard" | "groupSize" | "rng" | "store" | "onEdits"
> & {
  readonly domain: Pick<Domain<Task, Edit>, "propose" | "compile">;
  readonly context: Writer & { readonly innerLoop: Pick<LearnInnerLoop, "unionOf"> };
};

/**
 * Lets the policy write the edits, a group of tasks at a time, and compiles them into jobs that give no exam away.
 * Edit `e` of a task is the same however many are asked for.
 *
 * @returns `[passage][edit]`.
 */
export async function writeCandidates<Task extends DomainTask, Edit extends DomainEdit>(
  args: CandidateArgs<Task, Edit>,
): Promise<EditCandidate<Edit>[][]> {
  const { context, domain, tasks, numEdits, store, name, guard } = args;
  const { unionOf } = context.innerLoop;
  const numSamples = numEdits * unionOf;
  const perGroup = Math.max(1, Math.floor(args.groupSize / numSamples));
  const sampled: Edit[][] = [];
  for (let from = 0; from < tasks.length; from += perGroup) {
    args.onEdits?.(from, tasks.length);
    const group = tasks.slice(from, from + perGroup);
    const write = () => domain.propose(context, group, numSamples, args.rng.fork("edits"));
    sampled.push(...(await stage(store, `${name}/edits-${from}`, write)));
  }
  const { tokenizer } = context.engine;
  return tasks.map((task, passage) =>
    Array.from({ length: numEdits }, (_, edit) => {
      const members = sampled[passage]!.slice(edit * unionOf, (edit + 1) * unionOf);
      const job = domain.compile(task, members, context.templates);
      const documents = guard(job.documents, task);
      const numTokens = documents.reduce((total, text) => total + tokenizer.encode(text).length, 0);
      return { ...job, members, documents, numTokens };
    }),
  );
}

function trialOf<Task extends DomainTask>(
  { tasks, runSeed, randomNumbers }: Pick<ExpectationArgs<Task>, "tasks" | "runSeed" | "randomNumbers">,
  candidates: readonly (readonly EditCandidate[])[],
  passage: number,
  edit: number,
  repetition: number,
): Trial {
  const { source } = tasks[passage]!;
  const seed = trialSeed({ runSeed, passageId: source.id, edit, repetition }, randomNumbers);
  const { members: _, numTokens: _count, ...job } = candidates[passage]![edit]!;
  return { passage, edit, repetition, seed, source, ...job };
}

/** The edit of a candidate as one text. */
const joined = (members: readonly DomainEdit[]): WrittenEdit => ({
  kind: members[0]!.kind,
  text: members.map(({ text }) => text).join("\n"),
});

function assemble<Task extends DomainTask>(
  { tasks }: Pick<ExpectationArgs<Task>, "tasks">,
  base: readonly TaskScore[],
  candidates: readonly (readonly EditCandidate[])[],
  records: readonly TrialRecord[],
): PassageTrials[] {
  const found = candidates.map((list) => list.map((): TrialRecord[] => []));
  for (const record of records) found[record.passage]![record.edit]!.push(record);
  return tasks.map(({ source }, passage) => ({
    passageId: source.id,
    passage: source.context,
    baseAccuracy: base[passage]!.accuracy,
    baseGoldLogprob: base[passage]!.goldLogprob,
    edits: candidates[passage]!.map(
      ({ members, numTokens }, edit): EditTrials => ({
        edit: joined(members),
        numTokens,
        trials: found[passage]![edit]!.map(({ accuracy: share, goldLogprob, kept, seed }) => ({
          accuracy: share,
          goldLogprob,
          kept,
          seed,
        })),
      }),
    ),
  }));
}

/** Mean accuracy of an edit's trials; `null` when it was not trained. */
export const meanAccuracy = ({ trials }: EditTrials): number | null =>
  trials.length === 0 ? null : mean(trials.map(({ accuracy: share }) => share));

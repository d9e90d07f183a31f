/**
 * @file The outer loop: the policy that writes self-edits is trained on those of its edits that taught the most
 * (SEAL, arXiv 2506.10943: ReST-EM). A round tries edits of tasks of its own (`expectation.ts`), keeps the best
 * (`kept.ts`) and trains the policy on them (`maximisation.ts`); the next round goes on from there, as writer and as base.
 * Finished parts are read from the store, so the same call after a kill goes on where it stopped and ends with the same
 * policies, byte for byte.
 */

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../engine/index.ts";
import { writeFileAtomic } from "../../registry/index.ts";
import { SelkieError } from "../../util/index.ts";
import type { Domain, DomainEdit, DomainTask } from "../domain.ts";
import { accuracy, type ExamItem, examine } from "../exam.ts";
import { stage } from "../settings.ts";
import { type LearnContext, type PrepareArgs, prepareLearning } from "./context.ts";
import { type Expectation, expectRewards, meanAccuracy } from "./expectation.ts";
import { choose, describeLearned, type Kept } from "./kept.ts";
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
import type { TrialContext } from "./trials.ts";

/** Inputs of {@link learn}. */
export interface LearnArgs<Task extends DomainTask = DomainTask, Edit extends DomainEdit = DomainEdit>
  extends PrepareArgs<Task, Edit> {
  /** Opens a checkpoint; the loop disposes of what it opened. */
  readonly openPolicy: (directory: string) => Promise<Engine>;
  /** Told of every policy's edits of the held-out tasks, with all that its report leaves out. */
  readonly onExamined?: (round: number, found: Expectation<Edit>, tasks: readonly Task[]) => void;
}

/** Runs the outer loop, or goes on with it. */
export async function learn<Task extends DomainTask, Edit extends DomainEdit>(
  args: LearnArgs<Task, Edit>,
): Promise<LearnReport> {
  checkLearnSettings(args.settings);
  let opened: Engine | null = null;
  const open = async (directory: string, digest: string | null): Promise<Engine> => {
    await opened?.[Symbol.asyncDispose](); // two would not always fit into memory
    opened = null;
    opened = await args.openPolicy(directory);
    if (digest !== null) checkDigest(opened, directory, digest);
    return opened;
  };
  try {
    let policy = await open(args.modelDirectory, null);
    const base = policy.model.digest;
    const context = await prepareLearning(args, policy);
    const roundReports: RoundReport[] = [];
    const evaluations: EvaluationReport[] = [];
    const evaluate = async (round: number) => {
      if (context.heldOutTasks.length > 0)
        evaluations.push(await evaluatePolicy(context, policy, round, evaluations[0] ?? null, args.onExamined));
    };
    await evaluate(0);
    for (const tasks of context.rounds) {
      const round = roundReports.length + 1;
      const report = await runRound(context, policy, round, tasks);
      roundReports.push(report);
      policy = await open(args.directoryOf(report.policy.directory), report.policy.digest);
      await evaluate(round);
    }
    return { base, rounds: roundReports, evaluations };
  } finally {
    await (opened as Engine | null)?.[Symbol.asyncDispose]();
  }
}

/** Refuses a policy that has changed since its round wrote it. */
export function checkDigest(policy: Engine, directory: string, digest: string): void {
  if (policy.model.digest === digest) return;
  throw new SelkieError(
    "bad-file",
    `${directory}: expected the policy of digest ${digest.slice(0, 12)}, got ${policy.model.digest.slice(0, 12)}; its files were changed, begin anew with --fresh`,
  );
}

const trialContext = (
  { templates, signal, settings, replay }: Pick<LearnContext, "templates" | "signal" | "settings" | "replay">,
  engine: Engine,
  canaries: readonly ExamItem[],
): TrialContext => ({
  ...{ engine, templates, signal, canaries, replay },
  innerLoop: settings.innerLoop,
});

/** Progress of trials: how many of this part are done, and how long everything will take. */
function watch({ tell, pace }: Pick<LearnContext, "tell" | "pace">, name: string, total: number) {
  let done = 0;
  return {
    onTrain: (finished: number, tokensPerSecond: number) =>
      tell(name, done + finished, total, `${Math.round(tokensPerSecond)} tokens/s${pace.note()}`),
    onTrials(numTrials: number, isNew: boolean) {
      done += numTrials;
      pace.advance(numTrials, isNew);
      tell(name, done, total, pace.note().replace(/^, /, ""));
    },
  };
}

async function runRound<Task extends DomainTask, Edit extends DomainEdit>(
  context: LearnContext<Task, Edit>,
  policy: Engine,
  round: number,
  tasks: readonly Task[],
): Promise<RoundReport> {
  const { settings, store, reward } = context;
  const found = await tryEdits(context, policy, round, tasks);
  const kept = choose(settings.update.objective, found, found.trials.map(reward.baseScore));
  await stage(store, keptStage(round), async () => describeLearned(tasks, found.candidates, kept));
  const made = await stage(store, `round-${round}/policy`, () => makePolicy(context, policy, round, kept));
  return reportRound(round, reward, settings.randomNumbers, found, kept, made.update, made.policy);
}

/** The E-step of a round. */
export async function tryEdits<Task extends DomainTask, Edit extends DomainEdit>(
  context: LearnContext<Task, Edit>,
  policy: Engine,
  round: number,
  tasks: readonly Task[],
): Promise<Expectation<Edit>> {
  const { domain, guard, settings, store, reward, rng } = context;
  const numTrials = tasks.length * trialsOfPassage(settings.schedule);
  const watcher = watch(context, `round ${round}: trials`, numTrials);
  const canaries = context.knownCanaries.slice(0, settings.numTrialCanaries);
  return expectRewards({
    name: `round-${round}`,
    context: {
      ...trialContext(context, policy, canaries),
      onTrain: ({ numFinishedJobs, tokensPerSecond }) => watcher.onTrain(numFinishedJobs, tokensPerSecond),
    },
    ...{ domain, tasks, guard },
    use: "selection",
    numEdits: settings.numEdits,
    schedule: settings.schedule,
    reward,
    groupSize: settings.groupSize,
    rng: rng.fork("round", round),
    runSeed: `${context.seed}/round/${round}`,
    randomNumbers: settings.randomNumbers,
    store,
    onTrials: watcher.onTrials,
    onEdits: (done, total) => context.tell(`round ${round}: edits`, done, total),
  });
}

/** Name of the stage that holds the edits a round learned from, as a `LearnedRound`. */
export const keptStage = (round: number): string => `round-${round}/kept`;

/** What the M-step needs of a run. */
export type UpdateContext = Omit<LearnContext, "domain" | "guard" | "rounds" | "heldOutTasks">;

/** The M-step, and its policy on disk; the weights in `engine` become that policy's. */
export async function makePolicy(
  context: UpdateContext,
  engine: Engine,
  round: number,
  kept: Kept,
): Promise<{ update: MaximisationReport; policy: PolicyRecord }> {
  const { settings, signal, tell } = context;
  const name = `round ${round}: training the policy`;
  tell(name, 0, 1);
  const parent = engine.model.digest;
  const update = await maximise({
    engine,
    kept,
    update: settings.update,
    replay: context.replay,
    seed: `${context.seed}/maximisation/${round}`,
    training: { directory: context.directoryOf(`training/round-${round}`) },
    signal,
    onProgress: ({ step, steps, tokensPerSecond }) =>
      tell(name, step, steps, `${Math.round(tokensPerSecond)} tokens/s`),
  });
  const directory = `policies/round-${round}`;
  const digest = await savePolicy(context, engine, context.directoryOf(directory), { round, parent });
  return { update, policy: { directory, digest, parent } };
}

/** Writes a checkpoint that can be adapted, asked and learned with like the one it came from. */
async function savePolicy(
  { modelDirectory, templates, seed }: UpdateContext,
  engine: Engine,
  directory: string,
  lineage: { readonly round: number; readonly parent: string },
): Promise<string> {
  const write = (sides: object): void =>
    writeFileAtomic(join(directory, "selkie.json"), `${JSON.stringify(sides, null, 2)}\n`);
  mkdirSync(directory, { recursive: true });
  write({ prompts: templates }); // before the digest, of which the templates are a part
  const digest = await engine.save(directory);
  const canaries = join(modelDirectory, "canaries.jsonl");
  if (existsSync(canaries)) writeFileAtomic(join(directory, "canaries.jsonl"), readFileSync(canaries));
  write({ prompts: templates, lineage: { ...lineage, seed, digest } });
  return digest;
}

/** What one edit of the policy is worth on each held-out task; samples and trials of all rounds share their seeds. */
async function evaluatePolicy<Task extends DomainTask, Edit extends DomainEdit>(
  context: LearnContext<Task, Edit>,
  policy: Engine,
  round: number,
  untrained: EvaluationReport | null,
  onExamined: LearnArgs<Task, Edit>["onExamined"],
): Promise<EvaluationReport> {
  const name = `held-out-${round}`;
  const found = await examineEdits(context, policy, { name, title: `held-out after round ${round}` });
  onExamined?.(round, found, context.heldOutTasks);
  const policyKept = await askPolicy(context, policy, name);
  return reportEvaluation(round, policy.model.digest, found, policyKept, untrained);
}

/** How edits of the held-out tasks are examined. */
export interface EditExamination<Task extends DomainTask = DomainTask, Edit extends DomainEdit = DomainEdit> {
  /** Prefix of the stages' names; no part of the random numbers, which all examinations of a run share. */
  readonly name: string;
  /** Names the work in progress. */
  readonly title: string;
  /** Who writes the edits. @defaultValue as the domain has it */
  readonly propose?: Domain<Task, Edit>["propose"];
  /** Asked after every trial. @defaultValue all that the untrained policy knows */
  readonly canaries?: readonly ExamItem[];
}

/** Trains and examines edits of every held-out task, each once, with the exam that figures are about. */
export async function examineEdits<Task extends DomainTask, Edit extends DomainEdit>(
  context: LearnContext<Task, Edit>,
  policy: Engine,
  { name, title, propose, canaries = context.knownCanaries }: EditExamination<Task, Edit>,
): Promise<Expectation<Edit>> {
  const { domain, guard, settings, store, heldOutTasks } = context;
  const watcher = watch(context, title, heldOutTasks.length * settings.heldOutEdits);
  return expectRewards({
    name,
    context: {
      ...trialContext(context, policy, canaries),
      onTrain: ({ numFinishedJobs, tokensPerSecond }) => watcher.onTrain(numFinishedJobs, tokensPerSecond),
    },
    domain: propose === undefined ? domain : { ...domain, propose },
    tasks: heldOutTasks,
    guard,
    use: "report",
    numEdits: settings.heldOutEdits,
    schedule: uniformSchedule(settings.heldOutEdits, 1),
    reward: {
      name: "accuracy",
      score: (passages) => passages.map(({ edits }) => edits.map((edit) => meanAccuracy(edit) ?? 0)),
    },
    groupSize: settings.groupSize,
    rng: context.rng.fork("held-out"),
    runSeed: `${context.seed}/held-out`,
    randomNumbers: "common",
    store,
    onTrials: watcher.onTrials,
  });
}

/** Share of what the untrained policy knew that `policy` itself still knows; `null` without canaries. */
export async function askPolicy(
  { templates, signal, knownCanaries, store }: UpdateContext,
  policy: Engine,
  name: string,
): Promise<number | null> {
  const { share } = await stage(store, `${name}/kept`, async () => {
    const taker = { adapter: null, items: knownCanaries };
    const [answers] = await examine({ engine: policy, templates, signal }, [taker]);
    return { share: accuracy(answers!) };
  });
  return share;
}

/**
 * @file Policies of the outer loop in front of the same held-out passages: opened one after another, examined by the same
 * questions, asked what the untrained model knew, and writing their edits with the same random numbers. Seeds name samples
 * and trials exactly as `learnKnowledge` names them in its evaluations, so both measure the same thing.
 */
import {
  type AdaptEvent,
  accuracy,
  type Canaries,
  examine,
  type KnowledgeCandidate,
  knowledgeDomain,
  type LearnInnerLoop,
  type PromptTemplates,
  type StageStore,
  stage,
  withoutExamQuestions,
  writeCandidates,
} from "../adapt/index.ts";
import type { Engine } from "../engine/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import { type ArmContext, createArmContext, prefixed, type ScoreFigures, type Traps } from "./arms.ts";
import { ruleDocuments } from "./rule.ts";
import type { SeedTable } from "./table.ts";

/** The policies that one run of the outer loop ended its rounds with. */
export interface PolicyRun {
  /** Of the run; it names the samples and trials of this seed's rows as well. */
  readonly seed: number;
  /** Checkpoint directories, round 1 first. */
  readonly policies: readonly string[];
}

/** What is measured, and with what. */
export interface PolicyStudy {
  /** The untrained policy. */
  readonly modelDirectory: string;
  /** Opens a checkpoint; the study disposes of what it opened. */
  readonly open: (directory: string) => Promise<Engine>;
  readonly templates: PromptTemplates;
  readonly canaries: Canaries;
  /** Passages that no round of any run has seen. */
  readonly passages: readonly SourcePassage[];
  /** Questions about other relations, by passage. @defaultValue none */
  readonly traps?: Traps;
  readonly runs: readonly PolicyRun[];
  readonly innerLoop: LearnInnerLoop;
  readonly store: StageStore;
  /** Trials trained side by side and recorded together. @defaultValue 60 */
  readonly groupSize?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: (event: AdaptEvent) => void;
}

/** Where one policy writes, learns and is examined. */
export interface PolicyContext extends ArmContext, AsyncDisposable {
  /** Questions that no document may contain. */
  readonly forbidden: readonly string[];
}

/** Edits of every task, `[passage][edit]`. */
export type Edits = readonly (readonly KnowledgeCandidate[])[];

/** Documents of every task. */
export type Documents = readonly (readonly string[])[];

/** Everything that figures over seeds are made of: `[seed][passage]`. */
export type ScoresBySeed = readonly (readonly ScoreFigures[])[];

/** Refuses runs that do not have as many rounds as a study is about. */
export function checkRuns(where: string, runs: readonly PolicyRun[], numRounds: number): void {
  const odd = runs.find(({ policies }) => policies.length < numRounds);
  if (runs.length > 0 && odd === undefined) return;
  throw new SelkieError(
    "bad-input",
    `${where}: expected runs of at least ${numRounds} rounds, got ${odd === undefined ? "no run" : `${odd.policies.length} in the run of seed ${odd.seed}`}`,
  );
}

/** Opens the untrained policy; exams and canaries of all later policies of this seed are taken from it. */
export async function openUntrained(study: PolicyStudy, seed: number): Promise<PolicyContext> {
  const { templates, canaries, passages, traps, store, signal, onEvent, groupSize } = study;
  const engine = await study.open(study.modelDirectory);
  try {
    const context = await createArmContext({
      ...{ name: `seed-${seed}/untrained`, engine, templates, canaries, passages, traps, store, signal },
      seed: `${seed}/held-out`,
      ...(groupSize !== undefined && { groupSize }),
      ...(onEvent && { onEvent }),
    });
    return withDispose(context, engine);
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

/** Opens the policy after `round`: the same exams, another model. `untrained` need not be open any more. */
export async function openTrained(
  study: PolicyStudy,
  { seed, policies }: PolicyRun,
  round: number,
  untrained: PolicyContext,
): Promise<PolicyContext> {
  const engine = await study.open(policies[round - 1]!);
  return withDispose({ ...untrained, engine, store: prefixed(study.store, `seed-${seed}/round-${round}`) }, engine);
}

/** Work with a policy that is closed afterwards; what it returns may be used on, the model may not. */
export async function withPolicy<T>(
  opening: Promise<PolicyContext>,
  work: (context: PolicyContext) => Promise<T>,
): Promise<T> {
  await using context = await opening;
  return await work(context);
}

const withDispose = (context: Omit<PolicyContext, typeof Symbol.asyncDispose>, engine: Engine): PolicyContext => ({
  ...context,
  [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
});

/** The policy's edits of every task; edit `e` is the same however many are asked for. */
export function writeEdits(context: PolicyContext, seed: number, numEdits: number): Promise<KnowledgeCandidate[][]> {
  const { tasks, forbidden, groupSize, store, onEvent } = context;
  return writeCandidates({
    ...{ name: "edits", tasks: tasks, numEdits, groupSize, store },
    domain: knowledgeDomain({ passages: [], heldOut: [] }),
    guard: (documents) => withoutExamQuestions(documents, forbidden),
    rng: createRng(seed).fork("held-out"),
    context: { ...context, innerLoop: { unionOf: 1 } },
    onEdits: (done, total) => onEvent?.({ stage: "edits", done, total }),
  });
}

/** Share of what the untrained model knew that the policy itself still answers right; `null` without canaries. */
export async function policyKept(context: PolicyContext): Promise<number | null> {
  if (context.canaries.length === 0) return null;
  const { share } = await stage(context.store, "kept", async () => {
    const [answers] = await examine(context, [{ adapter: null, items: context.canaries }]);
    return { share: accuracy(answers!) };
  });
  return share;
}

/** Documents of edit `edit` of every task. */
export const documentsOf = (edits: Edits, edit = 0): Documents => edits.map((list) => list[edit]!.documents);

/** Documents of the first `count` edits of every task together, each once. */
export const unionOf = (edits: Edits, count: number): Documents =>
  edits.map((list) => [...new Set(list.slice(0, count).flatMap(({ documents }) => documents))]);

/** The rule's documents of every task: its sentences with the name put in, written by no model. */
export const ruleOf = ({ tasks, forbidden }: PolicyContext): Documents =>
  tasks.map(({ source }) => ruleDocuments(source, forbidden));

/** The bare passage of every task. */
export const rawOf = ({ tasks }: PolicyContext): Documents => tasks.map(({ source }) => [source.context]);

/** Optimizer updates of each passage's training. */
export const stepsOf = (scores: readonly ScoreFigures[]): number[] => scores.map(({ numSteps }) => numSteps);

/** One figure of all scores. */
export const pick = (scores: ScoresBySeed, key: "accuracy" | "numDocuments" | "numSteps" | "numTokens"): SeedTable =>
  scores.map((row) => row.map((score) => score[key]));

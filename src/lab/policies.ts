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
import type { Checkpoint } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import { type ArmRoom, createArmRoom, prefixed, type ScoreFigures, type Traps } from "./arms.ts";
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
  readonly open: (directory: string) => Promise<Checkpoint>;
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
export interface PolicyRoom extends ArmRoom, Disposable {
  /** Questions that no document may contain. */
  readonly forbidden: readonly string[];
}

/** Edits of every lesson, `[passage][edit]`. */
export type Edits = readonly (readonly KnowledgeCandidate[])[];

/** Documents of every lesson. */
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

/** The room of the untrained policy; exams and canaries of all other rooms of this seed are taken from it. */
export async function openUntrained(study: PolicyStudy, seed: number): Promise<PolicyRoom> {
  const { templates, canaries, passages, traps, store, signal, onEvent, groupSize } = study;
  const checkpoint = await study.open(study.modelDirectory);
  try {
    const room = await createArmRoom({
      ...{ name: `seed-${seed}/untrained`, checkpoint, templates, canaries, passages, traps, store, signal },
      seed: `${seed}/held-out`,
      ...(groupSize !== undefined && { groupSize }),
      ...(onEvent && { onEvent }),
    });
    return withDispose(room, checkpoint);
  } catch (error) {
    checkpoint.lm[Symbol.dispose]();
    throw error;
  }
}

/** The room of the policy after `round`: the same exams, another model. `untrained` need not be open any more. */
export async function openTrained(
  study: PolicyStudy,
  { seed, policies }: PolicyRun,
  round: number,
  untrained: PolicyRoom,
): Promise<PolicyRoom> {
  const checkpoint = await study.open(policies[round - 1]!);
  return withDispose(
    { ...untrained, checkpoint, store: prefixed(study.store, `seed-${seed}/round-${round}`) },
    checkpoint,
  );
}

/** Work in a room that is left afterwards; what it returns may be used on, the model may not. */
export async function inRoom<T>(opening: Promise<PolicyRoom>, work: (room: PolicyRoom) => Promise<T>): Promise<T> {
  using room = await opening;
  return await work(room);
}

const withDispose = (room: Omit<PolicyRoom, typeof Symbol.dispose>, { lm }: Checkpoint): PolicyRoom => ({
  ...room,
  [Symbol.dispose]: () => lm[Symbol.dispose](),
});

/** The policy's edits of every lesson; edit `e` is the same however many are asked for. */
export function writeEdits(room: PolicyRoom, seed: number, numEdits: number): Promise<KnowledgeCandidate[][]> {
  const { lessons, forbidden, groupSize, store, onEvent } = room;
  return writeCandidates({
    ...{ name: "edits", tasks: lessons, numEdits, groupSize, store },
    domain: knowledgeDomain({ passages: [], heldOut: [] }),
    guard: (documents) => withoutExamQuestions(documents, forbidden),
    rng: createRng(seed).fork("held-out"),
    context: { ...room, innerLoop: { unionOf: 1 } },
    onEdits: (done, total) => onEvent?.({ stage: "edits", done, total }),
  });
}

/** Share of what the untrained model knew that the policy itself still answers right; `null` without canaries. */
export async function policyKept(room: PolicyRoom): Promise<number | null> {
  if (room.canaries.length === 0) return null;
  const { share } = await stage(room.store, "kept", async () => {
    const [answers] = await examine({ ...room, bank: null }, [{ adapterIndex: null, items: room.canaries }]);
    return { share: accuracy(answers!) };
  });
  return share;
}

/** Documents of edit `edit` of every lesson. */
export const documentsOf = (edits: Edits, edit = 0): Documents => edits.map((list) => list[edit]!.documents);

/** Documents of the first `count` edits of every lesson together, each once. */
export const unionOf = (edits: Edits, count: number): Documents =>
  edits.map((list) => [...new Set(list.slice(0, count).flatMap(({ documents }) => documents))]);

/** The rule's documents of every lesson: its sentences with the name put in, written by no model. */
export const ruleOf = ({ lessons, forbidden }: PolicyRoom): Documents =>
  lessons.map(({ source }) => ruleDocuments(source, forbidden));

/** The bare passage of every lesson. */
export const rawOf = ({ lessons }: PolicyRoom): Documents => lessons.map(({ source }) => [source.context]);

/** Optimizer updates of each passage's training. */
export const stepsOf = (scores: readonly ScoreFigures[]): number[] => scores.map(({ numSteps }) => numSteps);

/** One figure of all scores. */
export const pick = (scores: ScoresBySeed, key: "accuracy" | "numDocuments" | "numSteps" | "numTokens"): SeedTable =>
  scores.map((row) => row.map((score) => score[key]));

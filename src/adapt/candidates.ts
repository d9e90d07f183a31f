/**
 * @file Candidate edits compete: each trains an adapter of its own, all of them side by side in the adapter bank,
 * each is given the selection exam of its passage, and the best is kept.
 * Next on the tour: `src/train/adapter-bank.ts`.
 */
import { type Engine, type EngineJob, withAdapters } from "../engine/index.ts";
import { encodeDocument } from "../models/index.ts";
import type { LoraAdapter, LoraModule } from "../nn/index.ts";
import type { BankProgress, TrainDocument } from "../train/index.ts";
import { accuracy, type ExamAnswer, type ExamItem, examine, meanGoldLogprob } from "./exam.ts";
import type { PromptTemplates } from "./prompts.ts";
import type { RefusedDocument } from "./screened.ts";
import type { SelfEdit } from "./self-edit.ts";
import type { InnerLoop } from "./settings.ts";

/** What one adapter is trained on. */
export interface Candidate {
  /** Names its random streams; equal ids give equal adapters. */
  readonly id: string;
  readonly documents: readonly string[];
  /** What it is asked afterwards. */
  readonly items: readonly ExamItem[];
}

/** How a candidate did. */
export interface CandidateResult {
  readonly id: string;
  readonly answers: readonly ExamAnswer[];
  /** `null` without questions. */
  readonly accuracy: number | null;
  readonly goldLogprob: number | null;
  readonly numDocuments: number;
  readonly numTokens: number;
}

/** Shared inputs of the functions below. */
export interface TrainContext {
  readonly engine: Engine;
  readonly templates: PromptTemplates;
  readonly innerLoop: InnerLoop;
  /** With a candidate's id it names the candidate's random streams. */
  readonly seed: string;
  readonly signal?: AbortSignal | undefined;
  /** `note` tells speed and memory. */
  readonly onTrain?: (done: number, total: number, note: string) => void;
}

/** Documents as the trainer takes them. */
export function toTrainDocuments({ tokenizer }: Pick<Engine, "tokenizer">, texts: readonly string[]): TrainDocument[] {
  return texts.map((text) => ({ tokenIds: encodeDocument(tokenizer, text) }));
}

const jobOf = (context: TrainContext, candidate: Candidate): EngineJob => ({
  id: candidate.id,
  documents: toTrainDocuments(context.engine, candidate.documents),
  lora: context.innerLoop.lora,
  learningRate: context.innerLoop.learningRate,
  epochs: context.innerLoop.epochs,
  documentsPerStep: context.innerLoop.documentsPerStep,
});

const describeSpeed = ({ tokensPerSecond, peakMemoryMiB }: BankProgress): string =>
  `${Math.round(tokensPerSecond)} tokens/s, ${Math.round(peakMemoryMiB)} MiB`;

/** One adapter per candidate, trained together; the result of each does not depend on the others. */
export async function trainCandidates(context: TrainContext, candidates: readonly Candidate[]): Promise<LoraAdapter[]> {
  const { innerLoop, onTrain, signal, seed } = context;
  const numSteps = Math.max(
    ...candidates.map(({ documents }) => innerLoop.epochs * Math.ceil(documents.length / innerLoop.documentsPerStep)),
  );
  const jobs = candidates.map((candidate) => jobOf(context, candidate));
  const onProgress = onTrain && ((progress: BankProgress) => onTrain(progress.step, numSteps, describeSpeed(progress)));
  const results = await context.engine.trainAdapters({ jobs, seed }, { signal, onProgress });
  signal?.throwIfAborted();
  return results.map(({ adapter }) => adapter);
}

/** Trains and examines the candidates of one bank. */
export async function tryCandidates(
  context: TrainContext,
  candidates: readonly Candidate[],
): Promise<CandidateResult[]> {
  const { engine, templates, signal } = context;
  const adapters = await trainCandidates(context, candidates);
  const sheets = await withAdapters(engine, adapters, (ids) =>
    examine(
      { engine, templates, signal },
      candidates.map(({ items }, index) => ({ items, adapter: ids[index]! })),
    ),
  );
  return candidates.map(({ id, documents }, index) => ({
    id,
    answers: sheets[index]!,
    accuracy: accuracy(sheets[index]!),
    goldLogprob: meanGoldLogprob(sheets[index]!),
    numDocuments: documents.length,
    numTokens: documents.reduce((total, text) => total + engine.tokenizer.encode(text).length, 0),
  }));
}

/** Index of the best result: most right answers, then the highest gold log-probability, then the first. */
export function bestCandidate(results: readonly CandidateResult[]): number {
  const worth = ({ accuracy: share, goldLogprob }: CandidateResult) =>
    [share ?? 0, goldLogprob ?? Number.NEGATIVE_INFINITY] as const;
  return results.reduce((best, result, index) => {
    const [share, logprob] = worth(result);
    const [bestShare, bestLogprob] = worth(results[best]!);
    return share > bestShare || (share === bestShare && logprob > bestLogprob) ? index : best;
  }, 0);
}

/** An edit with the documents made from it. */
export interface ProposedEdit extends SelfEdit {
  /** What is trained on; empty when the screen refused the edit. */
  readonly documents: readonly string[];
  /** What the screen left out. */
  readonly refused: readonly RefusedDocument[];
}

/** An adapter without effect: what comes out when there is nothing to train on. */
export function blankAdapter(
  { model }: Pick<Engine, "model">,
  { loraRank, loraAlpha }: InnerLoop["lora"],
): LoraAdapter {
  const modules = model.linearLayers.map(({ name, inSize, outSize }): [string, LoraModule] => [
    name,
    { loraA: new Float32Array(loraRank * inSize), loraB: new Float32Array(outSize * loraRank) },
  ]);
  return { loraRank, loraAlpha, modules: new Map(modules) };
}

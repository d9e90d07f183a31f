/**
 * @file Trials: one candidate trained once from the policy of its round and examined. Many train side by side in the
 * adapter bank, packed, without padding. Trials of one passage with equal `seed` share their random numbers (first
 * weights, order of documents), so that their difference is the edits' and not the draw's.
 */
import { type CausalLm, encodePrompt } from "../../models/index.ts";
import { bankOf, type LoraAdapter } from "../../nn/index.ts";
import { digestOf } from "../../registry/index.ts";
import {
  type AdapterJob,
  type BankProgress,
  plannedRows,
  softTargetsOf,
  type TrainDocument,
  trainAdapters,
  trainFull,
} from "../../train/index.ts";
import { createRng, type Rng } from "../../util/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import { accuracy, type ExamAnswer, type ExamItem, type ExamTaker, examine, meanGoldLogprob } from "../exam.ts";
import { fillTemplate } from "../prompts.ts";
import type { Source, Writer } from "../propose.ts";
import type { LearnInnerLoop } from "./settings.ts";

/** What to train on, with which random numbers, and what to ask afterwards. */
export interface Trial {
  readonly passage: number;
  readonly edit: number;
  readonly repetition: number;
  /** Names the random stream. */
  readonly seed: number;
  /** What the documents are about. */
  readonly source: Source;
  readonly documents: readonly string[];
  readonly items: readonly ExamItem[];
  /** Exactly so many updates, epochs as they come; for comparisons at equal cost. @defaultValue the inner loop's epochs */
  readonly numSteps?: number;
}

/** What came of a trial, as it is recorded. */
export interface TrialRecord {
  readonly passage: number;
  readonly edit: number;
  readonly repetition: number;
  readonly seed: number;
  readonly accuracy: number;
  /** Nats per token of the gold answers. */
  readonly goldLogprob: number;
  /** Share of the canaries still answered right; `null` when none was asked. */
  readonly kept: number | null;
  readonly numSteps: number;
  /** SHA-256 of the trained weights. */
  readonly adapter: string;
  readonly status: "finished" | "diverged";
}

/** A trial with all its answers, before they are summed up. */
export interface TrialSitting {
  readonly trial: Trial;
  /** To the trial's own questions; `null` when training diverged. */
  readonly answers: readonly ExamAnswer[] | null;
  /** To the room's canaries; `null` when training diverged. */
  readonly canaries: readonly ExamAnswer[] | null;
  readonly numSteps: number;
  /** Rows computed in training. */
  readonly numTokens: number;
  /** SHA-256 of the trained weights. */
  readonly adapter: string;
  readonly status: "finished" | "diverged";
}

/** Shared inputs of the trials of one round. */
export interface TrialRoom extends Writer {
  readonly innerLoop: LearnInnerLoop;
  /** Canaries the policy answers right before the trial. */
  readonly canaries: readonly ExamItem[];
  /** Old text to mix in; may be empty when the share is 0. */
  readonly replay: readonly string[];
  /** Told after every step of the bank. */
  readonly onTrain?: (progress: BankProgress) => void;
}

/** SHA-256 over names and values of all modules. */
export function digestAdapter({ loraRank, loraAlpha, modules }: LoraAdapter): string {
  const parts = [...modules].flatMap(([name, { loraA, loraB }]) => [name, bytesOf(loraA), bytesOf(loraB)]);
  return digestOf(JSON.stringify([loraRank, loraAlpha]), ...parts);
}

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Trains and examines; the result of a trial does not depend on the others beside it. */
export async function sitTrials(room: TrialRoom, trials: readonly Trial[]): Promise<TrialSitting[]> {
  return room.innerLoop.method === "lora" ? sitInBank(room, trials) : sitOneByOne(room, trials);
}

/** {@link sitTrials}, summed up as it is recorded. */
export async function runTrials(room: TrialRoom, trials: readonly Trial[]): Promise<TrialRecord[]> {
  const sittings = await sitTrials(room, trials);
  return sittings.map((sitting) => record(sitting, room.checkpoint.lm.vocabSize));
}

const streamOf = (seed: number): string => `trial-${seed}`;

/** What a trial trains on and for how long. */
interface Lessons {
  readonly documents: readonly TrainDocument[];
  readonly epochs: number;
  readonly maxSteps?: number;
}

function lessonsOf(room: TrialRoom, trial: Trial): Lessons {
  const { documentsPerStep, maxSteps } = room.innerLoop;
  const { documents, epochs } = gatherDocuments(room, trial);
  if (trial.numSteps !== undefined) {
    const stepsPerEpoch = Math.ceil(documents.length / documentsPerStep);
    return { documents, epochs: Math.ceil(trial.numSteps / stepsPerEpoch), maxSteps: trial.numSteps };
  }
  return { documents, epochs, ...(maxSteps !== null && { maxSteps }) };
}

/** The documents of a trial and how often they are gone through; with replay, epochs are written out, replay is not repeated. */
function gatherDocuments(room: TrialRoom, { documents, source, seed }: Trial): Lessons {
  const { epochs, replayShare, anchor, distillation } = room.innerLoop;
  const own =
    distillation === null
      ? toTrainDocuments(room.checkpoint, documents)
      : teach(
          room,
          documents,
          fillTemplate(distillation.context, { title: source.title, passage: source.context }),
          distillation.topK,
        );
  if (replayShare === 0) return { documents: own, epochs };
  const numReplay = Math.round((own.length * epochs * replayShare) / (1 - replayShare));
  const order = createRng(streamOf(seed)).fork("replay").shuffle(room.replay).slice(0, numReplay);
  const old = anchor === null ? toTrainDocuments(room.checkpoint, order) : teach(room, order, "", anchor.topK);
  const replayed = Array.from({ length: numReplay }, (_, index) => old[index % old.length]!);
  return { documents: [...Array.from({ length: epochs }, () => own).flat(), ...replayed], epochs: 1 };
}

/** Documents to be learned as what the policy expects there, after reading `context`. */
function teach({ checkpoint }: TrialRoom, texts: readonly string[], context: string, topK: number): TrainDocument[] {
  const { lm, tokenizer } = checkpoint;
  const documents = toTrainDocuments(checkpoint, texts);
  const prefix = context === "" ? [] : encodePrompt(tokenizer, context);
  const numReplaced = prefix.length > 0 ? tokenizer.prefixIds.length : 0; // the prefix has its own
  const targets = softTargetsOf(
    lm,
    documents.map(({ tokenIds }) => ({ tokenIds, prefix, numReplaced })),
    { topK },
  );
  return documents.map((document, index) => ({ ...document, softTargets: targets[index]! }));
}

const bankSeed = "trials"; // all that varies is in the stream's name

function jobOf(room: TrialRoom, trial: Trial): AdapterJob {
  const { lora, learningRate, documentsPerStep } = room.innerLoop;
  return {
    id: `${trial.passage}/${trial.edit}/${trial.repetition}`,
    stream: streamOf(trial.seed),
    ...lessonsOf(room, trial),
    lora,
    learningRate,
    documentsPerStep,
  };
}

/** Rows that each update of a trial's adapter will compute, before any is. */
export const plannedTokens = (room: TrialRoom, trial: Trial): number[] =>
  plannedRows(room.checkpoint.lm, jobOf(room, trial), bankSeed);

async function sitInBank(room: TrialRoom, trials: readonly Trial[]): Promise<TrialSitting[]> {
  const { checkpoint, signal, onTrain } = room;
  const { lm } = checkpoint;
  const results = await trainAdapters({
    lm,
    jobs: trials.map((trial) => jobOf(room, trial)),
    seed: bankSeed,
    ...(signal && { signal }),
    ...(onTrain && { onProgress: onTrain }),
  });
  using bank = bankOf(
    lm.backend,
    lm.linearLayers,
    results.map(({ adapter }) => adapter),
  );
  const usable = [...trials.keys()].filter((index) => results[index]!.status === "finished");
  const sheets = await examine(
    { ...room, bank },
    usable.map((index) => wholeExam(room, trials[index]!, index)),
  );
  return trials.map((trial, index) => {
    const { adapter, numSteps, numTokens, status } = results[index]!;
    const sheet = status === "finished" ? sheets[usable.indexOf(index)]! : null;
    return { ...divide(trial, sheet), numSteps, numTokens, status, adapter: digestAdapter(adapter) };
  });
}

function divide(
  trial: Trial,
  sheet: readonly ExamAnswer[] | null,
): Pick<TrialSitting, "trial" | "answers" | "canaries"> {
  const numOwn = trial.items.length;
  return { trial, answers: sheet?.slice(0, numOwn) ?? null, canaries: sheet?.slice(numOwn) ?? null };
}

function record(sitting: TrialSitting, vocabSize: number): TrialRecord {
  const { passage, edit, repetition, seed } = sitting.trial;
  const answers = sitting.answers ?? [];
  return {
    passage,
    edit,
    repetition,
    seed,
    accuracy: accuracy(answers) ?? 0,
    goldLogprob: finite(meanGoldLogprob(answers), -Math.log(vocabSize)), // a diverged adapter knows as much as a guess
    kept: accuracy(sitting.canaries ?? []),
    numSteps: sitting.numSteps,
    adapter: sitting.adapter,
    status: sitting.status,
  };
}

const finite = (value: number | null, otherwise: number): number =>
  value !== null && Number.isFinite(value) ? value : otherwise;

/** Full finetuning: each trial changes the policy's own weights, which are put back after its exam. */
async function sitOneByOne(room: TrialRoom, trials: readonly Trial[]): Promise<TrialSitting[]> {
  const { lm } = room.checkpoint;
  const before = Float32Array.from(lm.parameters.flat.readSync());
  const sittings: TrialSitting[] = [];
  for (const trial of trials) {
    try {
      sittings.push(await finetune(room, trial));
    } finally {
      lm.parameters.thaw();
      lm.parameters.flat.write(before);
    }
  }
  return sittings;
}

async function finetune(room: TrialRoom, trial: Trial): Promise<TrialSitting> {
  const { checkpoint, innerLoop, signal } = room;
  const { lm } = checkpoint;
  const { documents, epochs, maxSteps = Number.POSITIVE_INFINITY } = lessonsOf(room, trial);
  const order = ordered(documents, epochs, createRng(streamOf(trial.seed)).fork("order"));
  const { documentsPerStep } = innerLoop;
  const steps = Math.min(Math.ceil(order.length / documentsPerStep), maxSteps);
  const status = await trainFull({
    lm,
    source: (step) => order.slice(step * documentsPerStep, (step + 1) * documentsPerStep),
    steps,
    learningRate: innerLoop.learningRate,
    schedule: { kind: "linear" },
    ...(signal && { signal }),
  }).then(
    () => "finished" as const,
    (error: unknown) => {
      if ((error as { code?: string }).code === "diverged") return "diverged" as const;
      throw error;
    },
  );
  signal?.throwIfAborted();
  const sheet =
    status === "diverged" ? null : (await examine({ ...room, bank: null }, [wholeExam(room, trial, null)]))[0]!;
  const numTokens = order
    .slice(0, steps * documentsPerStep)
    .reduce((sum, { tokenIds }) => sum + tokenIds.length - 1, 0);
  return { ...divide(trial, sheet), numSteps: steps, numTokens, status, adapter: digestWeights(lm) };
}

/** Own questions first, then canaries. */
const wholeExam = (room: TrialRoom, trial: Trial, adapterIndex: number | null): ExamTaker => ({
  adapterIndex,
  items: [...trial.items, ...room.canaries],
});

const digestWeights = (lm: CausalLm): string => digestOf(bytesOf(Float32Array.from(lm.parameters.flat.readSync())));

/** The documents of all epochs, each epoch in its own random order. */
const ordered = <T>(documents: readonly T[], epochs: number, rng: Rng): T[] =>
  Array.from({ length: epochs }, (_, epoch) => rng.fork(epoch).shuffle(documents)).flat();

/**
 * @file Trials: one candidate trained once from the policy of its round and examined. Many train side by side in the
 * adapter bank, packed, without padding. Trials of one passage with equal `seed` share their random numbers (first
 * weights, order of documents), so that their difference is the edits' and not the draw's.
 */
import type { CausalLm } from "../../models/index.ts";
import { bankOf, type LoraAdapter } from "../../nn/index.ts";
import { digestOf } from "../../registry/index.ts";
import { type BankProgress, trainAdapters, trainFull } from "../../train/index.ts";
import { createRng, type Rng } from "../../util/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import { accuracy, type ExamAnswer, type ExamItem, examine, meanGoldLogprob } from "../exam.ts";
import type { Writer } from "../propose.ts";
import type { LearnInnerLoop } from "./settings.ts";

/** What to train on, with which random numbers, and what to ask afterwards. */
export interface Trial {
  readonly passage: number;
  readonly edit: number;
  readonly repetition: number;
  /** Names the random stream. */
  readonly seed: number;
  readonly documents: readonly string[];
  readonly items: readonly ExamItem[];
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
export async function runTrials(room: TrialRoom, trials: readonly Trial[]): Promise<TrialRecord[]> {
  return room.innerLoop.method === "lora" ? runInBank(room, trials) : runOneByOne(room, trials);
}

const streamOf = (seed: number): string => `trial-${seed}`;

/** The documents of a trial and how often they are gone through; with replay, epochs are written out, replay is not repeated. */
function lessonsOf({ innerLoop, replay }: TrialRoom, { documents, seed }: Trial): { texts: string[]; epochs: number } {
  const { epochs, replayShare } = innerLoop;
  if (replayShare === 0) return { texts: [...documents], epochs };
  const numReplay = Math.round((documents.length * epochs * replayShare) / (1 - replayShare));
  const order = createRng(streamOf(seed)).fork("replay").shuffle(replay);
  const old = Array.from({ length: numReplay }, (_, index) => order[index % order.length]!);
  return { texts: [...Array.from({ length: epochs }, () => documents).flat(), ...old], epochs: 1 };
}

async function runInBank(room: TrialRoom, trials: readonly Trial[]): Promise<TrialRecord[]> {
  const { checkpoint, innerLoop, signal, onTrain } = room;
  const { lm } = checkpoint;
  const { lora, learningRate, documentsPerStep, maxSteps } = innerLoop;
  const results = await trainAdapters({
    lm,
    jobs: trials.map((trial) => {
      const { texts, epochs } = lessonsOf(room, trial);
      return {
        id: `${trial.passage}/${trial.edit}/${trial.repetition}`,
        stream: streamOf(trial.seed),
        documents: toTrainDocuments(checkpoint, texts),
        epochs,
        lora,
        learningRate,
        documentsPerStep,
        ...(maxSteps !== null && { maxSteps }),
      };
    }),
    seed: "trials", // all that varies is in the stream's name
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
    usable.map((index) => ({ adapterIndex: index, items: [...trials[index]!.items, ...room.canaries] })),
  );
  return trials.map((trial, index) => {
    const { adapter, numSteps, status } = results[index]!;
    const answers = status === "finished" ? sheets[usable.indexOf(index)]! : null;
    return record(trial, answers, lm.vocabSize, { numSteps, status, adapter: digestAdapter(adapter) });
  });
}

function record(
  trial: Trial,
  answers: readonly ExamAnswer[] | null,
  vocabSize: number,
  trained: Pick<TrialRecord, "numSteps" | "status" | "adapter">,
): TrialRecord {
  const { passage, edit, repetition, seed, items } = trial;
  const own = answers?.slice(0, items.length) ?? [];
  const canaries = answers?.slice(items.length) ?? [];
  return {
    passage,
    edit,
    repetition,
    seed,
    accuracy: accuracy(own) ?? 0,
    goldLogprob: finite(meanGoldLogprob(own), -Math.log(vocabSize)), // a diverged adapter knows as much as a guess
    kept: accuracy(canaries),
    ...trained,
  };
}

const finite = (value: number | null, otherwise: number): number =>
  value !== null && Number.isFinite(value) ? value : otherwise;

/** Full finetuning: each trial changes the policy's own weights, which are put back after its exam. */
async function runOneByOne(room: TrialRoom, trials: readonly Trial[]): Promise<TrialRecord[]> {
  const { lm } = room.checkpoint;
  const before = Float32Array.from(lm.parameters.flat.readSync());
  const records: TrialRecord[] = [];
  for (const trial of trials) {
    try {
      records.push(await finetune(room, trial));
    } finally {
      lm.parameters.thaw();
      lm.parameters.flat.write(before);
    }
  }
  return records;
}

async function finetune(room: TrialRoom, trial: Trial): Promise<TrialRecord> {
  const { checkpoint, innerLoop, signal } = room;
  const { lm } = checkpoint;
  const { texts, epochs } = lessonsOf(room, trial);
  const order = ordered(texts, epochs, createRng(streamOf(trial.seed)).fork("order"));
  const { documentsPerStep } = innerLoop;
  const steps = Math.min(Math.ceil(order.length / documentsPerStep), innerLoop.maxSteps ?? Number.POSITIVE_INFINITY);
  const status = await trainFull({
    lm,
    source: (step) => toTrainDocuments(checkpoint, order.slice(step * documentsPerStep, (step + 1) * documentsPerStep)),
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
  const answers =
    status === "diverged"
      ? null
      : (
          await examine({ ...room, bank: null }, [{ adapterIndex: null, items: [...trial.items, ...room.canaries] }])
        )[0]!;
  return record(trial, answers, lm.vocabSize, { numSteps: steps, status, adapter: digestWeights(lm) });
}

const digestWeights = (lm: CausalLm): string => digestOf(bytesOf(Float32Array.from(lm.parameters.flat.readSync())));

/** The documents of all epochs, each epoch in its own random order. */
const ordered = (texts: readonly string[], epochs: number, rng: Rng): string[] =>
  Array.from({ length: epochs }, (_, epoch) => rng.fork(epoch).shuffle(texts)).flat();

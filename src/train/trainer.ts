/**
 * @file Full-parameter training: documents in, a trained model out, resumable to the bit.
 * `trainFull` → `forwardBackward` (step.ts) → `AdamW` (nn/optim). For many small adapters see `adapter-bank.ts`.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CausalLm } from "../models/index.ts";
import {
  AdamW,
  type AdamWOptions,
  checkSchedule,
  clipScale,
  Ema,
  globalNorm,
  multiplierAt,
  type Schedule,
} from "../nn/index.ts";
import { digestOf } from "../registry/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { loadLatestCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { cutByRows, type DocumentSource, type PreparedDocument, prepareDocuments, requireSupervised } from "./data.ts";
import { forwardBackward } from "./step.ts";

/** Where and how often {@link trainFull} saves its state. */
export interface CheckpointOptions {
  /** One directory per run; holds the two newest checkpoints. */
  readonly directory: string;
  /** Updates between checkpoints; 0 leaves it to the clock. @defaultValue 0 */
  readonly everySteps?: number;
  /** Seconds between checkpoints; 0 means none by the clock. @defaultValue 60 */
  readonly everySeconds?: number;
}

/** State of training after an update. */
export interface TrainProgress {
  /** Updates done. */
  readonly step: number;
  readonly steps: number;
  /** Nats per supervised token of this update's documents, before the update. */
  readonly lossNats: number;
  /** Norm of the whole gradient before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Rows computed per second since training began or resumed. */
  readonly tokensPerSecond: number;
  readonly peakMemoryMiB: number;
  readonly etaSeconds: number;
  /** What was done to this update's documents (splits, empty ones). */
  readonly notes: readonly string[];
}

/** Options of {@link trainFull}. */
export interface TrainFullOptions {
  /** Its parameters change in place; `lm.precision` sets the arithmetic, storage must be f32 (f64). */
  readonly lm: CausalLm;
  readonly source: DocumentSource;
  /** Updates in all. */
  readonly steps: number;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** @defaultValue constant */
  readonly schedule?: Schedule;
  readonly optimizer?: AdamWOptions;
  /** Limit on the norm of the gradient; 0 means none. @defaultValue 1 */
  readonly clipNorm?: number;
  /** Rows of one forward pass; an update with more is split and its gradients summed. @defaultValue 8192 */
  readonly maxTokensPerMicroBatch?: number;
  /** Decay of the averaged weights, which replace the trained ones at the end; 0 means no averaging. @defaultValue 0 */
  readonly emaDecay?: number;
  readonly checkpoint?: CheckpointOptions;
  /** Names data and seed in the checkpoint, so that another run cannot go on from it. @defaultValue "" */
  readonly runKey?: string;
  /** Stops between two updates, after a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainProgress) => void;
}

/** How {@link trainFull} ended. */
export interface TrainFullResult {
  /** Updates done, those before a resume included. */
  readonly step: number;
  /** False when the signal stopped it; the same call goes on. */
  readonly isFinished: boolean;
  /** Update that this call started from; 0 unless it resumed. */
  readonly resumedFrom: number;
  /** Loss of the last update of this call; NaN when it did none. */
  readonly lossNats: number;
  /** Rows computed by this call. */
  readonly numTokens: number;
  readonly seconds: number;
}

/** Loss of one update, and the rows it took. Gradients are those of the mean over all its supervised tokens. */
function accumulate(
  lm: CausalLm,
  sequences: readonly PreparedDocument[],
  maxRows: number,
): { lossNats: number; numTokens: number } {
  const numSupervised = sequences.reduce((total, sequence) => total + sequence.numSupervised, 0);
  let nats = 0;
  let numTokens = 0;
  for (const microBatch of cutByRows(sequences, (sequence) => sequence.numUsefulRows, maxRows)) {
    const weights = microBatch.map(() => 1 / numSupervised);
    for (const value of forwardBackward(lm, microBatch, weights, null)) nats += value;
    for (const sequence of microBatch) numTokens += sequence.numUsefulRows;
  }
  return { lossNats: nats / numSupervised, numTokens };
}

/** Digest of what a resumed run must have in common with the run that wrote the checkpoint. */
function fingerprintOf(options: TrainFullOptions): string {
  const { lm, steps, learningRate, schedule, optimizer, clipNorm, maxTokensPerMicroBatch, emaDecay, runKey } = options;
  const parameters = lm.parameters.specs.map(({ name, shape }) => [name, shape]);
  const settings = [
    steps,
    learningRate,
    schedule,
    optimizer,
    clipNorm,
    maxTokensPerMicroBatch,
    emaDecay,
    runKey,
    lm.precision,
    parameters,
  ];
  return digestOf(JSON.stringify(settings));
}

function checkOptions(options: TrainFullOptions): void {
  const { steps, learningRate, schedule, lm } = options;
  if (!(Number.isInteger(steps) && steps >= 0 && learningRate >= 0))
    throw new SelkieError(
      "bad-option",
      `training: expected whole steps and a learning rate of at least 0, got ${steps} and ${learningRate}`,
    );
  if (lm.precision.params === "bf16")
    throw new SelkieError(
      "bad-option",
      "training: expected f32 weights, got bf16, which loses small updates; load the model with bf16TrainPrecision",
    );
  if (lm.parameters.isQuantised)
    throw new SelkieError(
      "bad-option",
      `training: expected weights in f32, got ${lm.precision.weights}, which only adapters can be trained on; load the model without quantised weights`,
    );
  if (schedule !== undefined) checkSchedule(schedule);
}

/** The running state of one call; keeps `trainFull` to its loop. */
class FullTrainer implements Disposable {
  readonly options: TrainFullOptions;
  readonly adamW: AdamW;
  readonly ema: Ema | null;
  readonly #fingerprint: string;
  #lastSave: number;
  #savedStep = -1;

  constructor(options: TrainFullOptions) {
    const { lm, optimizer, emaDecay = 0 } = options;
    this.options = options;
    lm.parameters.enableGrad();
    this.adamW = new AdamW(lm.parameters, optimizer);
    this.ema = emaDecay > 0 ? new Ema(lm.parameters, emaDecay) : null;
    this.#fingerprint = fingerprintOf(options);
    this.#lastSave = performance.now();
  }

  get #tensors(): Record<string, Tensor> {
    const { adamW, ema, options } = this;
    const tensors = { params: options.lm.parameters.flat, moment1: adamW.moment1, moment2: adamW.moment2 };
    return ema === null ? tensors : { ...tensors, ema: ema.average };
  }

  /** Loads the newest checkpoint, if any. */
  resume(): void {
    const { checkpoint } = this.options;
    const state = checkpoint ? loadLatestCheckpoint(checkpoint.directory, this.#fingerprint, this.#tensors) : null;
    if (state === null) return;
    this.adamW.restore(state);
    this.#savedStep = state.step;
  }

  /** One update. */
  async step(): Promise<
    Omit<TrainProgress, "tokensPerSecond" | "peakMemoryMiB" | "etaSeconds"> & { numTokens: number }
  > {
    const {
      lm,
      source,
      steps,
      learningRate,
      schedule = { kind: "constant" },
      clipNorm = 1,
      maxTokensPerMicroBatch = 8192,
    } = this.options;
    const done = this.adamW.numSteps;
    const { sequences, notes } = prepareDocuments(await source(done), lm);
    requireSupervised(sequences, `training: update ${done}`);
    lm.parameters.zeroGrad();
    const { lossNats, numTokens } = accumulate(lm, sequences, maxTokensPerMicroBatch);
    const gradNorm = globalNorm(lm.parameters.flatGrad);
    if (!Number.isFinite(lossNats + gradNorm))
      throw new SelkieError(
        "diverged",
        `training: expected a finite loss and gradient, got ${lossNats} and ${gradNorm} at update ${done}; lower the learning rate`,
      );
    const rate = learningRate * multiplierAt(schedule, done, steps);
    this.adamW.step(rate, clipScale(gradNorm, clipNorm));
    this.ema?.update();
    return { step: done + 1, steps, lossNats, gradNorm, learningRate: rate, notes, numTokens };
  }

  /** Saves when it is time, or when told to. */
  save(force = false): void {
    const { checkpoint } = this.options;
    const step = this.adamW.numSteps;
    if (checkpoint === undefined || step === this.#savedStep) return;
    const { everySteps = 0, everySeconds = 60 } = checkpoint;
    const isDue =
      (everySteps > 0 && step % everySteps === 0) ||
      (everySeconds > 0 && performance.now() - this.#lastSave >= 1000 * everySeconds);
    if (!force && !isDue) return;
    saveCheckpoint(checkpoint.directory, { ...this.adamW.toJson(), fingerprint: this.#fingerprint }, this.#tensors);
    this.#savedStep = step;
    this.#lastSave = performance.now();
  }

  [Symbol.dispose](): void {
    this.adamW[Symbol.dispose]();
    this.ema?.[Symbol.dispose]();
    this.options.lm.parameters.disableGrad();
  }
}

/**
 * Trains every parameter of `lm`. With a checkpoint directory, a call after a kill goes on where the last checkpoint
 * was and ends with the same bits as a run that was never interrupted.
 *
 * @throws {@link SelkieError} `"diverged"` when the loss stops being a number; `"checkpoint-mismatch"` when the
 * directory belongs to a run with other settings.
 */
export async function trainFull(options: TrainFullOptions): Promise<TrainFullResult> {
  checkOptions(options);
  const { lm, steps, signal, onProgress } = options;
  using trainer = new FullTrainer(options);
  trainer.resume();
  const resumedFrom = trainer.adamW.numSteps;
  const began = performance.now();
  const elapsedSeconds = (): number => (performance.now() - began) / 1000;
  let numTokens = 0;
  let lossNats = NaN;
  lm.backend.resetPeak();
  while (trainer.adamW.numSteps < steps && !signal?.aborted) {
    const progress = await trainer.step();
    numTokens += progress.numTokens;
    lossNats = progress.lossNats;
    trainer.save();
    const seconds = elapsedSeconds();
    onProgress?.({
      ...progress,
      tokensPerSecond: numTokens / seconds,
      peakMemoryMiB: lm.backend.memory().peakBytes / 2 ** 20,
      etaSeconds: (seconds / (progress.step - resumedFrom)) * (steps - progress.step),
    });
    await nextTurn(); // lets Ctrl-C and other work in
  }
  trainer.save(true);
  const isFinished = trainer.adamW.numSteps >= steps;
  if (isFinished) trainer.ema?.copyToStore();
  return { step: trainer.adamW.numSteps, isFinished, resumedFrom, lossNats, numTokens, seconds: elapsedSeconds() };
}

/**
 * @file The loop of a training: asks a source for data, updates, saves, reports; resumable to the bit. It trains the group
 * of one {@link Trainee}, a whole model or one adapter; `full-trainer.ts` and `policy-trainer.ts` are settings of it.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { GradientTransform } from "../nn/index.ts";
import { digestOf } from "../registry/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { type CheckpointState, loadLatestCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { type DatumLike, prepareDocuments, requireSupervised } from "./data.ts";
import type { Objective } from "./objective.ts";
import { tokenLikelihood } from "./token-objectives.ts";
import { type GroupWork, type Trainee, Trainer } from "./trainer.ts";

/** Where and how often a training saves its state. */
export interface CheckpointOptions {
  /** One directory per run; holds the two newest checkpoints. */
  readonly directory: string;
  /** Updates between checkpoints; 0 leaves it to the clock. @defaultValue 0 */
  readonly everySteps?: number;
  /** Seconds between checkpoints; 0 means none by the clock. @defaultValue 60 */
  readonly everySeconds?: number;
}

/** Data of one update or more, where more is to be said than the data. */
export interface TrainBatch {
  readonly data: readonly DatumLike[];
  /** @defaultValue that of the training */
  readonly objective?: Objective;
  /** Updates on these data, one after another; checkpoints and stops come after the last. @defaultValue 1 */
  readonly numUpdates?: number;
}

/**
 * The data of the next update, `step` being those done. It may take its time, and may sample from the policy in training;
 * but what it gives must depend on `step` and the policy alone, so that a run can resume anywhere.
 */
export type Source = (step: number) => Sourced | Promise<Sourced>;
type Sourced = TrainBatch | readonly DatumLike[];

/** State of a training after an update. */
export interface UpdateProgress {
  /** Updates done. */
  readonly step: number;
  readonly steps: number;
  /** Of the objective, before the update. */
  readonly loss: number;
  /** Nats per supervised token of this update's data, each times its weight, before the update. */
  readonly natsPerToken: number;
  /** Norm of the whole gradient before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Rows computed per second since training began or resumed. */
  readonly tokensPerSecond: number;
  readonly peakMemoryMiB: number;
  readonly etaSeconds: number;
  /** What was done to this update's data (splits, empty ones). */
  readonly notes: readonly string[];
  /** What else the objective tells. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** Options of {@link train}. */
export interface TrainOptions {
  /** From `wholeModel` or `oneAdapter`; its parameters change in place, and the caller disposes it. */
  readonly trainee: Trainee;
  readonly source: Source;
  /** @defaultValue `tokenLikelihood` */
  readonly objective?: Objective;
  /** From gradients to updates, such as `chain(clipByGlobalNorm(1), adamW({ learningRate: 1e-3 }))`. */
  readonly transform: GradientTransform;
  /** Updates in all. */
  readonly steps: number;
  /** Rows of one forward pass; an update with more is split and its gradients summed. @defaultValue 8192 */
  readonly maxTokensPerMicroBatch?: number;
  readonly checkpoint?: CheckpointOptions;
  /** Names data, seed and settings as JSON: a run with others cannot go on from the checkpoint. @defaultValue steps and names */
  readonly settings?: unknown;
  /** Begins error messages. @defaultValue "training" */
  readonly who?: string;
  /** Stops between two updates, after a checkpoint. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: UpdateProgress) => void;
}

/** How {@link train} ended. */
export interface TrainResult {
  /** Updates done, those before a resume included. */
  readonly step: number;
  /** False when the signal stopped it; the same call goes on. */
  readonly isFinished: boolean;
  /** Update that this call started from; 0 unless it resumed. */
  readonly resumedFrom: number;
  /** Of the last update of this call; NaN when it did none. */
  readonly natsPerToken: number;
  /** Rows computed by this call. */
  readonly numTokens: number;
  readonly seconds: number;
}

type Update = Pick<UpdateProgress, "loss" | "natsPerToken" | "gradNorm" | "learningRate" | "metrics"> & {
  readonly numRows: number;
};

/** The running state of one call. */
class Run implements Disposable {
  readonly #options: TrainOptions;
  readonly #trainer: Trainer;
  readonly #fingerprint: string;
  #lastSave = performance.now();
  #savedStep = -1;
  step = 0;

  constructor(options: TrainOptions) {
    const { trainee, transform, steps, objective = tokenLikelihood, maxTokensPerMicroBatch = 8192 } = options;
    const { settings = [steps, transform.name, objective.name] } = options;
    this.#options = options;
    this.#trainer = new Trainer(trainee, transform, maxTokensPerMicroBatch);
    this.#fingerprint = digestOf(JSON.stringify(settings));
  }

  get #who(): string {
    return this.#options.who ?? "training";
  }

  get #tensors(): Record<string, Tensor> {
    return { params: this.#trainer.trainee.store.flat, ...this.#trainer.optimizer.tensors };
  }

  /** Loads the newest checkpoint, if any. */
  resume(): void {
    const { checkpoint } = this.#options;
    const state = checkpoint ? loadLatestCheckpoint(checkpoint.directory, this.#fingerprint, this.#tensors) : null;
    if (state === null) return;
    this.#trainer.optimizer.restore(state as CheckpointState & Record<string, number>);
    this.step = state.step;
    this.#savedStep = state.step;
  }

  /** What the next updates are on. */
  async nextBatch(): Promise<{ work: GroupWork; notes: readonly string[]; numUpdates: number }> {
    const { trainee, source, objective = tokenLikelihood } = this.#options;
    const sourced = await source(this.step);
    const batch: TrainBatch = "data" in sourced ? sourced : { data: sourced };
    const { numUpdates = 1 } = batch;
    if (!(Number.isInteger(numUpdates) && numUpdates >= 1))
      throw new SelkieError("bad-input", `${this.#who}: expected numUpdates of at least 1, got ${numUpdates}`);
    const { sequences, notes } = prepareDocuments(batch.data, trainee.lm);
    requireSupervised(sequences, `${this.#who}: update ${this.step}`);
    const work = { group: 0, sequences, numData: batch.data.length, objective: batch.objective ?? objective };
    return { work, notes, numUpdates };
  }

  /** One update. */
  update(work: GroupWork): Update {
    const trainer = this.#trainer;
    const group = trainer.groupOf(0, this.step);
    const [found] = trainer.differentiate([work]);
    const [gradNorm] = trainer.norms([group]);
    if (!Number.isFinite(found!.loss + gradNorm!))
      throw new SelkieError(
        "diverged",
        `${this.#who}: expected a finite loss and gradient, got ${found!.loss} and ${gradNorm} at update ${this.step}; lower the learning rate`,
      );
    const learningRate = trainer.optimizer.learningRateOf(group);
    trainer.optimizer.update([group], [gradNorm!]);
    this.step++;
    return { ...found!, gradNorm: gradNorm!, learningRate };
  }

  /** Saves when it is time, or when told to. */
  save(isForced = false): void {
    const { checkpoint } = this.#options;
    if (checkpoint === undefined || this.step === this.#savedStep) return;
    const { directory, everySteps = 0, everySeconds = 60 } = checkpoint;
    const isDue =
      (everySteps > 0 && this.step % everySteps === 0) ||
      (everySeconds > 0 && performance.now() - this.#lastSave >= 1000 * everySeconds);
    if (!isForced && !isDue) return;
    const state = { ...this.#trainer.optimizer.numbers, step: this.step, fingerprint: this.#fingerprint };
    saveCheckpoint(directory, state, this.#tensors);
    this.#savedStep = this.step;
    this.#lastSave = performance.now();
  }

  finish(): void {
    this.#trainer.optimizer.finish();
  }

  [Symbol.dispose](): void {
    this.#trainer[Symbol.dispose]();
  }
}

/**
 * Trains. With a checkpoint directory, a call after a kill goes on where the last checkpoint was and ends with the same bits
 * as a run that was never interrupted.
 *
 * @throws {@link SelkieError} `"diverged"` when the loss stops being a number; `"checkpoint-mismatch"` when the directory
 * belongs to a run with other settings.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { trainee, steps, signal, onProgress, who = "training" } = options;
  if (!(Number.isInteger(steps) && steps >= 0))
    throw new SelkieError("bad-option", `${who}: expected whole steps of at least 0, got ${steps}`);
  const { backend } = trainee.lm;
  using run = new Run(options);
  run.resume();
  const resumedFrom = run.step;
  const began = performance.now();
  const elapsedSeconds = (): number => (performance.now() - began) / 1000;
  let numTokens = 0;
  let natsPerToken = Number.NaN;
  backend.resetPeak();
  while (run.step < steps && !signal?.aborted) {
    const { work, notes, numUpdates } = await run.nextBatch();
    for (let left = numUpdates; left > 0 && run.step < steps; left--) {
      const { numRows, ...update } = run.update(work);
      numTokens += numRows;
      natsPerToken = update.natsPerToken;
      if (left === 1) run.save();
      const seconds = elapsedSeconds();
      onProgress?.({
        ...update,
        step: run.step,
        steps,
        tokensPerSecond: numTokens / seconds,
        peakMemoryMiB: backend.memory().peakBytes / 2 ** 20,
        etaSeconds: (seconds / (run.step - resumedFrom)) * (steps - run.step),
        notes,
      });
      await nextTurn(); // lets Ctrl-C and other work in
    }
  }
  run.save(true);
  const isFinished = run.step >= steps;
  if (isFinished) run.finish();
  return { step: run.step, isFinished, resumedFrom, natsPerToken, numTokens, seconds: elapsedSeconds() };
}

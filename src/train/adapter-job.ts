/** @file One adapter to train: what is asked for, and how far it is. */
import { checkSchedule, type LoraAdapter, type LoraConfig, multiplierAt, type Schedule } from "../nn/index.ts";
import { createRng, type Rng, SelkieError } from "../util/index.ts";
import type { AdapterRegularizer } from "./adapter-regularizer.ts";
import {
  type DatumLike,
  type PreparedDocument,
  type PrepareOptions,
  prepareDocuments,
  requireSupervised,
} from "./data.ts";
import type { Objective } from "./objective.ts";
import type { GroupLoss } from "./trainer.ts";

/** One adapter to train. */
export interface AdapterJob {
  /** Names the job, and its random stream; jobs of one call have different ids. */
  readonly id: string;
  /** Names the random stream instead of `id`: jobs that share it start from the same weights and draw the same orders. */
  readonly stream?: string;
  readonly documents: readonly DatumLike[];
  /** @defaultValue `tokenLikelihood`: nats per supervised token of the update */
  readonly objective?: Objective;
  readonly lora: LoraConfig;
  /** Goes on from these weights, which must fit `lora`. @defaultValue fresh ones, an identity */
  readonly initial?: LoraAdapter;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Passes over the documents; 0 leaves the adapter an identity. */
  readonly epochs: number;
  /** Ends training, and the decay, after this many updates. @defaultValue Infinity */
  readonly maxSteps?: number;
  /** Documents of one update, as SEAL one by one. @defaultValue 1 */
  readonly documentsPerStep?: number;
  /** @defaultValue linear decay to 0 */
  readonly schedule?: Schedule;
  /** Decoupled weight decay of loraA and loraB. @defaultValue 0 */
  readonly weightDecay?: number;
  /** Limit on the norm of this adapter's gradient; 0 means none. @defaultValue 1, as in the Hugging Face Trainer that SEAL used */
  readonly clipNorm?: number;
  /** Added to the loss, before clipping; loss curves are without it. @defaultValue none */
  readonly regularizer?: AdapterRegularizer;
}

/** A trained adapter and how it got there. */
export interface AdapterResult {
  readonly id: string;
  readonly adapter: LoraAdapter;
  /** `"diverged"`: the loss stopped being a number and training ended there; do not use the adapter. */
  readonly status: "finished" | "diverged";
  /** Loss of each update, before the update: nats per supervised token unless the job has another objective. */
  readonly lossCurve: readonly number[];
  /** Updates done. */
  readonly numSteps: number;
  /** Rows computed. */
  readonly numTokens: number;
  /** Its share of the bank's time, by rows. */
  readonly seconds: number;
  /** What was done to its documents (splits, empty ones). */
  readonly notes: readonly string[];
}

function checkJob(job: AdapterJob): void {
  const { id, epochs, learningRate, documentsPerStep = 1, lora, schedule } = job;
  const fits =
    Number.isInteger(epochs) &&
    epochs >= 0 &&
    learningRate >= 0 &&
    Number.isInteger(documentsPerStep) &&
    documentsPerStep >= 1;
  if (!fits)
    throw new SelkieError(
      "bad-option",
      `adapter "${id}": expected whole epochs, a learning rate of at least 0 and whole documentsPerStep of at least 1, got ${epochs}, ${learningRate} and ${documentsPerStep}`,
    );
  if (!(Number.isInteger(lora.loraRank) && lora.loraRank >= 1))
    throw new SelkieError(
      "bad-option",
      `adapter "${id}": expected a whole loraRank of at least 1, got ${lora.loraRank}`,
    );
  if (schedule !== undefined) checkSchedule(schedule);
}

/** The random stream of a job among those of its seed. */
export const streamOfJob = (rng: Rng, { id, stream }: Pick<AdapterJob, "id" | "stream">): Rng =>
  rng.fork("adapter", stream ?? id);

/** Rows that each update of a job will compute, in order, without computing them: for comparisons at equal cost. */
export function plannedRows(model: PrepareOptions, job: AdapterJob, seed: number | string): number[] {
  const run = new AdapterRun(job, model, streamOfJob(createRng(seed), job));
  return Array.from({ length: run.totalSteps }, (_, step) =>
    run.sequencesOf(step).reduce((total, { numUsefulRows }) => total + numUsefulRows, 0),
  );
}

/** A job under way: its place in the data, its loss so far. */
export class AdapterRun {
  readonly job: AdapterJob;
  /** The job's stream; depends on the seed and its name alone. */
  readonly rng: Rng;
  readonly sequences: readonly PreparedDocument[];
  readonly totalSteps: number;
  readonly lossCurve: number[] = [];
  numTokens = 0;
  seconds = 0;
  isDiverged = false;
  readonly #notes: readonly string[];
  readonly #stepsPerEpoch: number;
  readonly #documentsPerStep: number;
  #order: readonly PreparedDocument[] = [];
  #orderEpoch = -1;

  constructor(job: AdapterJob, model: PrepareOptions, rng: Rng) {
    checkJob(job);
    const { sequences, notes } = prepareDocuments(job.documents, model);
    requireSupervised(sequences, `adapter "${job.id}"`);
    this.job = job;
    this.rng = rng;
    this.sequences = sequences;
    this.#notes = notes;
    this.#documentsPerStep = job.documentsPerStep ?? 1;
    this.#stepsPerEpoch = Math.ceil(sequences.length / this.#documentsPerStep);
    this.totalSteps = Math.min(job.epochs * this.#stepsPerEpoch, job.maxSteps ?? Number.POSITIVE_INFINITY);
  }

  get numSteps(): number {
    return this.lossCurve.length;
  }

  get isFinished(): boolean {
    return this.isDiverged || this.numSteps >= this.totalSteps;
  }

  /** Sequences of the next update. */
  nextSequences(): readonly PreparedDocument[] {
    return this.sequencesOf(this.numSteps);
  }

  /** Sequences of update `step`, from 0, in its epoch's random order; the last update of an epoch may have fewer. */
  sequencesOf(step: number): readonly PreparedDocument[] {
    const epoch = Math.floor(step / this.#stepsPerEpoch);
    if (epoch !== this.#orderEpoch) {
      this.#order = this.rng.fork("epoch", epoch).shuffle(this.sequences);
      this.#orderEpoch = epoch;
    }
    const first = (step % this.#stepsPerEpoch) * this.#documentsPerStep;
    return this.#order.slice(first, first + this.#documentsPerStep);
  }

  /** Learning rate of update `step`. */
  rateOf(step: number): number {
    const { learningRate, schedule = { kind: "linear" } } = this.job;
    return learningRate * multiplierAt(schedule, step, this.totalSteps);
  }

  /** Books an update. */
  credit({ loss, numRows }: GroupLoss, secondsPerRow: number, isDiverged: boolean): void {
    this.lossCurve.push(loss);
    this.numTokens += numRows;
    this.seconds += numRows * secondsPerRow;
    this.isDiverged ||= isDiverged;
  }

  toResult(adapter: LoraAdapter): AdapterResult {
    const { job, lossCurve, numSteps, numTokens, seconds, isDiverged } = this;
    return {
      id: job.id,
      adapter,
      status: isDiverged ? "diverged" : "finished",
      lossCurve,
      numSteps,
      numTokens,
      seconds,
      notes: this.#notes,
    };
  }
}

/**
 * @file The adapter bank: many LoRA adapters trained at once over one frozen base. Every bank step takes the next
 * documents of each unfinished job, rows contiguous per adapter, and runs one forward and backward pass for all: one
 * large product per layer for the base, grouped small ones for the adapters. Loss, clipping, learning rate and step
 * count are each adapter's own, so the result is that of training it alone.
 * Next on the tour: `src/models/llama.ts`.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CausalLm } from "../models/index.ts";
import { AdamW, type AdamWOptions, clipScale, LoraBank, type LoraConfig, type StoreRun } from "../nn/index.ts";
import { type AdamWSegment, numElements } from "../tensor/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import { type AdapterJob, type AdapterResult, AdapterRun, type StepSettings, streamOfJob } from "./adapter-job.ts";
import { cutByRows, type PreparedDocument } from "./data.ts";
import { forwardBackward } from "./step.ts";

/** State of the bank after a step. */
export interface BankProgress {
  /** Bank steps done. */
  readonly step: number;
  readonly numJobs: number;
  readonly numFinishedJobs: number;
  /** Adapters that took part in this step. */
  readonly numActiveJobs: number;
  /** Mean over the active adapters of their nats per supervised token. */
  readonly lossNats: number;
  readonly tokensPerSecond: number;
  readonly peakMemoryMiB: number;
  readonly etaSeconds: number;
}

/** Options of {@link trainAdapters}. */
export interface TrainAdaptersOptions {
  /** The base; frozen, its parameters never change. */
  readonly lm: CausalLm;
  readonly jobs: readonly AdapterJob[];
  readonly seed: number | string;
  /** Rows of one forward pass; a bank step with more takes several. @defaultValue 4096 */
  readonly maxTokensPerStep?: number;
  /** Adapters in memory at once; the others wait for a free place. @defaultValue 64 */
  readonly maxAdapters?: number;
  /** Memory for weights, gradients and moments of the adapters in training, MiB. @defaultValue 2048 */
  readonly maxBankMiB?: number;
  /** Settings shared by all jobs; weight decay is each job's own. */
  readonly optimizer?: Omit<AdamWOptions, "weightDecay">;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BankProgress) => void;
}

/** A sequence of the bank step and the place its adapter has in the bank. */
interface PlacedSequence {
  readonly place: number;
  readonly sequence: PreparedDocument;
  /** One over the supervised tokens that the adapter has in this step. */
  readonly lossWeight: number;
}

const isSameSettings = (a: StepSettings | null, b: StepSettings | null): boolean =>
  a === b ||
  (a !== null &&
    b !== null &&
    a.learningRate === b.learningRate &&
    a.weightDecay === b.weightDecay &&
    a.gradScale === b.gradScale &&
    a.step === b.step);

const loraKey = ({ loraRank, loraAlpha, targets, layers }: LoraConfig): string =>
  JSON.stringify([loraRank, loraAlpha, targets, ...(layers === undefined ? [] : [layers])]);

/** Row ranges per place for sequences in ascending order of place, `[G + 1]`. */
function segmentsOf(items: readonly PlacedSequence[], offsets: Int32Array, numPlaces: number): Int32Array {
  const segments = new Int32Array(numPlaces + 1);
  items.forEach(({ place }, index) => {
    segments[place + 1]! += offsets[index + 1]! - offsets[index]!;
  });
  for (let place = 0; place < numPlaces; place++) segments[place + 1]! += segments[place]!;
  return segments;
}

/** Adapters in training together; each place holds one run at a time. */
class BankTrainer implements Disposable {
  readonly #lm: CausalLm;
  readonly #bank: LoraBank;
  readonly #adamW: AdamW;
  readonly #places: (AdapterRun | null)[];
  readonly #maxRows: number;
  /** Boundaries of every adapter within every stacked tensor, for norms per adapter. */
  readonly #normOffsets: Int32Array;

  constructor(lm: CausalLm, runs: readonly AdapterRun[], options: TrainAdaptersOptions) {
    this.#lm = lm;
    this.#maxRows = options.maxTokensPerStep ?? 4096;
    this.#places = runs.map(() => null);
    this.#bank = new LoraBank(
      lm.backend,
      lm.linearLayers,
      runs.map((run) => run.job.lora),
    );
    this.#bank.parameters.enableGrad();
    this.#adamW = new AdamW(this.#bank.parameters, options.optimizer);
    this.#normOffsets = Int32Array.from([0, ...this.#eachRun().map(({ offset, length }) => offset + length)]);
    runs.forEach((run, place) => {
      this.start(place, run);
    });
  }

  get places(): readonly (AdapterRun | null)[] {
    return this.#places;
  }

  /** Gives a place to a run: its first weights, fresh moments. */
  start(place: number, run: AdapterRun): void {
    this.#places[place] = run;
    if (run.job.initial === undefined) this.#bank.initialize(place, run.rng.fork("initialize"));
    else this.#bank.insert(place, run.job.initial);
    for (const { offset, length } of this.#runsOf(place, place + 1)) this.#adamW.resetRun(offset, length);
  }

  /** Takes a finished run from its place. */
  finish(place: number): AdapterResult {
    const run = this.#places[place]!;
    this.#places[place] = null;
    return run.toResult(this.#bank.extract(place));
  }

  /** One update of every adapter in training; returns the mean loss and the rows computed. */
  step(): { readonly lossNats: number; readonly numTokens: number; readonly numActive: number } {
    const began = performance.now();
    const items = this.#nextItems();
    const isActive = this.#places.map((run) => run !== null);
    const losses = this.#accumulate(items);
    this.#regularize();
    const scales = this.#gradScales();
    const settings = this.#places.map((run, place) => {
      if (run !== null && !Number.isFinite(losses[place]! + scales[place]!)) run.isDiverged = true;
      return run === null || run.isDiverged ? null : run.stepSettings(scales[place]!);
    });
    this.#adamW.update(this.#segments(settings));
    const numTokens = items.reduce((total, item) => total + item.sequence.numUsefulRows, 0);
    this.#credit(items, losses, (performance.now() - began) / 1000 / numTokens);
    const active = losses.filter((_, place) => isActive[place]);
    return {
      lossNats: active.reduce((total, loss) => total + loss, 0) / active.length,
      numTokens,
      numActive: active.length,
    };
  }

  #nextItems(): PlacedSequence[] {
    const items: PlacedSequence[] = [];
    this.#places.forEach((run, place) => {
      if (run === null) return;
      const sequences = run.nextSequences();
      const numSupervised = sequences.reduce((total, sequence) => total + sequence.numSupervised, 0);
      for (const sequence of sequences) items.push({ place, sequence, lossWeight: 1 / numSupervised });
    });
    return items;
  }

  /** Gradients of all items, zero where a place has none; returns nats per supervised token of each place. */
  #accumulate(items: readonly PlacedSequence[]): number[] {
    const losses = this.#places.map(() => 0);
    this.#bank.parameters.zeroGrad();
    for (const microBatch of cutByRows(items, (item) => item.sequence.numUsefulRows, this.#maxRows)) {
      const nats = forwardBackward(
        this.#lm,
        microBatch.map((item) => item.sequence),
        microBatch.map((item) => item.lossWeight),
        (offsets) => this.#bank.batch(segmentsOf(microBatch, offsets, this.#places.length)),
      );
      microBatch.forEach(({ place, lossWeight }, index) => {
        losses[place]! += nats[index]! * lossWeight;
      });
    }
    return losses;
  }

  /** Adds the gradients of the penalties, where jobs have one. */
  #regularize(): void {
    this.#places.forEach((run, place) => {
      if (run?.job.regularizer === undefined) return;
      const { gradient } = run.job.regularizer.penalty(this.#bank.extract(place), this.#lm.backend);
      this.#bank.addGradient(place, gradient);
    });
  }

  /** Clipping factor of each place; NaN where the gradient is not finite. */
  #gradScales(): number[] {
    const clipNorms = this.#places.map((run) => (run === null ? 0 : (run.job.clipNorm ?? 1)));
    if (clipNorms.every((clipNorm) => clipNorm === 0)) return clipNorms.map(() => 1);
    const squares = this.#lm.backend.kernels.sumSquares({
      x: this.#bank.parameters.flatGrad,
      offsets: this.#normOffsets,
    });
    const numPlaces = this.#places.length;
    return clipNorms.map((clipNorm, place) => {
      let square = 0;
      for (let index = place; index < squares.length; index += numPlaces) square += squares[index]!;
      return Number.isFinite(square) ? clipScale(Math.sqrt(square), clipNorm) : NaN;
    });
  }

  #credit(items: readonly PlacedSequence[], losses: readonly number[], secondsPerToken: number): void {
    for (const { place, sequence } of items) {
      const run = this.#places[place]!;
      run.numTokens += sequence.numUsefulRows;
      run.seconds += sequence.numUsefulRows * secondsPerToken;
    }
    this.#places.forEach((run, place) => {
      run?.lossCurve.push(losses[place]!);
    });
  }

  /** Runs of the store that hold places `first .. end`: one per stacked tensor, or the whole store. */
  #runsOf(first: number, end: number): readonly StoreRun[] {
    const { parameters, configs } = this.#bank;
    if (first === 0 && end === configs.length) return [{ offset: 0, length: parameters.flat.size }];
    return parameters.specs.map(({ name, shape }) => {
      const length = numElements(shape.slice(1));
      return { offset: parameters.offsetOf(name) + first * length, length: (end - first) * length };
    });
  }

  /** Every adapter's part of every stacked tensor, in the order of the store. */
  #eachRun(): readonly StoreRun[] {
    const { parameters, configs } = this.#bank;
    return parameters.specs.flatMap(({ name, shape }) => {
      const length = numElements(shape.slice(1));
      return configs.map((_, place) => ({ offset: parameters.offsetOf(name) + place * length, length }));
    });
  }

  /** Optimizer runs, with neighbours of equal settings joined so that their number stays small. */
  #segments(settings: readonly (StepSettings | null)[]): AdamWSegment[] {
    const segments: AdamWSegment[] = [];
    forEachStretch(settings, isSameSettings, (first, end, shared) => {
      if (shared !== null) for (const run of this.#runsOf(first, end)) segments.push({ ...run, ...shared });
    });
    return segments;
  }

  [Symbol.dispose](): void {
    this.#adamW[Symbol.dispose]();
    this.#bank[Symbol.dispose]();
  }
}

/** Calls `visit` for each longest stretch of equal neighbours. */
function forEachStretch<T>(
  items: readonly T[],
  isSame: (a: T, b: T) => boolean,
  visit: (first: number, end: number, item: T) => void,
): void {
  let first = 0;
  for (let end = 1; end <= items.length; end++) {
    if (end < items.length && isSame(items[first]!, items[end]!)) continue;
    visit(first, end, items[first]!);
    first = end;
  }
}

/** How many adapters of these runs fit into memory together; at least 1. */
function capacityFor(lm: CausalLm, runs: readonly AdapterRun[], options: TrainAdaptersOptions): number {
  const { maxAdapters = 64, maxBankMiB = 2048 } = options;
  const maxRank = Math.max(...runs.map((run) => run.job.lora.loraRank));
  const parameters = lm.linearLayers.reduce((total, layer) => total + maxRank * (layer.inSize + layer.outSize), 0);
  const bytesEach = 4 * 4 * parameters; // weights, gradients and two moments, f32
  return Math.max(1, Math.min(maxAdapters, runs.length, Math.floor((maxBankMiB * 2 ** 20) / bytesEach)));
}

/** Jobs of one kind together, long ones first, so that places are refilled and the last to finish started early. */
function inBankOrder(runs: readonly AdapterRun[]): AdapterRun[] {
  return runs.toSorted((a, b) => {
    const [keyA, keyB] = [loraKey(a.job.lora), loraKey(b.job.lora)];
    return (
      a.job.lora.loraRank - b.job.lora.loraRank ||
      (keyA < keyB ? -1 : keyA > keyB ? 1 : 0) ||
      b.totalSteps - a.totalSteps
    );
  });
}

function createRuns({ lm, jobs, seed }: TrainAdaptersOptions): AdapterRun[] {
  const rng = createRng(seed);
  const ids = new Set<string>();
  return jobs.map((job) => {
    if (ids.has(job.id))
      throw new SelkieError("duplicate-name", `trainAdapters: expected different job ids, got "${job.id}" twice`);
    ids.add(job.id);
    return new AdapterRun(job, lm, streamOfJob(rng, job));
  });
}

/** Reports after each bank step. */
function progressReporter(
  runs: readonly AdapterRun[],
  options: TrainAdaptersOptions,
): (step: ReturnType<BankTrainer["step"]>) => void {
  const { lm, onProgress } = options;
  const began = performance.now();
  const stepsInAll = runs.reduce((total, run) => total + run.totalSteps, 0);
  let numSteps = 0;
  let numTokens = 0;
  return (bankStep) => {
    numSteps++;
    numTokens += bankStep.numTokens;
    if (onProgress === undefined) return;
    const seconds = (performance.now() - began) / 1000;
    const stepsLeft = runs.reduce((total, run) => total + (run.isFinished ? 0 : run.totalSteps - run.numSteps), 0);
    onProgress({
      step: numSteps,
      numJobs: runs.length,
      numFinishedJobs: runs.filter((run) => run.isFinished).length,
      numActiveJobs: bankStep.numActive,
      lossNats: bankStep.lossNats,
      tokensPerSecond: numTokens / seconds,
      peakMemoryMiB: lm.backend.memory().peakBytes / 2 ** 20,
      etaSeconds: (seconds / Math.max(1, stepsInAll - stepsLeft)) * stepsLeft,
    });
  };
}

/**
 * Trains one LoRA adapter per job. A job's result depends on the seed, its id and its settings, not on its companions,
 * their order or the limits (within the rounding of f32 sums).
 *
 * @returns One result per job, in the order of `jobs`.
 * @throws {@link SelkieError} `"no-supervised-tokens"` when a job has nothing to learn; `"stopped"` when the signal fires.
 */
export async function trainAdapters(options: TrainAdaptersOptions): Promise<AdapterResult[]> {
  const { lm, signal } = options;
  const runs = createRuns(options);
  const results = new Map<AdapterRun, AdapterResult>();
  const waiting = inBankOrder(runs);
  const report = progressReporter(runs, options);
  lm.parameters.disableGrad(); // no gradients, no activations kept for them
  lm.parameters.freeze();
  lm.backend.resetPeak();
  while (waiting.length > 0) {
    using trainer = new BankTrainer(lm, waiting.splice(0, capacityFor(lm, waiting, options)), options);
    while (settle(trainer, waiting, results)) {
      if (signal?.aborted)
        throw new SelkieError("stopped", "trainAdapters: stopped by the caller's signal; run it again to start over");
      report(trainer.step());
      await nextTurn(); // lets Ctrl-C and other work in
    }
  }
  return runs.map((run) => results.get(run)!);
}

/** Collects finished adapters and gives their places to waiting jobs of the same kind; false when no place is taken. */
function settle(trainer: BankTrainer, waiting: AdapterRun[], results: Map<AdapterRun, AdapterResult>): boolean {
  let isBusy = false;
  trainer.places.forEach((run, place) => {
    for (let current = run; current !== null; ) {
      if (!current.isFinished) {
        isBusy = true;
        break;
      }
      results.set(current, trainer.finish(place));
      const key = loraKey(current.job.lora);
      const next = waiting.findIndex((other) => loraKey(other.job.lora) === key);
      current = next < 0 ? null : waiting.splice(next, 1)[0]!;
      if (current !== null) trainer.start(place, current);
    }
  });
  return isBusy;
}

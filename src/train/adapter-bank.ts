/**
 * @file The adapter bank: many LoRA adapters trained at once over one frozen base. Every bank step takes the next
 * documents of each unfinished job, rows contiguous per adapter, and runs one forward and backward pass for all: one
 * large product per layer for the base, grouped small ones for the adapters. Loss, clipping, learning rate and step
 * count are each adapter's own, so the result is that of training it alone.
 * Next on the tour: `src/models/llama.ts`.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CausalLm } from "../models/index.ts";
import {
  type AdamOptions,
  adamW,
  chain,
  clipByGlobalNorm,
  type LoraAdapter,
  type LoraConfig,
  type UpdateGroup,
} from "../nn/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import { type AdapterJob, type AdapterResult, AdapterRun, streamOfJob } from "./adapter-job.ts";
import { createPenalty } from "./adapter-penalty.ts";
import type { AdapterPenalty } from "./adapter-regularizer.ts";
import { tokenLikelihood } from "./token-objectives.ts";
import { type AdapterTrainee, adaptersOver, type GroupWork, Trainer } from "./trainer.ts";

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
  readonly optimizer?: AdamOptions;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BankProgress) => void;
}

const loraKey = ({ loraRank, loraAlpha, targets, layers }: LoraConfig): string =>
  JSON.stringify([loraRank, loraAlpha, targets, ...(layers === undefined ? [] : [layers])]);

/** Adapters in training together; each place holds one run at a time. */
class BankTrainer implements Disposable {
  readonly #trainee: AdapterTrainee;
  readonly #trainer: Trainer;
  readonly #places: (AdapterRun | null)[];
  /** Of the jobs in the places. */
  readonly #penalties: (((adapter: LoraAdapter) => AdapterPenalty) | null)[];

  constructor(lm: CausalLm, runs: readonly AdapterRun[], { optimizer, maxTokensPerStep = 4096 }: TrainAdaptersOptions) {
    this.#places = runs.map(() => null);
    this.#penalties = runs.map(() => null);
    this.#trainee = adaptersOver(
      lm,
      runs.map((run) => run.job.lora),
    );
    const runOf = ({ group }: UpdateGroup) => this.#places[group]!;
    const transform = chain(
      clipByGlobalNorm((group) => runOf(group).job.clipNorm ?? 1),
      adamW({
        ...optimizer,
        learningRate: (group) => runOf(group).rateOf(group.step),
        weightDecay: (group) => runOf(group).job.weightDecay ?? 0,
      }),
    );
    this.#trainer = new Trainer(this.#trainee, transform, maxTokensPerStep);
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
    const { bank, groups, lm } = this.#trainee;
    const { regularizer } = run.job;
    this.#penalties[place] = regularizer === undefined ? null : createPenalty(regularizer, lm.backend);
    if (run.job.initial === undefined) bank.initialize(place, run.rng.fork("initialize"));
    else bank.insert(place, run.job.initial);
    this.#trainer.optimizer.reset(groups[place]!);
  }

  /** Takes a finished run from its place. */
  finish(place: number): AdapterResult {
    const run = this.#places[place]!;
    this.#places[place] = null;
    this.#penalties[place] = null;
    return run.toResult(this.#trainee.bank.extract(place));
  }

  /** One update of every adapter in training; returns the mean loss and the rows computed. */
  step(): { readonly lossNats: number; readonly numTokens: number; readonly numActive: number } {
    const began = performance.now();
    const active = [...this.#places.keys()].filter((place) => this.#places[place] !== null);
    const found = this.#trainer.differentiate(active.map((place) => workOf(place, this.#places[place]!)));
    this.#regularize();
    const groups = active.map((place) => this.#trainer.groupOf(place, this.#places[place]!.numSteps));
    const norms = this.#trainer.norms(groups);
    const fit = active.flatMap((_, index) => (Number.isFinite(found[index]!.loss + norms[index]!) ? [index] : []));
    this.#trainer.optimizer.update(
      fit.map((index) => groups[index]!),
      fit.map((index) => norms[index]!),
    );
    const numTokens = found.reduce((total, { numRows }) => total + numRows, 0);
    const secondsPerToken = (performance.now() - began) / 1000 / numTokens;
    active.forEach((place, index) => {
      this.#places[place]!.credit(found[index]!, secondsPerToken, !fit.includes(index));
    });
    const lossNats = found.reduce((total, { loss }) => total + loss, 0) / active.length;
    return { lossNats, numTokens, numActive: active.length };
  }

  /** Adds the gradients of the penalties, where jobs have one. */
  #regularize(): void {
    const { bank } = this.#trainee;
    this.#penalties.forEach((penalty, place) => {
      if (penalty !== null) bank.addGradient(place, penalty(bank.extract(place)).gradient);
    });
  }

  [Symbol.dispose](): void {
    this.#trainer[Symbol.dispose]();
    this.#trainee[Symbol.dispose]();
  }
}

/** The next update of a run, whose sequences count as data of their own. */
function workOf(group: number, run: AdapterRun): GroupWork {
  const sequences = run.nextSequences().map((sequence, documentIndex) => ({ ...sequence, documentIndex }));
  return { group, sequences, numData: sequences.length, objective: run.job.objective ?? tokenLikelihood };
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

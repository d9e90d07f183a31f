/**
 * @file Training a policy on its own completions: an update takes some documents and decides what each one's
 * log-probability counts, by fixed weights (supervised, advantage-weighted) or by weights that depend on the model as it
 * is now (preference pairs). Trains a LoRA adapter or the model itself, resumable to the bit.
 * The gradient is that of `Σ weights[d] · nats[d]`, where `nats[d]` is minus the log-probability of what document `d`
 * supervises; an objective of the log-probabilities needs its derivative by them and one more forward pass, no more.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CausalLm } from "../models/index.ts";
import {
  AdamW,
  checkSchedule,
  clipScale,
  globalNorm,
  type LoraAdapter,
  LoraBank,
  type LoraConfig,
  multiplierAt,
  type ParameterStore,
  type Schedule,
} from "../nn/index.ts";
import { digestOf } from "../registry/index.ts";
import { createRng, SelkieError } from "../util/index.ts";
import { loadLatestCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { cutByRows, type PreparedDocument, prepareDocuments, requireSupervised, type TrainDocument } from "./data.ts";
import { forwardBackward, forwardOnly } from "./step.ts";
import type { CheckpointOptions } from "./trainer.ts";

/** What an objective makes of the documents of one update. */
export interface WeighedLoss {
  readonly loss: number;
  /** `d loss / d nats` of each document. */
  readonly weights: readonly number[];
}

/** Documents of one update and what they count. */
export interface PolicyBatch {
  readonly documents: readonly TrainDocument[];
  /** One fixed weight per document, or a function of their nats under the model as it is now. */
  readonly weigh: readonly number[] | ((nats: readonly number[]) => WeighedLoss);
}

/** What of the policy is trained: an adapter over it, or all its parameters. */
export type PolicyTarget = { readonly kind: "lora"; readonly lora: LoraConfig } | { readonly kind: "full" };

/** State of training after an update. */
export interface PolicyProgress {
  readonly step: number;
  readonly steps: number;
  /** Of this update's documents, before the update. */
  readonly loss: number;
  readonly tokensPerSecond: number;
  readonly etaSeconds: number;
}

/** Options of {@link trainPolicy}. */
export interface TrainPolicyOptions {
  readonly lm: CausalLm;
  readonly target: PolicyTarget;
  /** The batch of update `step`, from 0; must depend on `step` alone, so that a run can resume anywhere. */
  readonly source: (step: number) => PolicyBatch;
  readonly steps: number;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** @defaultValue linear decay to 0 */
  readonly schedule?: Schedule;
  /** @defaultValue 0 */
  readonly weightDecay?: number;
  /** Limit on the norm of the gradient; 0 means none. @defaultValue 1 */
  readonly clipNorm?: number;
  /** Rows of one forward pass. @defaultValue 8192 */
  readonly maxTokensPerMicroBatch?: number;
  /** Names the first weights of the adapter, and with `runKey` the run. */
  readonly seed: number | string;
  readonly checkpoint?: CheckpointOptions;
  /** Names the data in the checkpoint, so that another run cannot go on from it. @defaultValue "" */
  readonly runKey?: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: PolicyProgress) => void;
}

/** What came out. */
export interface PolicyResult {
  /** `null` when the model itself was trained. */
  readonly adapter: LoraAdapter | null;
  /** Loss of each update of this call. */
  readonly lossCurve: readonly number[];
  readonly resumedFrom: number;
}

/** The parameters in training, and what a forward pass needs for them. */
interface Trainee extends Disposable {
  readonly store: ParameterStore;
  readonly bank: LoraBank | null;
}

function createTrainee({ lm, target, seed }: TrainPolicyOptions): Trainee {
  if (target.kind === "full") {
    if (lm.precision.params === "bf16")
      throw new SelkieError(
        "bad-option",
        "policy: expected f32 weights, got bf16, which loses small updates; load the model with bf16TrainPrecision",
      );
    lm.parameters.enableGrad();
    return { store: lm.parameters, bank: null, [Symbol.dispose]: () => lm.parameters.disableGrad() };
  }
  lm.parameters.disableGrad();
  lm.parameters.freeze();
  const bank = new LoraBank(lm.backend, lm.linearLayers, [target.lora]);
  bank.initialize(0, createRng(seed).fork("policy-adapter"));
  bank.parameters.enableGrad();
  return { store: bank.parameters, bank, [Symbol.dispose]: () => bank[Symbol.dispose]() };
}

class PolicyTrainer implements Disposable {
  readonly #options: TrainPolicyOptions;
  readonly #trainee: Trainee;
  readonly #adamW: AdamW;
  readonly #fingerprint: string;
  #lastSave = performance.now();
  numTokens = 0;

  constructor(options: TrainPolicyOptions) {
    const { target, steps, learningRate, schedule, weightDecay, clipNorm, seed, runKey, lm } = options;
    this.#options = options;
    this.#trainee = createTrainee(options);
    this.#adamW = new AdamW(this.#trainee.store, { weightDecay: weightDecay ?? 0 });
    this.#fingerprint = digestOf(
      JSON.stringify([target, steps, learningRate, schedule, weightDecay, clipNorm, seed, runKey, lm.precision]),
    );
  }

  get #tensors() {
    const { moment1, moment2 } = this.#adamW;
    return { params: this.#trainee.store.flat, moment1, moment2 };
  }

  get numSteps(): number {
    return this.#adamW.numSteps;
  }

  /** Loads the newest checkpoint, if any. */
  resume(): void {
    const { checkpoint } = this.#options;
    const state = checkpoint && loadLatestCheckpoint(checkpoint.directory, this.#fingerprint, this.#tensors);
    if (state) this.#adamW.restore(state);
  }

  /** Saves when it is time, or when told to. */
  save(isForced: boolean): void {
    const { checkpoint } = this.#options;
    if (checkpoint === undefined) return;
    const { everySteps = 0, everySeconds = 60, directory } = checkpoint;
    const isDue =
      (everySteps > 0 && this.numSteps % everySteps === 0) ||
      (everySeconds > 0 && performance.now() - this.#lastSave >= 1000 * everySeconds);
    if (!isForced && !isDue) return;
    saveCheckpoint(directory, { ...this.#adamW.toJson(), fingerprint: this.#fingerprint }, this.#tensors);
    this.#lastSave = performance.now();
  }

  /** One update; returns its loss. */
  step(): number {
    const { lm, source, steps, learningRate, schedule = { kind: "linear" }, clipNorm = 1 } = this.#options;
    const done = this.numSteps;
    const { documents, weigh } = source(done);
    const { sequences } = prepareDocuments(documents, lm);
    requireSupervised(sequences, `policy: update ${done}`);
    const fixed = typeof weigh === "function" ? weigh(this.#measure(sequences, documents.length)) : null;
    const weights = fixed === null ? (weigh as readonly number[]) : fixed.weights;
    this.#trainee.store.zeroGrad();
    let weighted = 0;
    for (const group of this.#cut(sequences)) {
      const groupWeights = group.map(({ documentIndex }) => weights[documentIndex]!);
      const nats = forwardBackward(lm, group, groupWeights, this.#adaptersOf());
      groupWeights.forEach((weight, index) => {
        weighted += weight * nats[index]!;
      });
    }
    const gradNorm = globalNorm(this.#trainee.store.flatGrad);
    const loss = fixed?.loss ?? weighted;
    if (!Number.isFinite(loss + gradNorm))
      throw new SelkieError(
        "diverged",
        `policy: expected a finite loss and gradient, got ${loss} and ${gradNorm} at update ${done}; lower the learning rate`,
      );
    this.#adamW.step(learningRate * multiplierAt(schedule, done, steps), clipScale(gradNorm, clipNorm));
    for (const { numUsefulRows } of sequences) this.numTokens += numUsefulRows;
    return loss;
  }

  /** Nats of each document under the model as it is now. */
  #measure(sequences: readonly PreparedDocument[], numDocuments: number): number[] {
    const nats = new Array<number>(numDocuments).fill(0);
    for (const group of this.#cut(sequences)) {
      const sums = forwardOnly(this.#options.lm, group, this.#adaptersOf());
      group.forEach(({ documentIndex }, index) => {
        nats[documentIndex]! += sums[index]!;
      });
    }
    return nats;
  }

  #cut(sequences: readonly PreparedDocument[]): PreparedDocument[][] {
    return cutByRows(sequences, ({ numUsefulRows }) => numUsefulRows, this.#options.maxTokensPerMicroBatch ?? 8192);
  }

  #adaptersOf() {
    const { bank } = this.#trainee;
    return bank && ((offsets: Int32Array) => bank.batch(Int32Array.of(0, offsets.at(-1)!)));
  }

  extract(): LoraAdapter | null {
    return this.#trainee.bank?.extract(0) ?? null;
  }

  [Symbol.dispose](): void {
    this.#adamW[Symbol.dispose]();
    this.#trainee[Symbol.dispose]();
  }
}

/**
 * Trains the policy. With a checkpoint directory, a call after a kill goes on where the last checkpoint was and ends with
 * the same bits as a run that was never interrupted.
 *
 * @throws {@link SelkieError} `"diverged"` when the loss stops being a number; the signal's reason, after a checkpoint,
 * when it fires.
 */
export async function trainPolicy(options: TrainPolicyOptions): Promise<PolicyResult> {
  const { steps, schedule, signal, onProgress } = options;
  if (!(Number.isInteger(steps) && steps >= 0))
    throw new SelkieError("bad-option", `policy: expected whole steps of at least 0, got ${steps}`);
  if (schedule !== undefined) checkSchedule(schedule);
  using trainer = new PolicyTrainer(options);
  trainer.resume();
  const resumedFrom = trainer.numSteps;
  const lossCurve: number[] = [];
  const began = performance.now();
  while (trainer.numSteps < steps) {
    if (signal?.aborted) {
      trainer.save(true);
      signal.throwIfAborted();
    }
    const loss = trainer.step();
    lossCurve.push(loss);
    trainer.save(trainer.numSteps === steps);
    const seconds = (performance.now() - began) / 1000;
    onProgress?.({
      step: trainer.numSteps,
      steps,
      loss,
      tokensPerSecond: trainer.numTokens / seconds,
      etaSeconds: (seconds / lossCurve.length) * (steps - trainer.numSteps),
    });
    await nextTurn(); // lets Ctrl-C and other work in
  }
  return { adapter: trainer.extract(), lossCurve, resumedFrom };
}

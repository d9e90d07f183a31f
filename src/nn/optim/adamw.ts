/**
 * @file AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) over a {@link ParameterStore}.
 * The state is updated in place: a pure pair of `init` and `step` would hold every moment twice.
 */
import { type AdamWSegment, type Tensor, zeros } from "../../tensor/index.ts";
import { SelkieError } from "../../util/index.ts";
import type { ParameterStore } from "../parameters.ts";

/** Settings of {@link AdamW}; the defaults are those of PyTorch, but for the weight decay. */
export interface AdamWOptions {
  /** Decay of the first moment, in [0, 1). @defaultValue 0.9 */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). @defaultValue 0.999 */
  readonly beta2?: number;
  /** Added to the root of the second moment; greater than 0. @defaultValue 1e-8 */
  readonly epsilon?: number;
  /** Decoupled weight decay of matrices; norms and biases have none. @defaultValue 0 */
  readonly weightDecay?: number;
}

/** What of {@link AdamW} is not a tensor. */
export interface AdamWState {
  readonly step: number;
}

/** A run of the store whose parameters are decayed, or not, together. */
interface DecayRun {
  readonly offset: number;
  length: number;
  readonly isDecayed: boolean;
}

/** Adjacent parameters of one kind joined into runs. */
function decayRuns(store: ParameterStore): readonly DecayRun[] {
  const runs: DecayRun[] = [];
  store.specs.forEach(({ name, shape }, index) => {
    const offset = store.offsetOf(name);
    const next = store.specs[index + 1];
    const length = (next === undefined ? store.flat.size : store.offsetOf(next.name)) - offset;
    const isDecayed = shape.length >= 2;
    const last = runs.at(-1);
    if (last?.isDecayed === isDecayed) last.length += length;
    else runs.push({ offset, length, isDecayed });
  });
  return runs;
}

/** Moments of every parameter of a store, and the update rule. */
export class AdamW implements Disposable {
  readonly store: ParameterStore;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** First moments, `[total]`. */
  readonly moment1: Tensor;
  /** Second moments, `[total]`. */
  readonly moment2: Tensor;
  readonly #runs: readonly DecayRun[];
  #step = 0;

  /** Starts from zero moments; `store.enableGrad()` must have been called. */
  constructor(store: ParameterStore, options: AdamWOptions = {}) {
    this.store = store;
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.999;
    this.epsilon = options.epsilon ?? 1e-8;
    this.weightDecay = options.weightDecay ?? 0;
    if (!(this.beta1 >= 0 && this.beta1 < 1 && this.beta2 >= 0 && this.beta2 < 1 && this.epsilon > 0))
      throw new SelkieError(
        "bad-option",
        `AdamW: expected betas in [0, 1) and a positive epsilon, got ${this.beta1}, ${this.beta2} and ${this.epsilon}`,
      );
    const { backend, shape, dtype } = store.flatGrad;
    this.moment1 = zeros(backend, shape, dtype);
    this.moment2 = zeros(backend, shape, dtype);
    this.#runs = decayRuns(store);
  }

  /** Updates done through {@link step}. */
  get numSteps(): number {
    return this.#step;
  }

  /**
   * One update of every parameter from the gradients in the store.
   *
   * @param gradScale - Factor on the gradient, from clipping. @defaultValue 1
   */
  step(learningRate: number, gradScale = 1): void {
    this.#step++;
    this.update(
      this.#runs.map(({ offset, length, isDecayed }) => ({
        offset,
        length,
        learningRate,
        weightDecay: isDecayed ? this.weightDecay : 0,
        gradScale,
        step: this.#step,
      })),
    );
  }

  /** Updates only the given runs, each with settings and a step count of its own: what an adapter bank needs. */
  update(segments: readonly AdamWSegment[]): void {
    const { store, moment1, moment2, beta1, beta2, epsilon } = this;
    store.flat.backend.kernels.adamW({
      params: store.flat,
      grads: store.flatGrad,
      moment1,
      moment2,
      beta1,
      beta2,
      epsilon,
      segments,
    });
  }

  /** Forgets the moments of one run, for parameters that start anew. */
  resetRun(offset: number, length: number): void {
    this.moment1.data.fill(0, offset, offset + length);
    this.moment2.data.fill(0, offset, offset + length);
  }

  /** The state besides {@link moment1} and {@link moment2}, which a checkpoint stores as they are. */
  toJson(): AdamWState {
    return { step: this.#step };
  }

  /** Puts {@link toJson}'s result back; the caller restores the moments. */
  restore(state: AdamWState): void {
    this.#step = state.step;
  }

  [Symbol.dispose](): void {
    this.moment1[Symbol.dispose]();
    this.moment2[Symbol.dispose]();
  }
}

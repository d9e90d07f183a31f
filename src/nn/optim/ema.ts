/** @file Exponential moving average of parameters (Polyak averaging); updated in place, like the optimizer's moments. */
import { createTensor, type Tensor } from "../../tensor/index.ts";
import { SelkieError } from "../../util/index.ts";
import type { ParameterStore } from "../parameters.ts";

/** `average = decay · average + (1 - decay) · parameters` after every update. */
export class Ema implements Disposable {
  readonly decay: number;
  /** The averaged parameters, in the order of the store, `[total]`. */
  readonly average: Tensor;
  readonly #store: ParameterStore;

  /** Starts at the current parameters. `decay` is in [0, 1). */
  constructor(store: ParameterStore, decay: number) {
    if (!(decay >= 0 && decay < 1))
      throw new SelkieError("bad-option", `EMA: expected a decay in [0, 1), got ${decay}`);
    this.decay = decay;
    this.#store = store;
    const { backend, shape, dtype } = store.flat;
    this.average = createTensor(backend, shape, dtype);
    backend.kernels.axpby({ x: store.flat, alpha: 1, y: this.average, beta: 0 });
  }

  /** Moves the average towards the current parameters. */
  update(): void {
    const { flat } = this.#store;
    flat.backend.kernels.axpby({ x: flat, alpha: 1 - this.decay, y: this.average, beta: this.decay });
  }

  /** Overwrites the store's parameters with the average. */
  copyToStore(): void {
    const { flat } = this.#store;
    flat.backend.kernels.axpby({ x: this.average, alpha: 1, y: flat, beta: 0 });
  }

  [Symbol.dispose](): void {
    this.average[Symbol.dispose]();
  }
}

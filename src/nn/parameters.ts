/**
 * @file Named parameters in one flat store, so that an optimizer step, a gradient norm or a checkpoint is one pass over
 * memory. Tensors are views in the order of their specs; names are those of the checkpoint. Quantised matrices stand beside
 * the flat store, since no optimizer writes them.
 */
import {
  type Backend,
  createQuantised,
  createTensor,
  type DType,
  numElements,
  type QuantisedFormat,
  type Shape,
  type Tensor,
} from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";

/** Name and shape of one parameter. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
}

/** Part of a flat store. */
export interface StoreRun {
  readonly offset: number;
  readonly length: number;
}

/** The format in which to keep a matrix quantised, or `null` for a parameter of the flat store. */
export type ChooseFormat = (spec: ParameterSpec) => QuantisedFormat | null;

/** A flat store and its named views. Values are unspecified until someone writes them. */
export class ParameterStore implements Disposable {
  readonly specs: readonly ParameterSpec[];
  /** All parameters that are not quantised, `[total]`. */
  readonly flat: Tensor;
  readonly #views = new Map<string, Tensor>();
  readonly #offsets = new Map<string, number>();
  readonly #quantised = new Map<string, Tensor>();
  readonly #linears = new Map<string, { readonly weight: Tensor; readonly bias: Tensor | null }>();
  #flatGrad: Tensor | null = null;

  constructor(
    backend: Backend,
    specs: readonly ParameterSpec[],
    dtype: DType,
    chooseFormat: ChooseFormat = () => null,
  ) {
    this.specs = specs;
    const formats = new Map(specs.map((spec) => [spec.name, chooseFormat(spec)]));
    if (formats.size < specs.length) throw new SelkieError("duplicate-name", "internal: a parameter appears twice");
    const dense = specs.filter(({ name }) => formats.get(name) === null);
    this.flat = createTensor(backend, [dense.reduce((total, spec) => total + numElements(spec.shape), 0)], dtype);
    for (const { name, shape } of specs) {
      const format = formats.get(name) ?? null;
      if (format !== null) this.#quantised.set(name, createQuantised(backend, shape as [number, number], format));
    }
    let offset = 0;
    for (const { name, shape } of dense) {
      this.#views.set(name, this.flat.view(offset, shape));
      this.#offsets.set(name, offset);
      offset += numElements(shape);
    }
  }

  get(name: string): Tensor {
    const tensor = this.#views.get(name) ?? this.#quantised.get(name);
    if (tensor === undefined) throw new SelkieError("unknown-name", `internal: no parameter "${name}"`);
    return tensor;
  }

  /** `name.weight` and `name.bias` of a linear layer; `null` where it has no bias. Kept, since every pass asks for each. */
  linear(name: string): { readonly weight: Tensor; readonly bias: Tensor | null } {
    let layer = this.#linears.get(name);
    if (layer === undefined) {
      layer = { weight: this.get(`${name}.weight`), bias: this.#views.get(`${name}.bias`) ?? null };
      this.#linears.set(name, layer);
    }
    return layer;
  }

  has(name: string): boolean {
    return this.#views.has(name) || this.#quantised.has(name);
  }

  /** True when some matrices are quantised; then none can be trained. */
  get isQuantised(): boolean {
    return this.#quantised.size > 0;
  }

  /** Bytes of all values as they are stored, scales included. */
  get numBytes(): number {
    return [this.flat, ...this.#quantised.values()].reduce((total, tensor) => total + tensor.numBytes, 0);
  }

  /** Position of the first element of `name` in {@link flat}. */
  offsetOf(name: string): number {
    const offset = this.#offsets.get(name);
    if (offset !== undefined) return offset;
    throw new SelkieError("unknown-name", `internal: no parameter "${name}" in the flat store`);
  }

  /**
   * Declares that the parameters keep their values from now on, which lets products keep packed copies of them.
   * {@link enableGrad} and disposal end it; whoever writes values otherwise must {@link thaw} first. Without effect while
   * gradients are enabled, since then an optimizer may write. Calling it again costs next to nothing.
   */
  freeze(): void {
    if (this.#flatGrad === null) this.flat.backend.freeze([...this.#views.values()]);
  }

  /** Ends {@link freeze}. */
  thaw(): void {
    this.flat.backend.thaw([...this.#views.values()]);
  }

  /** Thaws, allocates gradients and marks every parameter trainable. Calling it again changes nothing. Refuses quantised ones. */
  enableGrad(): void {
    if (this.#flatGrad !== null) return;
    if (this.isQuantised)
      throw new SelkieError(
        "bad-option",
        "training: expected weights in f32, got quantised ones, which only adapters can be trained on; load the model without quantised weights",
      );
    this.thaw();
    const dtype = this.flat.dtype === "f64" ? "f64" : "f32";
    this.#flatGrad = createTensor(this.flat.backend, this.flat.shape, dtype);
    for (const [name, tensor] of this.#views) {
      tensor.requiresGrad = true;
      tensor.grad = this.#flatGrad.view(this.#offsets.get(name)!, tensor.shape);
    }
    this.zeroGrad();
  }

  /** Frees the gradients; no parameter is trainable any more. */
  disableGrad(): void {
    this.#flatGrad?.[Symbol.dispose]();
    this.#flatGrad = null;
    for (const tensor of this.#views.values()) {
      tensor.requiresGrad = false;
      tensor.grad = null;
      tensor.isGradStale = false;
    }
  }

  /** Gradients of {@link flat}, zeros where there was none; throws unless {@link enableGrad} was called. */
  get flatGrad(): Tensor {
    if (this.#flatGrad === null) throw new SelkieError("no-gradient", "internal: flatGrad: call enableGrad first");
    for (const tensor of this.#views.values()) {
      if (!tensor.isGradStale) continue;
      tensor.grad!.data.fill(0);
      tensor.isGradStale = false;
    }
    return this.#flatGrad;
  }

  /** Makes the next gradients overwrite those of before; reading {@link flatGrad} clears what has had none by then. */
  zeroGrad(): void {
    for (const tensor of this.#views.values()) tensor.isGradStale = tensor.grad !== null;
  }

  [Symbol.dispose](): void {
    this.thaw();
    this.disableGrad();
    for (const matrix of this.#quantised.values()) matrix[Symbol.dispose]();
    this.flat[Symbol.dispose]();
  }
}

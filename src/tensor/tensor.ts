/**
 * @file A tensor is a shape, a dtype and host memory that its backend owns. Tensors are row-major and contiguous.
 * They do not compute: ops do (`ops/`), inside a {@link Scope} that owns what they allocate.
 */
import { SelkieError, ShapeError } from "../util/index.ts";
import type { Backend } from "./backend.ts";
import { type DType, type HostArray, readBf16, writeBf16 } from "./dtype.ts";
import { allocateQuantised, dequantise, type QuantisedFormat, type QuantisedMatrix, quantiseRows } from "./quantise.ts";
import { describeShape, numElements, type Shape } from "./shape.ts";

/**
 * A dense array of numbers. The axis label (`Tensor<"N D">`) is documentation; it never affects assignability.
 *
 * `requiresGrad` is set on leaves by whoever trains them and on op outputs by the scope.
 * A leaf may carry a persistent `grad` of its own shape, which backward passes add to.
 *
 * A matrix may be quantised (`quantise.ts`): it then has no {@link Tensor.data}, so only kernels that know of it take it.
 */
export class Tensor<_Axes extends string = string> implements Disposable {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly backend: Backend;
  requiresGrad = false;
  grad: Tensor | null = null;
  /** True while {@link grad} holds nothing of worth: the next gradient overwrites it, which is cheaper than clearing it first. */
  isGradStale = false;
  #data: HostArray | QuantisedMatrix | null;
  readonly #owns: boolean;

  constructor(backend: Backend, shape: Shape, dtype: DType, data: HostArray | QuantisedMatrix, owns: boolean) {
    this.backend = backend;
    this.shape = shape;
    this.dtype = dtype;
    this.#data = data;
    this.#owns = owns;
  }

  /** Elements in all. */
  get size(): number {
    return numElements(this.shape);
  }

  /** Bytes of the values as they are stored. */
  get numBytes(): number {
    const { quantised } = this;
    return quantised === null ? this.data.byteLength : quantised.codes.byteLength + quantised.scales.byteLength;
  }

  /** Memory for kernels. Throws after disposal: a use-after-free is a programming mistake. */
  get data(): HostArray {
    const data = this.#storage;
    if (!("codes" in data)) return data;
    throw new SelkieError(
      "quantised",
      `expected a tensor that keeps its values one by one, got ${describeShape(this.shape)} quantised to ${data.format}; load the model without quantised weights`,
    );
  }

  /** Codes and scales of a quantised matrix, else `null`; `dtype` is then that of the values that products see, f32. */
  get quantised(): QuantisedMatrix | null {
    const data = this.#storage;
    return "codes" in data ? data : null;
  }

  get #storage(): HostArray | QuantisedMatrix {
    if (this.#data !== null) return this.#data;
    throw new SelkieError("disposed", `internal: tensor ${describeShape(this.shape)} used after disposal`);
  }

  get isDisposed(): boolean {
    return this.#data === null;
  }

  /** Copies the values out, widened to numbers (f64 stays f64, all else becomes f32). */
  async read(): Promise<Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>> {
    return this.readSync();
  }

  /** Blocking twin of {@link read}; only host backends can. */
  readSync(): Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> {
    if (this.quantised !== null) return dequantise(this.quantised);
    const data = this.data;
    return data instanceof Uint16Array ? readBf16(data) : data.slice();
  }

  /** Overwrites the values, rounding to the dtype or to the nearest codes. */
  write(values: ArrayLike<number>): void {
    if (values.length !== this.size)
      throw new ShapeError("write", `${this.size} values for ${describeShape(this.shape)}`, `${values.length}`);
    if (this.quantised !== null) {
      quantiseRows(this.quantised, 0, values);
      return;
    }
    const data = this.data;
    if (data instanceof Uint16Array) writeBf16(values, data);
    else data.set(values);
  }

  /** The same memory under another shape; the view owns nothing and must not outlive this tensor. */
  reshape(shape: Shape): Tensor {
    if (numElements(shape) !== this.size)
      throw new ShapeError("reshape", `${this.size} elements`, describeShape(shape));
    return this.view(0, shape);
  }

  /** `shape` elements from `offset` on, sharing memory (for example rows of a matrix, or one tensor of a flat store). */
  view(offset: number, shape: Shape): Tensor {
    const length = numElements(shape);
    const data = this.data;
    if (offset < 0 || offset + length > data.length)
      throw new ShapeError("view", `at most ${data.length} elements`, `${offset} + ${length}`);
    return new Tensor(this.backend, shape, this.dtype, data.subarray(offset, offset + length) as HostArray, false);
  }

  [Symbol.dispose](): void {
    if (this.#data === null) return;
    const memory = "codes" in this.#data ? [this.#data.codes, this.#data.scales] : [this.#data];
    if (this.#owns) for (const data of memory) this.backend.release(data);
    this.#data = null;
  }
}

/** Where a backward kernel writes the gradient of one input. */
export interface GradTarget {
  readonly grad: Tensor;
  /** Add to `grad` instead of overwriting it. */
  readonly accumulate: boolean;
}

/** Allocates an owned tensor; its values are unspecified. The caller disposes of it, or a {@link Scope} does. */
export function createTensor(backend: Backend, shape: Shape, dtype: DType): Tensor {
  return new Tensor(backend, shape, dtype, backend.allocate(dtype, numElements(shape)), true);
}

/** Allocates an owned quantised matrix; its values are unspecified. */
export function createQuantised(backend: Backend, shape: readonly [number, number], format: QuantisedFormat): Tensor {
  return new Tensor(backend, shape, "f32", allocateQuantised(backend, ...shape, format), true);
}

/** Allocates an owned tensor holding `values` rounded to `dtype`. */
export function tensorOf(backend: Backend, values: ArrayLike<number>, shape: Shape, dtype: DType = "f32"): Tensor {
  const tensor = createTensor(backend, shape, dtype);
  tensor.write(values);
  return tensor;
}

/** Allocates an owned tensor of zeros. */
export function zeros(backend: Backend, shape: Shape, dtype: DType = "f32"): Tensor {
  const tensor = createTensor(backend, shape, dtype);
  tensor.data.fill(0); // all-zero bits are 0 in every dtype
  return tensor;
}

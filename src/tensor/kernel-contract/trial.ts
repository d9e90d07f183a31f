/**
 * @file One run of a contract case on one backend. A case asks the trial for inputs and outputs, calls kernels, and the
 * trial then reports what was written. The same case asks in the same order on every backend, so it gets the same numbers.
 */
import { strict as assert } from "node:assert";
import { createRng } from "../../util/index.ts";
import type { Backend, Kernels } from "../backend.ts";
import { createReferenceBackend } from "../backends/reference/index.ts";
import { type DType, toBf16 } from "../dtype.ts";
import type { QuantisedFormat } from "../quantise.ts";
import { numElements, type Shape } from "../shape.ts";
import type { GradTarget } from "../tensor.ts";
import { createQuantised, createTensor, type Tensor } from "../tensor.ts";

/** Something a kernel must get right, run by every backend. */
export interface ContractCase {
  readonly title: string;
  run(trial: Trial): void;
}

/** Units in the last place of a value stored as `dtype`. */
export interface Ulps {
  readonly count: number;
  readonly dtype: DType;
}

/** The distance to the next number that is stored as f32 or bf16; converting to bf16, some processors make 0 of denormals. */
function unitOf(value: number, dtype: DType): number {
  if (dtype === "bf16" && Math.abs(value) < 2 ** -126) return 2 ** -126;
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(value)))); // -Infinity for 0
  return 2 ** (exponent - (dtype === "bf16" ? 7 : 23));
}

/** What one kernel call wrote. */
export interface Observation {
  readonly label: string;
  /** Largest allowed error, relative to `|expected| + max(rms(expected), leastSize)`. */
  readonly tolerance: number;
  /** Size of the terms of a sum that may cancel. */
  readonly leastSize: number;
  /** Largest allowed error of each value by itself, in units of its last place; `null` where `tolerance` rules. */
  readonly ulps: Ulps | null;
  readonly values: Float64Array;
}

/**
 * f32 storage: sums of up to about 5,000 products in f32, in any order, err by some 2^-24 · √5000 of their size, and a fast
 * exponential by a few units in the last place more.
 */
export const f32Tolerance: number = 1e-5;
/** bf16 storage, or a factor rounded to bf16 on the way: one unit in the last place where rounding lands on the other side. */
export const bf16Tolerance: number = 2 ** -7;

/** The tolerance for a result stored as `dtype`. */
export const toleranceOf = (dtype: DType): number => (dtype === "bf16" ? bf16Tolerance : f32Tolerance);

const numGuards = 3; // odd, so that no output starts on a vector boundary: parameters are views at any offset of a flat store
const guardValue = -1232; // exact in bf16

/** Standard normal numbers; a prime count, so that a repetition never lines up with the width of a matrix. */
const normals: Float64Array = (() => {
  const rng = createRng("kernel-contract");
  return Float64Array.from({ length: 8191 }, () => rng.normal());
})();

/** {@link normals} times a factor, by the factor. */
const scaledNormals = new Map<number, Float64Array>([[1, normals]]);

function normalsTimes(scale: number): Float64Array {
  const known = scaledNormals.get(scale) ?? normals.map((value) => scale * value);
  scaledNormals.set(scale, known);
  return known;
}

/** Results of {@link Trial.prepare}. */
const prepared = new Map<string, readonly Float64Array[]>();

/** A copy of the values as they are stored. */
function bytesOf(tensor: Tensor): Buffer {
  const { quantised } = tensor;
  const arrays = quantised === null ? [tensor.data] : [quantised.codes, quantised.scales];
  return Buffer.concat(arrays.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)));
}

const fill = ({ data, dtype }: Tensor, value: number): unknown => data.fill(dtype === "bf16" ? toBf16(value) : value);

interface Watched {
  readonly memory: Tensor;
  readonly tensor: Tensor;
  readonly label: string;
  readonly tolerance: number;
  readonly leastSize: number;
  readonly ulps: Ulps | null;
}

/** Hands out tensors to one case and observes the outputs. */
export class Trial implements Disposable {
  readonly backend: Backend;
  readonly kernels: Kernels;
  readonly #inputs: { readonly tensor: Tensor; readonly before: Buffer }[] = [];
  readonly #outputs: Watched[] = [];
  readonly #numbers: Observation[] = [];
  #next = 0;

  constructor(backend: Backend) {
    this.backend = backend;
    this.kernels = backend.kernels;
  }

  /** `count` normal numbers times `scale`, the same on every backend. */
  normals(count: number, scale = 1): Float64Array {
    const values = new Float64Array(count);
    const source = normalsTimes(scale);
    for (let done = 0, from = this.#next; done < count; from = 0) {
      const part = source.subarray(from, from + count - done);
      values.set(part, done);
      done += part.length;
    }
    this.#next = (this.#next + count + 17) % normals.length;
    return values;
  }

  /** An input of normal numbers times `scale`; the kernel must leave it alone. */
  input(shape: Shape, dtype: DType = "f32", scale = 1): Tensor {
    return this.values(this.normals(numElements(shape), scale), shape, dtype);
  }

  /** An input holding `values`. */
  values(values: ArrayLike<number>, shape: Shape, dtype: DType = "f32"): Tensor {
    const tensor = createTensor(this.backend, shape, dtype);
    tensor.write(values);
    this.#inputs.push({ tensor, before: bytesOf(tensor) });
    return tensor;
  }

  /** A quantised input of normal numbers times `scale`. */
  quantised(shape: readonly [number, number], format: QuantisedFormat, scale = 1): Tensor {
    const tensor = createQuantised(this.backend, shape, format);
    tensor.write(this.normals(numElements(shape), scale));
    this.#inputs.push({ tensor, before: bytesOf(tensor) });
    return tensor;
  }

  /** An output holding NaN, which must be overwritten; or, with `initial`, normal numbers to add to. */
  output(label: string, shape: Shape, dtype: DType = "f32", options: OutputOptions = {}): Tensor {
    const size = numElements(shape);
    const memory = createTensor(this.backend, [size + 2 * numGuards], dtype);
    fill(memory, guardValue);
    const tensor = memory.view(numGuards, shape);
    if (options.initial) tensor.write(this.normals(size, options.scale));
    else fill(tensor, Number.NaN);
    const { tolerance = toleranceOf(dtype), leastSize = 0 } = options;
    const ulps = options.ulps === undefined ? null : { count: options.ulps, dtype };
    this.#outputs.push({ memory, tensor, label, tolerance, leastSize, ulps });
    return tensor;
  }

  /** An output as a gradient target; with `accumulate` it starts from normal numbers. */
  target(label: string, shape: Shape, dtype: DType, accumulate: boolean, options: OutputOptions = {}): GradTarget {
    return { grad: this.output(label, shape, dtype, { ...options, initial: accumulate }), accumulate };
  }

  /** Reports numbers that a kernel returned. */
  numbers(label: string, values: ArrayLike<number>, tolerance: number): void {
    this.#numbers.push({ label, tolerance, leastSize: 0, ulps: null, values: Float64Array.from(values) });
  }

  /**
   * What the reference makes of a step that a case only prepares with, so that all backends continue from equal inputs.
   * Computed once per `key`.
   */
  prepare(key: string, step: (reference: Trial) => readonly Tensor[]): readonly Float64Array[] {
    const known = prepared.get(key);
    if (known !== undefined) return known;
    using trial = new Trial(createReferenceBackend());
    const results = step(trial).map((tensor) => new Float64Array(tensor.readSync()));
    prepared.set(key, results);
    return results;
  }

  /** All outputs in the order of their making, after checking that nothing else was written. */
  observe(): readonly Observation[] {
    for (const { tensor, before } of this.#inputs)
      assert.ok(bytesOf(tensor).equals(before), "a kernel wrote to one of its inputs");
    const observed = this.#outputs.map(({ memory, tensor, label, tolerance, leastSize, ulps }) => {
      const all = new Float64Array(memory.readSync()); // Float64Array.from walks an iterator, some 20 times slower
      for (let i = 0; i < numGuards; i++)
        assert.ok(
          all[i] === guardValue && all[all.length - 1 - i] === guardValue,
          `${label}: the kernel wrote outside its output`,
        );
      return { label, tolerance, leastSize, ulps, values: all.subarray(numGuards, numGuards + tensor.size) };
    });
    return [...observed, ...this.#numbers];
  }

  [Symbol.dispose](): void {
    for (const { tensor } of this.#inputs) tensor[Symbol.dispose]();
    for (const { memory } of this.#outputs) memory[Symbol.dispose]();
  }
}

/** Options of {@link Trial.output}. */
export interface OutputOptions {
  /** Start from normal numbers instead of NaN. @defaultValue false */
  readonly initial?: boolean;
  /** Factor on them. @defaultValue 1 */
  readonly scale?: number;
  /** @defaultValue that of the dtype */
  readonly tolerance?: number;
  /** See {@link Observation}. @defaultValue 0 */
  readonly leastSize?: number;
  /** Judge each value by itself, by so many units in its last place, instead of by `tolerance`. */
  readonly ulps?: number;
}

/** Runs `contractCase` on `backend` and returns what it wrote. */
export function runCase(contractCase: ContractCase, backend: Backend): readonly Observation[] {
  using trial = new Trial(backend);
  contractCase.run(trial);
  return trial.observe();
}

/** Throws unless every value is within its tolerance of the expected one. */
export function compare(got: readonly Observation[], expected: readonly Observation[]): void {
  assert.deepEqual(
    got.map(({ label }) => label),
    expected.map(({ label }) => label),
  );
  for (const [index, observation] of got.entries()) compareValues(observation, expected[index]!);
}

function compareValues({ label, values, tolerance, leastSize, ulps }: Observation, expected: Observation): void {
  assert.equal(values.length, expected.values.length, label);
  let squares = 0;
  for (const value of expected.values) if (Number.isFinite(value)) squares += value * value;
  const size = Math.max(leastSize, Math.sqrt(squares / Math.max(1, values.length)));
  for (let i = 0; i < values.length; i++) {
    const [got, want] = [values[i]!, expected.values[i]!];
    if (got === want || (Number.isNaN(got) && Number.isNaN(want))) continue; // infinities and NaN where they belong
    const allowed = ulps === null ? tolerance * (Math.abs(want) + size) : ulps.count * unitOf(want, ulps.dtype);
    if (Number.isFinite(want) && Math.abs(got - want) <= allowed) continue; // false for NaN
    assert.fail(`${label}: element ${i} of ${values.length} is ${got}, expected ${want} within ${allowed}`);
  }
}

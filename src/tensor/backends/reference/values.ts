/**
 * @file Reading and writing tensors as doubles. Every kernel of the reference backend widens its inputs to f64, computes,
 * and rounds once on store, so what it defines is the exact result up to the rounding of the storage type.
 */
import type { ComputeType } from "../../dtype.ts";
import { fromBf16, toBf16 } from "../../dtype.ts";
import { dequantise } from "../../quantise.ts";
import type { GradTarget, Tensor } from "../../tensor.ts";

/** The elements of `tensor` as doubles: its own memory for f64, else a copy. Do not write to the result. */
export function widen(tensor: Tensor): Float64Array {
  if (tensor.quantised !== null) return new Float64Array(dequantise(tensor.quantised));
  const { data } = tensor;
  if (data instanceof Float64Array) return data;
  if (data instanceof Float32Array) return new Float64Array(data);
  const values = new Float64Array(data.length);
  for (let i = 0; i < values.length; i++) values[i] = fromBf16(data[i]!);
  return values;
}

/** The elements of `tensor` as a product with `compute` sees them: for `bf16` rounded to bf16. */
export function widenFactor(tensor: Tensor, compute: ComputeType): Float64Array {
  const values = widen(tensor);
  if (compute === "f32" || tensor.dtype === "bf16") return values;
  return roundFactor(values.slice(), compute);
}

/** Rounds an intermediate factor of a product in place. */
export function roundFactor(values: Float64Array, compute: ComputeType): Float64Array {
  if (compute === "bf16") for (let i = 0; i < values.length; i++) values[i] = fromBf16(toBf16(values[i]!));
  return values;
}

/** Writes `values` to `tensor` from element `offset` on, adding to what is there when `accumulate`. */
export function store(tensor: Tensor, values: Float64Array, accumulate = false, offset = 0): void {
  const { data } = tensor;
  if (!(data instanceof Uint16Array)) {
    if (!accumulate) data.set(values, offset);
    else for (let i = 0; i < values.length; i++) data[offset + i] = data[offset + i]! + values[i]!;
    return;
  }
  for (let i = 0; i < values.length; i++) {
    const before = accumulate ? fromBf16(data[offset + i]!) : 0;
    data[offset + i] = toBf16(before + values[i]!);
  }
}

/** Writes a gradient where the tape wants it; nothing when nobody wants it. */
export function storeGrad(target: GradTarget | null, values: Float64Array): void {
  if (target !== null) store(target.grad, values, target.accumulate);
}

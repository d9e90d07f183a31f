/** @file Products of whole matrices. */
import type { GemmArgs } from "../../backend.ts";
import { multiply, transpose } from "./product.ts";
import { store, widen, widenFactor } from "./values.ts";

/** `c = alpha · op(a) · op(b) (+ bias) (+ addend) (+ c)`. */
export function gemm(args: GemmArgs): void {
  const { c, alpha = 1, bias = null, addend = null, accumulate = false, compute } = args;
  const [m, n] = c.shape as [number, number];
  const k = args.transposeA ? args.a.shape[0]! : args.a.shape[1]!;
  const storedA = widenFactor(args.a, compute);
  const storedB = widenFactor(args.b, compute);
  const a = args.transposeA ? transpose(storedA, k, m) : storedA; // [M, K]
  const b = args.transposeB ? storedB : transpose(storedB, k, n); // [N, K]
  const values = multiply(a, b, m, n, k, alpha);
  if (bias !== null) addBias(values, widen(bias), m, n);
  if (addend !== null) addValues(values, widen(addend));
  store(c, values, accumulate);
}

function addBias(values: Float64Array, bias: Float64Array, m: number, n: number): void {
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) values[i * n + j] = values[i * n + j]! + bias[j]!;
}

function addValues(values: Float64Array, more: Float64Array): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! + more[i]!;
}

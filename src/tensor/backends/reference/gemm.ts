/** @file Products: whole matrices, and one product per run of rows (one LoRA adapter each). */
import type { GemmArgs, SegmentGemmArgs, SegmentOuterArgs } from "../../backend.ts";
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

/** `c[rows of g] = alpha[g] · a[rows of g] · op(b[g]) (+ c)`. */
export function segmentGemm(args: SegmentGemmArgs): void {
  const { c, alpha, segments, accumulate = false, compute } = args;
  const k = args.a.shape[1]!;
  const p = c.shape[1]!;
  const a = widenFactor(args.a, compute);
  const b = widenFactor(args.b, compute);
  for (let g = 0; g < alpha.length; g++) {
    const first = segments[g]!;
    const last = segments[g + 1]!;
    const stored = b.subarray(g * k * p, (g + 1) * k * p);
    const factor = args.transposeB ? stored : transpose(stored, k, p); // [P, K]
    store(c, multiply(a.subarray(first * k, last * k), factor, last - first, p, k, alpha[g]!), accumulate, first * p);
  }
}

/** `c[g] = alpha[g] · a[rows of g]ᵀ · b[rows of g] (+ c[g])`; zero for a group without rows. */
export function segmentOuter(args: SegmentOuterArgs): void {
  const { c, alpha, segments, accumulate = false, compute } = args;
  const p = args.a.shape[1]!;
  const q = args.b.shape[1]!;
  const a = widenFactor(args.a, compute);
  const b = widenFactor(args.b, compute);
  for (let g = 0; g < alpha.length; g++) {
    const first = segments[g]!;
    const numRows = segments[g + 1]! - first;
    const left = transpose(a.subarray(first * p, (first + numRows) * p), numRows, p); // [P, rows]
    const right = transpose(b.subarray(first * q, (first + numRows) * q), numRows, q); // [Q, rows]
    store(c, multiply(left, right, p, q, numRows, alpha[g]!), accumulate, g * p * q);
  }
}

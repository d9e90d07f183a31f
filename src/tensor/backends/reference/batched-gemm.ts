/** @file Products of many matrices: one per batch entry, or one per group of rows. */
import type { BatchedGemmArgs, GroupedGemmArgs, GroupedOuterArgs } from "../../primitive-args.ts";
import { addScaled, multiply, transpose } from "./product.ts";
import { store, widenFactor } from "./values.ts";

/** Matrix `index` of a stack, or the only one. */
const matrixOf = (values: Float64Array, count: number, size: number, index: number): Float64Array =>
  count === 1 ? values : values.subarray(index * size, (index + 1) * size);

/** `c[i] = op(a[i]) · op(b[i]) (+ c[i])`, or their sum. */
export function batchedGemm(args: BatchedGemmArgs): void {
  const { c, transposeA = false, transposeB = false, accumulate = false, compute } = args;
  const [countA, countB] = [args.a.shape[0]!, args.b.shape[0]!];
  const [countC, m, n] = c.shape as [number, number, number];
  const k = args.a.shape[transposeA ? 1 : 2]!;
  const [storedA, storedB] = [widenFactor(args.a, compute), widenFactor(args.b, compute)];
  const batch = countA === 1 ? countB : countA;
  const values = new Float64Array(countC * m * n);
  for (let i = 0; i < batch; i++) {
    const matrixA = matrixOf(storedA, countA, m * k, i);
    const matrixB = matrixOf(storedB, countB, k * n, i);
    const a = transposeA ? transpose(matrixA, k, m) : matrixA; // [M, K]
    const b = transposeB ? matrixB : transpose(matrixB, k, n); // [N, K]
    addScaled(values, countC === 1 ? 0 : i * m * n, multiply(a, b, m, n, k, 1), 0, m * n, 1);
  }
  store(c, values, accumulate);
}

/** `c = a · op(b_g) (+ c)` for the rows of each group. */
export function groupedGemm(args: GroupedGemmArgs): void {
  const { c, offsets, transposeB = false, accumulate = false, compute } = args;
  const [numGroups, p, k] = [args.b.shape[0]!, c.shape[1]!, args.a.shape[1]!];
  const [storedA, storedB] = [widenFactor(args.a, compute), widenFactor(args.b, compute)];
  for (let group = 0; group < numGroups; group++) {
    const [first, end] = [offsets[group]!, offsets[group + 1]!];
    const matrixB = storedB.subarray(group * k * p, (group + 1) * k * p);
    const b = transposeB ? matrixB : transpose(matrixB, k, p); // [P, K]
    const values = multiply(storedA.subarray(first * k, end * k), b, end - first, p, k, 1);
    store(c, values, accumulate, first * p);
  }
}

/** `c_g = a_gᵀ b_g (+ c_g)`. */
export function groupedOuter(args: GroupedOuterArgs): void {
  const { c, offsets, accumulate = false, compute } = args;
  const [numGroups, p, k] = c.shape as [number, number, number];
  const [storedA, storedB] = [widenFactor(args.a, compute), widenFactor(args.b, compute)];
  for (let group = 0; group < numGroups; group++) {
    const [first, end] = [offsets[group]!, offsets[group + 1]!];
    const a = transpose(storedA.subarray(first * p, end * p), end - first, p); // [P, rows]
    const b = transpose(storedB.subarray(first * k, end * k), end - first, k); // [K, rows]
    store(c, multiply(a, b, p, k, end - first, 1), accumulate, group * p * k);
  }
}

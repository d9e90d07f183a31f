/** @file LoRA: one low-rank update per run of rows, and its gradients. */
import type { LoraArgs, LoraBackwardArgs } from "../../backend.ts";
import { multiply, transpose } from "./product.ts";
import { roundFactor, store, storeGrad, widenFactor } from "./values.ts";

/** One adapter: its factors, and which rows it owns. */
interface Adapter {
  readonly loraA: Float64Array; // [r, K]
  readonly loraB: Float64Array; // [P, r]
  readonly scale: number;
  readonly first: number;
  readonly numRows: number;
}

function adaptersOf(args: Omit<LoraArgs, "y">): Adapter[] {
  const { segments, scales, compute } = args;
  const a = widenFactor(args.loraA, compute);
  const b = widenFactor(args.loraB, compute);
  const [sizeA, sizeB] = [a.length / scales.length, b.length / scales.length];
  return Array.from(scales, (scale, group) => ({
    loraA: a.subarray(group * sizeA, (group + 1) * sizeA),
    loraB: b.subarray(group * sizeB, (group + 1) * sizeB),
    scale,
    first: segments[group]!,
    numRows: segments[group + 1]! - segments[group]!,
  }));
}

/** Rows `first .. first + numRows` of a matrix. */
const rowsOf = (values: Float64Array, width: number, { first, numRows }: Adapter): Float64Array =>
  values.subarray(first * width, (first + numRows) * width);

/** `lowRank = x A_gᵀ`, `y += scales[g] · lowRank B_gᵀ`. */
export function lora(args: LoraArgs): void {
  const { lowRank, y, compute } = args;
  const [k, p, r] = [args.x.shape[1]!, y.shape[1]!, lowRank.shape[1]!];
  const x = widenFactor(args.x, compute);
  const adapters = adaptersOf(args);
  for (const adapter of adapters)
    store(lowRank, multiply(rowsOf(x, k, adapter), adapter.loraA, adapter.numRows, r, k, 1), false, adapter.first * r);
  const u = widenFactor(lowRank, compute);
  for (const adapter of adapters)
    store(
      y,
      multiply(rowsOf(u, r, adapter), adapter.loraB, adapter.numRows, p, r, adapter.scale),
      true,
      adapter.first * p,
    );
}

/** `v = scales[g] · gradY B_g`, `gradX += v A_g`, `gradA_g = vᵀ x`, `gradB_g = scales[g] · gradYᵀ lowRank`. */
export function loraBackward(args: LoraBackwardArgs): void {
  const { gradX, gradA, gradB, compute } = args;
  const [k, p, r] = [args.x.shape[1]!, args.gradY.shape[1]!, args.lowRank.shape[1]!];
  const [x, u, gradY] = [args.x, args.lowRank, args.gradY].map((tensor) => widenFactor(tensor, compute)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const valuesA = new Float64Array(args.loraA.size);
  const valuesB = new Float64Array(args.loraB.size);
  for (const [group, adapter] of adaptersOf(args).entries()) {
    const { loraA, loraB, scale, first, numRows } = adapter;
    const rowsOfGradY = rowsOf(gradY, p, adapter);
    const columnsOfB = transpose(loraB, p, r); // [r, P]
    const v = roundFactor(multiply(rowsOfGradY, columnsOfB, numRows, r, p, scale), compute); // [rows, r]
    const columnsOfV = transpose(v, numRows, r); // [r, rows]
    if (gradX !== null) store(gradX, multiply(v, transpose(loraA, r, k), numRows, k, r, 1), true, first * k);
    const columnsOfX = transpose(rowsOf(x, k, adapter), numRows, k); // [K, rows]
    valuesA.set(multiply(columnsOfV, columnsOfX, r, k, numRows, 1), group * r * k);
    const columnsOfU = transpose(rowsOf(u, r, adapter), numRows, r); // [r, rows]
    valuesB.set(multiply(transpose(rowsOfGradY, numRows, p), columnsOfU, p, r, numRows, scale), group * p * r);
  }
  storeGrad(gradA, valuesA);
  storeGrad(gradB, valuesB);
}

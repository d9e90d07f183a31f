/** @file Sums, scalings, norms and random values of whole tensors. */
import { uniformsOf } from "../../../util/index.ts";
import type { Kernels } from "../../backend.ts";
import { store, widen } from "./values.ts";

type Args<Kernel extends keyof Kernels> = Parameters<Kernels[Kernel]>[0];

/** `y = a + b`. */
export function add(args: Args<"add">): void {
  const [a, b] = [widen(args.a), widen(args.b)] as const;
  const y = new Float64Array(a.length);
  for (let i = 0; i < y.length; i++) y[i] = a[i]! + b[i]!;
  store(args.y, y);
}

/** `y = alpha · x + beta · y`; with `beta = 0` the old `y` is not read, so it may hold anything, NaN included. */
export function axpby(args: Args<"axpby">): void {
  const { alpha, beta } = args;
  const x = widen(args.x);
  const y = new Float64Array(x.length);
  for (let i = 0; i < y.length; i++) y[i] = alpha * x[i]!;
  if (beta !== 0) {
    const before = widen(args.y);
    for (let i = 0; i < y.length; i++) y[i] = y[i]! + beta * before[i]!;
  }
  store(args.y, y);
}

/** Sum of all elements. */
export function sum(args: Args<"sum">): number {
  const x = widen(args.x);
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i]!;
  return total;
}

/** Sum of squares of each run. */
export function sumSquares(args: Args<"sumSquares">): Float64Array {
  const { offsets } = args;
  const x = widen(args.x);
  const totals = new Float64Array(offsets.length - 1);
  for (let run = 0; run < totals.length; run++) {
    let total = 0;
    for (let i = offsets[run]!; i < offsets[run + 1]!; i++) total += x[i]! * x[i]!;
    totals[run] = total;
  }
  return totals;
}

/** `y[i] = (2u - 1) · bound`. */
export function uniform({ y, bound, blocks }: Args<"uniform">): void {
  const values = new Float64Array(y.size);
  uniformsOf(blocks, values.length, (value, index) => {
    values[index] = (2 * value - 1) * bound;
  });
  store(y, values);
}

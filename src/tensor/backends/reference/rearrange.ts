/** @file Strided copies and dropout. */
import { wordsOf } from "../../../util/index.ts";
import type { Kernels } from "../../backend.ts";
import { store, widen } from "./values.ts";

type Args<Kernel extends keyof Kernels> = Parameters<Kernels[Kernel]>[0];

/** `y[yOffset + Σ i·yStrides] = scale · x[xOffset + Σ i·xStrides]`. */
export function stridedCopy(args: Args<"stridedCopy">): void {
  const { sizes, xStrides, yStrides, scale = 1, accumulate = false } = args;
  const x = widen(args.x);
  const visit = (axis: number, from: number, to: number): void => {
    if (axis === sizes.length) {
      store(args.y, Float64Array.of(scale * x[from]!), accumulate, to);
      return;
    }
    for (let i = 0; i < sizes[axis]!; i++) visit(axis + 1, from + i * xStrides[axis]!, to + i * yStrides[axis]!);
  };
  visit(0, args.xOffset ?? 0, args.yOffset ?? 0);
}

/** `y[i] = x[i] / (1 - p)` where word `i` of the stream says so, else 0. */
export function dropout(args: Args<"dropout">): void {
  const { p, blocks, accumulate } = args;
  const x = widen(args.x);
  const y = new Float64Array(x.length);
  wordsOf(blocks, x.length, (word, i) => {
    y[i] = word / 2 ** 32 >= p ? x[i]! / (1 - p) : 0;
  });
  store(args.y, y, accumulate);
}

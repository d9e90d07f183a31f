/** @file Moving rows: lookup, scatter with addition, overwrite. */
import type { Kernels } from "../../backend.ts";
import { dequantiseRow } from "../../quantise.ts";
import { store, widen } from "./values.ts";

type Args<Kernel extends keyof Kernels> = Parameters<Kernels[Kernel]>[0];

/** `y[i] = x[rows[i]]`. */
export function gatherRows(args: Args<"gatherRows">): void {
  const { rows } = args;
  const width = args.x.shape[1]!;
  const { quantised } = args.x;
  const row = new Float64Array(width);
  for (let i = 0; i < rows.length; i++)
    if (quantised === null) store(args.y, widen(args.x.view(rows[i]! * width, [width])), false, i * width);
    else {
      dequantiseRow(quantised, rows[i]!, row, 0);
      store(args.y, row, false, i * width);
    }
}

/** `y[rows[i]] += x[i]` in ascending `i`. */
export function scatterAddRows(args: Args<"scatterAddRows">): void {
  const { rows } = args;
  const width = args.x.shape[1]!;
  const x = widen(args.x);
  for (let i = 0; i < rows.length; i++) store(args.y, x.subarray(i * width, (i + 1) * width), true, rows[i]! * width);
}

/** `y[rows[i]] = x[i]`. */
export function setRows(args: Args<"setRows">): void {
  const { rows } = args;
  const width = args.x.shape[1]!;
  const x = widen(args.x);
  for (let i = 0; i < rows.length; i++) store(args.y, x.subarray(i * width, (i + 1) * width), false, rows[i]! * width);
}

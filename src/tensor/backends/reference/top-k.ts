/** @file Choice within rows: the first elements in an order, lookup by index and its reverse. */
import type { GatherLastArgs, ScatterLastArgs, TopKArgs } from "../../primitive-args.ts";
import { store, widen } from "./values.ts";

/** Below 0 when `a` is the smaller; NaN is the largest and equal to itself. */
function compareNumbers(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : Number(a > b);
}

/** The `k` first elements of each row in the chosen order, the lower index first among equals. */
export function topK(args: TopKArgs): void {
  const { k, descending, values, indices } = args;
  const [numRows, width] = args.x.shape as [number, number];
  const x = widen(args.x);
  const chosen = new Float64Array(numRows * k);
  for (let row = 0; row < numRows; row++) {
    const valueAt = (column: number): number => x[row * width + column]!;
    const order = Int32Array.from({ length: width }, (_, column) => column).sort((i, j) => {
      const sign = compareNumbers(valueAt(i), valueAt(j));
      return (descending ? -sign : sign) || i - j;
    });
    for (let j = 0; j < k; j++) {
      indices[row * k + j] = order[j]!;
      chosen[row * k + j] = valueAt(order[j]!);
    }
  }
  store(values, chosen);
}

/** `y[i, j] = x[i, indices[i · k + j]]`. */
export function gatherLast({ x, indices, y }: GatherLastArgs): void {
  const [numRows, width] = x.shape as [number, number];
  const [values, perRow] = [widen(x), indices.length / numRows];
  store(
    y,
    Float64Array.from(indices, (index, i) => values[Math.floor(i / perRow) * width + index]!),
  );
}

/** `y[i, indices[i · k + j]] += x[i, j]`. */
export function scatterLast({ x, indices, y, accumulate }: ScatterLastArgs): void {
  const [numRows, width] = y.shape as [number, number];
  const [values, perRow] = [widen(x), indices.length / numRows];
  const sums = new Float64Array(y.size);
  for (let i = 0; i < indices.length; i++) {
    const at = Math.floor(i / perRow) * width + indices[i]!;
    sums[at] = sums[at]! + values[i]!;
  }
  store(y, sums, accumulate);
}

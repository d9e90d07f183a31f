/** @file Shapes: row-major, contiguous, checked where a tensor enters an op. */
import { ShapeError } from "../util/index.ts";

/** Sizes of the axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements; 1 for a scalar. */
export function numElements(shape: Shape): number {
  let product = 1;
  for (const size of shape) product *= size;
  return product;
}

/** `[2, 3]` as people write it. */
export function describeShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** True when both list the same sizes. */
export function isSameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Throws unless every index is at least `least` (0) and below `size`: kernels trust indices and would read foreign memory. */
export function checkIndices(where: string, indices: Int32Array, size: number, least: number = 0): void {
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    if (index < least || index >= size)
      throw new ShapeError(where, `indices from ${least} to ${size - 1}`, `${index} at position ${i}`);
  }
}

/** Throws unless `offsets` ascends from 0 to `numRows` in `numRuns` runs, some perhaps empty. */
export function checkOffsets(where: string, offsets: Int32Array, numRuns: number, numRows: number): void {
  const ascends = offsets.every((offset, i) => i === 0 || offset >= offsets[i - 1]!);
  if (ascends && offsets.length === numRuns + 1 && offsets[0] === 0 && offsets[numRuns] === numRows) return;
  const shown = offsets.length > 8 ? `${offsets.subarray(0, 8).join(", ")}, …` : offsets.join(", ");
  throw new ShapeError(where, `${numRuns + 1} ascending offsets from 0 to ${numRows}`, `[${shown}]`);
}

/** Throws unless `shape` equals `expected`; `null` in `expected` accepts any size. */
export function checkShape(where: string, shape: Shape, expected: readonly (number | null)[], hint = ""): void {
  const fits =
    shape.length === expected.length && expected.every((size, axis) => size === null || size === shape[axis]);
  if (fits) return;
  const wanted = `[${expected.map((size) => size ?? "any").join(", ")}]`;
  throw new ShapeError(where, wanted, describeShape(shape), hint);
}

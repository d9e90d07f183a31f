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

/** Throws unless `shape` equals `expected`; `null` in `expected` accepts any size. */
export function checkShape(where: string, shape: Shape, expected: readonly (number | null)[], hint = ""): void {
  const fits = shape.length === expected.length && expected.every((size, axis) => size === null || size === shape[axis]);
  if (fits) return;
  const wanted = `[${expected.map((size) => size ?? "any").join(", ")}]`;
  throw new ShapeError(where, wanted, describeShape(shape), hint);
}

/** @file Axes by number, negative ones from the end, and the view of a tensor that kernels over one axis take. */
import { ShapeError } from "../../util/index.ts";
import type { AxisView } from "../primitive-kernels.ts";
import { describeShape, numElements, type Shape } from "../shape.ts";

/** `axis` from 0 on; throws unless a tensor of `shape` has it. */
export function resolveAxis(where: string, shape: Shape, axis: number): number {
  const resolved = axis < 0 ? axis + shape.length : axis;
  if (Number.isInteger(resolved) && resolved >= 0 && resolved < shape.length) return resolved;
  throw new ShapeError(
    where,
    `an axis from ${-shape.length} to ${shape.length - 1} of ${describeShape(shape)}`,
    String(axis),
  );
}

/** `shape` as `[outer, length, inner]` around `axis`; without one, all elements are the axis. */
export function axisView(where: string, shape: Shape, axis: number | undefined): AxisView {
  if (axis === undefined) return { outer: 1, length: numElements(shape), inner: 1 };
  const at = resolveAxis(where, shape, axis);
  return { outer: numElements(shape.slice(0, at)), length: shape[at]!, inner: numElements(shape.slice(at + 1)) };
}

/** The shape after a reduction; `[1]` where all elements became one. */
export function reducedShape(where: string, shape: Shape, axis: number | undefined, keepDims: boolean): number[] {
  if (axis === undefined) return keepDims ? shape.map(() => 1) : [1];
  const at = resolveAxis(where, shape, axis);
  return keepDims ? shape.map((size, each) => (each === at ? 1 : size)) : shape.filter((_, each) => each !== at);
}

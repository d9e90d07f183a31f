/** @file Strides: which memory the elements of a broadcast, sliced or permuted tensor are, and fewer axes where they allow. */
import { ShapeError } from "../util/index.ts";
import { describeShape, type Shape } from "./shape.ts";

/** Axes that native kernels walk over, after merging; `native/kernels/blocks.h` has the same limit. */
export const maxAxes = 4;

/** Strides of row-major memory. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** The shape that all broadcast to: aligned at the last axis, sizes equal or 1. Throws where they do not fit. */
export function broadcastShapes(where: string, ...shapes: readonly Shape[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    const size = sizes.find((each) => each !== 1) ?? 1;
    if (sizes.every((each) => each === 1 || each === size)) return size;
    throw new ShapeError(
      where,
      "shapes that are equal or 1 in every axis, counted from the last",
      shapes.map(describeShape).join(" and "),
    );
  });
}

/** Strides that show a tensor of `shape` as one of shape `target`: 0 along axes that it repeats in. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const own = contiguousStrides(shape);
  const missing = target.length - shape.length;
  return target.map((_, axis) => {
    const at = axis - missing;
    return at < 0 || shape[at] === 1 ? 0 : own[at]!;
  });
}

/** Axes with the strides of several tensors that share them. */
export interface Axes {
  readonly sizes: readonly number[];
  /** Per tensor, one stride per axis. */
  readonly strides: readonly (readonly number[])[];
}

/**
 * The same walk over memory with {@link maxAxes} axes: those of size 1 are left out, those that continue each other
 * become one, and axes of size 1 are put in front. Throws when more are left.
 */
export function mergeAxes(where: string, { sizes, strides }: Axes): Axes {
  const kept = sizes.map((_, axis) => axis).filter((axis) => sizes[axis] !== 1);
  const mergedSizes: number[] = [];
  const merged = strides.map((): number[] => []);
  for (const axis of kept) {
    const last = mergedSizes.length - 1;
    const size = sizes[axis]!;
    const continues = last >= 0 && strides.every((own, index) => merged[index]![last] === own[axis]! * size);
    if (continues) {
      mergedSizes[last] = mergedSizes[last]! * size;
      strides.forEach((own, index) => {
        merged[index]![last] = own[axis]!;
      });
    } else {
      mergedSizes.push(size);
      strides.forEach((own, index) => {
        merged[index]!.push(own[axis]!);
      });
    }
  }
  const numMissing = maxAxes - mergedSizes.length;
  if (numMissing < 0)
    throw new ShapeError(
      where,
      `at most ${maxAxes} axes after merging neighbours`,
      `${mergedSizes.length}: ${describeShape(mergedSizes)}`,
      "reshape first",
    );
  return {
    sizes: [...new Array<number>(numMissing).fill(1), ...mergedSizes],
    strides: merged.map((own) => [...new Array<number>(numMissing).fill(0), ...own]),
  };
}

/** @file Views and copies that rearrange elements: reshape, slice, concatenate, permute, broadcastTo. */
import { ShapeError } from "../../util/index.ts";
import type { Scope } from "../scope.ts";
import { describeShape, numElements, type Shape } from "../shape.ts";
import { broadcastShapes, broadcastStrides, contiguousStrides } from "../strides.ts";
import type { Tensor } from "../tensor.ts";
import { resolveAxis } from "./axis.ts";
import { sumInto } from "./broadcast.ts";

/**
 * The same elements under another shape, on the tape. One size may be -1: what is left over. The result shares the memory
 * of `x` and must not outlive it; to {@link Scope.keep} something, keep `x`.
 */
export function reshape(scope: Scope, x: Tensor, shape: Shape): Tensor {
  const known = numElements(shape.filter((size) => size !== -1));
  const numOpen = shape.filter((size) => size === -1).length;
  const open = x.size / known;
  const full = shape.map((size) => (size === -1 ? open : size));
  if (numOpen > 1 || (numOpen === 1 && !Number.isInteger(open)) || numElements(full) !== x.size)
    throw new ShapeError(
      "reshape",
      `a shape of ${x.size} elements`,
      describeShape(shape),
      `x is ${describeShape(x.shape)}`,
    );
  const y = x.reshape(full);
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    scope.backend.kernels.axpby({ x: gradients.of(y)!, alpha: 1, y: grad, beta: accumulate ? 1 : 0 });
  });
  return y;
}

/** A part of `whole` along one axis: the shape of the part, and where it starts. */
interface Part {
  readonly shape: Shape;
  readonly offset: number;
}

/** Copies between a whole tensor and a part of it. */
function copyPart(
  scope: Scope,
  x: Tensor,
  y: Tensor,
  part: Part,
  whole: Shape,
  way: "out" | "in",
  accumulate = false,
): void {
  const sizes = part.shape;
  const [own, outer] = [contiguousStrides(part.shape), contiguousStrides(whole)];
  const plan =
    way === "out"
      ? { xOffset: part.offset, xStrides: outer, yStrides: own }
      : { yOffset: part.offset, xStrides: own, yStrides: outer };
  scope.backend.kernels.stridedCopy({ x, y, sizes, ...plan, accumulate });
}

/**
 * Elements `start .. end` along `axis`; negative numbers count from the end of the axis.
 *
 * @throws {@link ShapeError} unless `0 ≤ start ≤ end ≤ size`.
 */
export function slice(scope: Scope, x: Tensor, axis: number, start: number, end: number): Tensor {
  const at = resolveAxis("slice", x.shape, axis);
  const size = x.shape[at]!;
  const [first, last] = [start < 0 ? start + size : start, end < 0 ? end + size : end];
  if (!(Number.isInteger(first) && Number.isInteger(last) && first >= 0 && first <= last && last <= size))
    throw new ShapeError("slice", `a range within 0 to ${size} of axis ${at}`, `${start} to ${end}`);
  const shape = x.shape.map((each, index) => (index === at ? last - first : each));
  const part = { shape, offset: first * contiguousStrides(x.shape)[at]! };
  const y = scope.empty(shape, x.dtype);
  copyPart(scope, x, y, part, x.shape, "out");
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    if (!accumulate) grad.data.fill(0); // what was cut off has none
    copyPart(scope, gradients.of(y)!, grad, part, x.shape, "in", true);
  });
  return y;
}

/**
 * Tensors one behind the other along `axis`, in the dtype of the first.
 *
 * @throws {@link ShapeError} unless there is at least one, and all agree in every other axis.
 */
export function concatenate(scope: Scope, tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  if (first === undefined) throw new ShapeError("concatenate", "at least one tensor", "none");
  const at = resolveAxis("concatenate", first.shape, axis);
  for (const { shape } of tensors)
    if (shape.length !== first.shape.length || shape.some((size, each) => each !== at && size !== first.shape[each]))
      throw new ShapeError(
        "concatenate",
        `shapes that differ along axis ${at} alone`,
        tensors.map((each) => describeShape(each.shape)).join(" and "),
      );
  const total = tensors.reduce((sum, { shape }) => sum + shape[at]!, 0);
  const whole = first.shape.map((size, each) => (each === at ? total : size));
  const y = scope.empty(whole, first.dtype);
  let start = 0;
  const parts = tensors.map(({ shape }): Part => {
    const offset = start * contiguousStrides(whole)[at]!;
    start += shape[at]!;
    return { shape, offset };
  });
  tensors.forEach((tensor, index) => {
    copyPart(scope, tensor, y, parts[index]!, whole, "in");
  });
  scope.record(tensors, [y], (gradients) => {
    tensors.forEach((tensor, index) => {
      const into = gradients.into(tensor);
      if (into !== null) copyPart(scope, gradients.of(y)!, into.grad, parts[index]!, whole, "out", into.accumulate);
    });
  });
  return y;
}

/**
 * Axes in another order: axis `i` of the result is axis `axes[i]` of `x`. Up to four axes that do not merge.
 *
 * @throws {@link ShapeError} unless `axes` names every axis once.
 */
export function permute(scope: Scope, x: Tensor, axes: readonly number[]): Tensor {
  const order = axes.map((axis) => resolveAxis("permute", x.shape, axis));
  if (new Set(order).size !== x.shape.length || order.length !== x.shape.length)
    throw new ShapeError(
      "permute",
      `each of the ${x.shape.length} axes of ${describeShape(x.shape)} once`,
      `[${axes}]`,
    );
  const { kernels } = scope.backend;
  const shape = order.map((axis) => x.shape[axis]!);
  const strides = contiguousStrides(x.shape);
  const permuted = order.map((axis) => strides[axis]!);
  const y = scope.empty(shape, x.dtype);
  const own = contiguousStrides(shape);
  kernels.stridedCopy({ x, y, sizes: shape, xStrides: permuted, yStrides: own });
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    kernels.stridedCopy({ x: gradients.of(y)!, y: grad, sizes: shape, xStrides: own, yStrides: permuted, accumulate });
  });
  return y;
}

/** Two axes exchanged; the last two of a matrix by default. */
export function transpose(scope: Scope, x: Tensor, axis0: number = -2, axis1: number = -1): Tensor {
  const [first, second] = [resolveAxis("transpose", x.shape, axis0), resolveAxis("transpose", x.shape, axis1)];
  const axes = x.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis));
  return permute(scope, x, axes);
}

/**
 * `x` repeated to `shape`: aligned at the last axis, where sizes are equal or 1.
 *
 * @throws {@link ShapeError} where they do not fit.
 */
export function broadcastTo(scope: Scope, x: Tensor, shape: Shape): Tensor {
  const together = broadcastShapes("broadcastTo", x.shape, shape);
  if (together.length !== shape.length || together.some((size, axis) => size !== shape[axis]))
    throw new ShapeError("broadcastTo", `a shape that ${describeShape(x.shape)} broadcasts to`, describeShape(shape));
  const y = scope.empty(shape, x.dtype);
  scope.backend.kernels.stridedCopy({
    x,
    y,
    sizes: shape,
    xStrides: broadcastStrides(x.shape, shape),
    yStrides: contiguousStrides(shape),
  });
  scope.record([x], [y], (gradients) => sumInto(scope, gradients.of(y)!, gradients.into(x)!, x.shape));
  return y;
}

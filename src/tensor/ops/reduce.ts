/**
 * @file Reductions over one axis, or over all elements where no axis is given (then the shape of the result is `[1]`).
 * Negative axes count from the end. Sums are f32 or wider and do not depend on the number of threads.
 */
import { ShapeError } from "../../util/index.ts";
import type { AxisView, CurvedReduction } from "../primitive-kernels.ts";
import type { Scope } from "../scope.ts";
import { describeShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { axisView, reducedShape } from "./axis.ts";
import { sumDtype } from "./broadcast.ts";

/** Options of reductions. */
export interface ReduceOptions {
  /** Keep the axis, with size 1, so that the result broadcasts against the input. @defaultValue false */
  readonly keepDims?: boolean;
}

function refuseEmpty(where: string, x: Tensor, { length }: AxisView): void {
  if (length > 0) return;
  throw new ShapeError(where, "an axis of at least 1", describeShape(x.shape), "nothing has no such value");
}

/** `scale · Σ x`; every element has slope `scale`. */
function scaledSum(scope: Scope, x: Tensor, view: AxisView, shape: readonly number[], scale: number): Tensor {
  const { kernels } = scope.backend;
  const { outer, length, inner } = view;
  const y = scope.empty(shape, sumDtype(x));
  kernels.reduce({ op: "sum", x, y, axis: view, scale });
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    const sizes = [outer, length, inner];
    const yStrides = [length * inner, inner, 1];
    kernels.stridedCopy({
      x: gradients.of(y)!,
      y: grad,
      sizes,
      xStrides: [inner, 0, 1],
      yStrides,
      scale,
      accumulate,
    });
  });
  return y;
}

/** Sum over `axis`, in f32 (f64 of f64). An empty axis gives 0. */
export function sum(scope: Scope, x: Tensor, axis?: number, options: ReduceOptions = {}): Tensor {
  const view = axisView("sum", x.shape, axis);
  return scaledSum(scope, x, view, reducedShape("sum", x.shape, axis, options.keepDims ?? false), 1);
}

/** Mean over `axis`, in f32 (f64 of f64). Throws {@link ShapeError} where the axis is empty. */
export function mean(scope: Scope, x: Tensor, axis?: number, options: ReduceOptions = {}): Tensor {
  const view = axisView("mean", x.shape, axis);
  refuseEmpty("mean", x, view);
  return scaledSum(scope, x, view, reducedShape("mean", x.shape, axis, options.keepDims ?? false), 1 / view.length);
}

function reduceCurved(scope: Scope, op: CurvedReduction, x: Tensor, view: AxisView, y: Tensor): Tensor {
  const { kernels } = scope.backend;
  kernels.reduce({ op, x, y, axis: view });
  scope.record([x], [y], (gradients) =>
    kernels.reduceBackward({ op, x, y, gradY: gradients.of(y)!, gradX: gradients.into(x)!, axis: view }),
  );
  return y;
}

/**
 * Largest element along `axis`, in the dtype of `x`; NaN where one is NaN. The gradient goes to the first of the largest.
 * Throws {@link ShapeError} where the axis is empty.
 */
export function max(scope: Scope, x: Tensor, axis?: number, options: ReduceOptions = {}): Tensor {
  const view = axisView("max", x.shape, axis);
  refuseEmpty("max", x, view);
  const shape = reducedShape("max", x.shape, axis, options.keepDims ?? false);
  return reduceCurved(scope, "max", x, view, scope.empty(shape, x.dtype));
}

/**
 * `ln Σ eˣ` along `axis`, in f32 (f64 of f64), without overflow. Where all elements are -∞, and of an empty axis, it is
 * -∞ with gradient 0.
 */
export function logSumExp(scope: Scope, x: Tensor, axis?: number, options: ReduceOptions = {}): Tensor {
  const view = axisView("logSumExp", x.shape, axis);
  const shape = reducedShape("logSumExp", x.shape, axis, options.keepDims ?? false);
  return reduceCurved(scope, "logSumExp", x, view, scope.empty(shape, sumDtype(x)));
}

/**
 * Index along `axis` of the first largest element, in the order of the elements of `max` over that axis; NaN counts as
 * largest. Throws {@link ShapeError} where the axis is empty.
 */
export function argmax(scope: Scope, x: Tensor, axis?: number): Int32Array {
  const view = axisView("argmax", x.shape, axis);
  refuseEmpty("argmax", x, view);
  const indices = new Int32Array(view.outer * view.inner);
  scope.backend.kernels.argmax({ x, indices, axis: view });
  return indices;
}

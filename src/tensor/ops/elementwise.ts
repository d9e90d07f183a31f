/** @file Sums, casts and scalings of whole tensors. */
import type { DType } from "../dtype.ts";
import type { Scope } from "../scope.ts";
import { checkShape, isSameShape } from "../shape.ts";
import type { GradTarget, Tensor } from "../tensor.ts";
import { addScaled } from "./zip.ts";

/** Puts `alpha · gradient` into `target`. */
function passOn(scope: Scope, gradient: Tensor, target: GradTarget | null, alpha = 1): void {
  if (target !== null)
    scope.backend.kernels.axpby({ x: gradient, alpha, y: target.grad, beta: target.accumulate ? 1 : 0 });
}

/** `a + b`, the residual connection among others; shapes broadcast as in `zip.ts`, and the result has the dtype of `a`. */
export function add(scope: Scope, a: Tensor, b: Tensor): Tensor {
  if (!isSameShape(a.shape, b.shape)) return addScaled(scope, "add", a, b);
  const y = scope.empty(a.shape, a.dtype);
  scope.backend.kernels.add({ a, b, y });
  scope.record([a, b], [y], (gradients) => {
    passOn(scope, gradients.of(y)!, gradients.into(b));
    gradients.pass(y, a);
  });
  return y;
}

/** `alpha · x`, stored as `dtype`. */
export function scale(scope: Scope, x: Tensor, alpha: number, dtype: DType = x.dtype): Tensor {
  const y = scope.empty(x.shape, dtype);
  scope.backend.kernels.axpby({ x, alpha, y, beta: 0 });
  scope.record([x], [y], (gradients) => passOn(scope, gradients.of(y)!, gradients.into(x), alpha));
  return y;
}

/** `x` stored as `dtype`. */
export function cast(scope: Scope, x: Tensor, dtype: DType): Tensor {
  return scale(scope, x, 1, dtype);
}

/** `Σ weights[i] · x[i]` as a scalar tensor; `null` weights are ones. Weights are constants. */
export function weightedSum(scope: Scope, x: Tensor, weights: Tensor | null): Tensor<""> {
  const dtype = x.dtype === "f64" ? "f64" : "f32";
  const { kernels } = scope.backend;
  const y = scope.empty([1], dtype);
  if (weights === null) y.write([kernels.sum({ x })]);
  else {
    checkShape("weightedSum: weights", weights.shape, x.shape, "one weight per element");
    kernels.gemm({ a: x.reshape([1, x.size]), b: weights.reshape([x.size, 1]), c: y.reshape([1, 1]), compute: "f32" });
  }
  scope.record([x], [y], (gradients) => {
    const upstream = Number(gradients.of(y)!.readSync()[0]);
    const target = gradients.into(x)!;
    const factors = weights ?? scope.empty(x.shape, dtype);
    if (weights === null) factors.data.fill(1);
    passOn(scope, factors, target, upstream);
    if (weights === null) scope.discard(factors);
  });
  return y;
}

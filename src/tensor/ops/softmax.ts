/** @file Softmax and its logarithm over one axis. */
import type { Scope } from "../scope.ts";
import type { Tensor } from "../tensor.ts";
import { axisView } from "./axis.ts";

function softmaxOver(scope: Scope, x: Tensor, axis: number, log: boolean): Tensor {
  const { kernels } = scope.backend;
  const view = axisView(log ? "logSoftmax" : "softmax", x.shape, axis);
  const y = scope.empty(x.shape, x.dtype);
  kernels.softmax({ x, y, axis: view, log });
  scope.record([x], [y], (gradients) =>
    kernels.softmaxBackward({ y, gradY: gradients.of(y)!, gradX: gradients.into(x)!, axis: view, log }),
  );
  return y;
}

/**
 * `eˣ / Σ eˣ` along `axis`, in the dtype of `x`, without overflow. Where all elements are -∞, as behind a mask that hides
 * everything, the result is 0 and so is the gradient; where one is +∞ it is NaN.
 *
 * @defaultValue `axis = -1`
 */
export function softmax(scope: Scope, x: Tensor, axis: number = -1): Tensor {
  return softmaxOver(scope, x, axis, false);
}

/**
 * `x - ln Σ eˣ` along `axis`, in the dtype of `x`, nats. Where all elements are -∞ so is the result.
 *
 * @defaultValue `axis = -1`
 */
export function logSoftmax(scope: Scope, x: Tensor, axis: number = -1): Tensor {
  return softmaxOver(scope, x, axis, true);
}

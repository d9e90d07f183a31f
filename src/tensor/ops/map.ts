/** @file Functions of one variable, element by element; the result has the shape and the dtype of `x`. */
import type { UnaryOp } from "../primitive-kernels.ts";
import type { Scope } from "../scope.ts";
import type { Tensor } from "../tensor.ts";

function map(scope: Scope, op: UnaryOp, x: Tensor): Tensor {
  const { kernels } = scope.backend;
  const y = scope.empty(x.shape, x.dtype);
  kernels.map({ op, x, y });
  scope.record([x], [y], (gradients) =>
    kernels.mapBackward({ op, x, gradY: gradients.of(y)!, gradX: gradients.into(x)! }),
  );
  return y;
}

/** `-x`. */
export function neg(scope: Scope, x: Tensor): Tensor {
  return map(scope, "neg", x);
}

/** `eˣ`; infinite above 88.7 in f32. */
export function exp(scope: Scope, x: Tensor): Tensor {
  return map(scope, "exp", x);
}

/** Natural logarithm; -∞ at 0, NaN below. */
export function log(scope: Scope, x: Tensor): Tensor {
  return map(scope, "log", x);
}

/** `σ(x) = 1 / (1 + e⁻ˣ)`. */
export function sigmoid(scope: Scope, x: Tensor): Tensor {
  return map(scope, "sigmoid", x);
}

/** Hyperbolic tangent. */
export function tanh(scope: Scope, x: Tensor): Tensor {
  return map(scope, "tanh", x);
}

/** `ln(1 + eˣ)`, without overflow. */
export function softplus(scope: Scope, x: Tensor): Tensor {
  return map(scope, "softplus", x);
}

/** `x²`. */
export function square(scope: Scope, x: Tensor): Tensor {
  return map(scope, "square", x);
}

/** `√x`; NaN below 0, slope infinite at 0. */
export function sqrt(scope: Scope, x: Tensor): Tensor {
  return map(scope, "sqrt", x);
}

/** `x^-½`. */
export function rsqrt(scope: Scope, x: Tensor): Tensor {
  return map(scope, "rsqrt", x);
}

/** `1 / x`. */
export function reciprocal(scope: Scope, x: Tensor): Tensor {
  return map(scope, "reciprocal", x);
}

/** `|x|`; slope 0 at 0. */
export function abs(scope: Scope, x: Tensor): Tensor {
  return map(scope, "abs", x);
}

/** `max(x, 0)`; slope 0 at 0. */
export function relu(scope: Scope, x: Tensor): Tensor {
  return map(scope, "relu", x);
}

/** `x · σ(x)`. */
export function silu(scope: Scope, x: Tensor): Tensor {
  return map(scope, "silu", x);
}

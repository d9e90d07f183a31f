/**
 * @file Functions of two variables and the choice between two, element by element. Shapes broadcast: they are aligned at
 * the last axis, and an axis of size 1, or a missing one, repeats. Results have the dtype of `a`.
 */
import type { BinaryOp, ComparisonOp, CurvedBinaryOp } from "../primitive-kernels.ts";
import type { Scope } from "../scope.ts";
import { broadcastShapes } from "../strides.ts";
import type { Tensor } from "../tensor.ts";
import { BroadcastTarget, sumInto } from "./broadcast.ts";

function zip(scope: Scope, op: BinaryOp, a: Tensor, b: Tensor): Tensor {
  const y = scope.empty(broadcastShapes(op, a.shape, b.shape), a.dtype);
  scope.backend.kernels.zip({ op, a, b, y });
  return y;
}

/** `a + b` or `a - b` with any broadcast: the gradient is that of the result, summed and signed. */
export function addScaled(scope: Scope, op: "add" | "sub", a: Tensor, b: Tensor): Tensor {
  const y = zip(scope, op, a, b);
  scope.record([a, b], [y], (gradients) => {
    const gradY = gradients.of(y)!;
    const [intoA, intoB] = [gradients.into(a), gradients.into(b)];
    if (intoA !== null) sumInto(scope, gradY, intoA, a.shape);
    if (intoB !== null) sumInto(scope, gradY, intoB, b.shape, op === "sub" ? -1 : 1);
  });
  return y;
}

function zipCurved(scope: Scope, op: CurvedBinaryOp, a: Tensor, b: Tensor): Tensor {
  const y = zip(scope, op, a, b);
  scope.record([a, b], [y], (gradients) => {
    const byA = new BroadcastTarget(scope, y, a, gradients.into(a));
    const byB = new BroadcastTarget(scope, y, b, gradients.into(b));
    const gradY = gradients.of(y)!;
    scope.backend.kernels.zipBackward({ op, a, b, gradY, gradA: byA.target, gradB: byB.target });
    byA.finish();
    byB.finish();
  });
  return y;
}

/** A comparison is constant almost everywhere, so nothing is recorded. */
const compare = (scope: Scope, op: ComparisonOp, a: Tensor, b: Tensor): Tensor => zip(scope, op, a, b);

/** `a - b`. */
export function sub(scope: Scope, a: Tensor, b: Tensor): Tensor {
  return addScaled(scope, "sub", a, b);
}

/** `a · b`, element by element. */
export function mul(scope: Scope, a: Tensor, b: Tensor): Tensor {
  return zipCurved(scope, "mul", a, b);
}

/** `a / b`. */
export function div(scope: Scope, a: Tensor, b: Tensor): Tensor {
  return zipCurved(scope, "div", a, b);
}

/** The larger of the two, NaN where either is; among equals the gradient goes to `a`. */
export function maximum(scope: Scope, a: Tensor, b: Tensor): Tensor {
  return zipCurved(scope, "maximum", a, b);
}

/** The smaller of the two, NaN where either is; among equals the gradient goes to `a`. */
export function minimum(scope: Scope, a: Tensor, b: Tensor): Tensor {
  return zipCurved(scope, "minimum", a, b);
}

/** 1 where `a < b`, else 0; no gradient. */
export function less(scope: Scope, a: Tensor, b: Tensor): Tensor {
  return compare(scope, "less", a, b);
}

/** 1 where `a ≤ b`, else 0; no gradient. */
export function lessEqual(scope: Scope, a: Tensor, b: Tensor): Tensor {
  return compare(scope, "lessEqual", a, b);
}

/** 1 where `a = b`, else 0, so 0 where either is NaN; no gradient. */
export function equal(scope: Scope, a: Tensor, b: Tensor): Tensor {
  return compare(scope, "equal", a, b);
}

/** `a` where `condition` is not 0, else `b`; all three broadcast. No gradient flows into the condition. */
export function select(scope: Scope, condition: Tensor, a: Tensor, b: Tensor): Tensor {
  const { kernels } = scope.backend;
  const y = scope.empty(broadcastShapes("select", condition.shape, a.shape, b.shape), a.dtype);
  kernels.select({ condition, a, b, y });
  scope.record([a, b], [y], (gradients) => {
    const byA = new BroadcastTarget(scope, y, a, gradients.into(a));
    const byB = new BroadcastTarget(scope, y, b, gradients.into(b));
    const gradY = gradients.of(y)!;
    const zero = scope.zeros([1], gradY.dtype);
    for (const [{ target }, chosen, other] of [
      [byA, gradY, zero],
      [byB, zero, gradY],
    ] as const) {
      if (target === null) continue;
      const y = target.grad.reshape(gradY.shape); // an input of as many elements may have fewer axes
      kernels.select({ condition, a: chosen, b: other, y, accumulate: target.accumulate });
    }
    scope.discard(zero);
    byA.finish();
    byB.finish();
  });
  return y;
}

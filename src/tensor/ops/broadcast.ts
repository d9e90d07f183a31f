/** @file The way back from a broadcast: gradients are summed over the axes along which an operand was repeated. */
import type { Scope } from "../scope.ts";
import { numElements, type Shape } from "../shape.ts";
import { broadcastStrides } from "../strides.ts";
import type { GradTarget, Tensor } from "../tensor.ts";

/** Dtype of sums and other statistics of a tensor. */
export const sumDtype = ({ dtype }: Pick<Tensor, "dtype">): "f32" | "f64" => (dtype === "f64" ? "f64" : "f32");

/** Neighbouring axes that are all summed over or all kept. */
interface Group {
  readonly size: number;
  readonly isSummed: boolean;
}

/** Axes of `full`, grouped by whether a tensor of `shape` repeats in them; axes of size 1 belong to no group. */
function groupAxes(shape: Shape, full: Shape): Group[] {
  const groups: Group[] = [];
  const strides = broadcastStrides(shape, full);
  full.forEach((size, axis) => {
    if (size === 1) return;
    const isSummed = strides[axis] === 0;
    const last = groups.at(-1);
    if (last?.isSummed === isSummed) groups[groups.length - 1] = { size: last.size * size, isSummed };
    else groups.push({ size, isSummed });
  });
  return groups;
}

/**
 * Puts `scale · x`, summed over the axes along which a tensor of `shape` was repeated to the shape of `x`, into `target`.
 * One reduction per run of such axes, the last axes first; what lies between is f32 (f64).
 */
export function sumInto(scope: Scope, x: Tensor, target: GradTarget, shape: Shape, scale = 1): void {
  const { kernels } = scope.backend;
  const { grad, accumulate } = target;
  let groups = groupAxes(shape, x.shape);
  if (!groups.some(({ isSummed }) => isSummed)) {
    kernels.axpby({ x, alpha: scale, y: grad, beta: accumulate ? 1 : 0 });
    return;
  }
  let rest = x;
  for (;;) {
    const at = groups.findLastIndex(({ isSummed }) => isSummed);
    const product = (part: readonly Group[]): number => numElements(part.map(({ size }) => size));
    const [before, after] = [groups.slice(0, at), groups.slice(at + 1)];
    const axis = { outer: product(before), length: groups[at]!.size, inner: product(after) };
    groups = [...before, ...after];
    const isLast = !groups.some(({ isSummed }) => isSummed);
    const y = isLast ? grad : scope.empty([axis.outer, axis.inner], sumDtype(x));
    kernels.reduce({ op: "sum", x: rest, y, axis, ...(isLast ? { scale, accumulate } : {}) });
    if (rest !== x) scope.discard(rest);
    if (isLast) return;
    rest = y;
  }
}

/**
 * Runs `write` with a target of the shape of the output `y`, and sums what it wrote into the gradient of an input of
 * `shape`. `into` is `null` for an input that needs no gradient: then `write` is not called with a target for it.
 */
export class BroadcastTarget {
  readonly #scope: Scope;
  readonly #shape: Shape;
  readonly #into: GradTarget | null;
  /** Where the kernel writes: the gradient itself, or a full-size temporary. */
  readonly target: GradTarget | null;

  constructor(scope: Scope, y: Tensor, input: Tensor, into: GradTarget | null) {
    this.#scope = scope;
    this.#shape = input.shape;
    this.#into = into;
    const isFull = input.size === y.size;
    this.target = into === null || isFull ? into : { grad: scope.empty(y.shape, sumDtype(y)), accumulate: false };
  }

  /** Sums the temporary, if there is one, and frees it. */
  finish(): void {
    if (this.target === null || this.target === this.#into) return;
    sumInto(this.#scope, this.target.grad, this.#into!, this.#shape);
    this.#scope.discard(this.target.grad);
  }
}

/**
 * @file The kernels of primitives: small steps that fused kernels can be written in. Part of {@link Kernels} in
 * `backend.ts`, whose conventions hold here too. Where tensors broadcast, shapes are aligned at the last axis and an axis
 * of size 1, or a missing one, repeats.
 */
import type { PhiloxBlocks } from "../util/index.ts";
import type { GradTarget, Tensor } from "./tensor.ts";

/**
 * A function of one variable. `rsqrt` is `x^-½`, `softplus` is `ln(1 + e^x)`, `silu` is `x σ(x)`. Slopes at the kinks:
 * `relu` and `abs` have 0 at 0.
 */
export type UnaryOp =
  | "neg"
  | "exp"
  | "log"
  | "sigmoid"
  | "tanh"
  | "softplus"
  | "square"
  | "sqrt"
  | "rsqrt"
  | "reciprocal"
  | "abs"
  | "relu"
  | "silu";

/** Functions of two variables whose gradient depends on their values; `maximum` and `minimum` are NaN where either is. */
export type CurvedBinaryOp = "mul" | "div" | "maximum" | "minimum";

/** Comparisons, 1 where true and 0 where false or where either side is NaN. */
export type ComparisonOp = "less" | "lessEqual" | "equal";

/** A function of two variables. */
export type BinaryOp = "add" | "sub" | CurvedBinaryOp | ComparisonOp;

/** Reductions of which the gradient depends on the values. */
export type CurvedReduction = "max" | "logSumExp";

/** What becomes of the elements along an axis; `max` is NaN where one of them is. */
export type Reduction = "sum" | CurvedReduction;

/** A tensor seen as `[outer, length, inner]`, the middle one being the axis that is reduced. */
export interface AxisView {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

/** `y[yOffset + Σ i·yStrides] = scale · x[xOffset + Σ i·xStrides]` for every index `i` below `sizes`; no element of `y` twice. */
export interface StridedCopyArgs {
  /** Any. */
  readonly x: Tensor;
  /** Output, any; the elements that are not named stay as they are. */
  readonly y: Tensor;
  /** At most four axes, not counting those of size 1 and those that continue each other. */
  readonly sizes: readonly number[];
  /** @defaultValue 0 */
  readonly xOffset?: number;
  /** 0 repeats. */
  readonly xStrides: readonly number[];
  /** @defaultValue 0 */
  readonly yOffset?: number;
  readonly yStrides: readonly number[];
  /** @defaultValue 1 */
  readonly scale?: number;
  /** Add to `y` instead of overwriting it. @defaultValue false */
  readonly accumulate?: boolean;
}

/** Kernels of primitives, one entry per operation. */
export interface PrimitiveKernels {
  /** `y = f(x)`; one dtype. In f32 within 4 units in the last place. */
  map(args: { op: UnaryOp; x: Tensor; y: Tensor }): void;
  /** `gradX = gradY · f'(x)`. */
  mapBackward(args: { op: UnaryOp; x: Tensor; gradY: Tensor; gradX: GradTarget }): void;
  /** `y = f(a, b)`, `a` and `b` broadcast to the shape of `y`; any. `y` may be an operand of its own shape. */
  zip(args: { op: BinaryOp; a: Tensor; b: Tensor; y: Tensor }): void;
  /**
   * `gradA = gradY · ∂f/∂a`, `gradB = gradY · ∂f/∂b`, of the shape of `gradY`: sums over repeated axes are left to the
   * caller. Among equals, `maximum` and `minimum` give the gradient to `a`; any.
   */
  zipBackward(args: {
    op: CurvedBinaryOp;
    a: Tensor;
    b: Tensor;
    gradY: Tensor;
    gradA: GradTarget | null;
    gradB: GradTarget | null;
  }): void;
  /** `y = a` where `condition` is not 0, else `b` (NaN counts as not 0); all three broadcast to the shape of `y`; any. */
  select(args: { condition: Tensor; a: Tensor; b: Tensor; y: Tensor; accumulate?: boolean }): void;
  /** `y [outer, inner] = scale · reduction` over the middle axis; any. An empty axis sums to 0, and its `logSumExp` is -∞. */
  reduce(args: { op: Reduction; x: Tensor; y: Tensor; axis: AxisView; scale?: number; accumulate?: boolean }): void;
  /**
   * `max`: the gradient goes to the first largest element, `y` having the dtype of `x`.
   * `logSumExp`: `gradX = gradY · e^(x - y)`, 0 where `y` is -∞. Any.
   */
  reduceBackward(args: {
    op: CurvedReduction;
    x: Tensor;
    y: Tensor;
    gradY: Tensor;
    gradX: GradTarget;
    axis: AxisView;
  }): void;
  /** Index along the axis of the first largest element, `[outer, inner]`; NaN counts as largest. The axis is not empty. */
  argmax(args: { x: Tensor; indices: Int32Array; axis: AxisView }): void;
  /** Softmax over the axis, or its logarithm; one dtype. Nothing but -∞ along the axis gives 0, or -∞; a +∞ gives NaN. */
  softmax(args: { x: Tensor; y: Tensor; axis: AxisView; log: boolean }): void;
  /** `gradX = y (gradY - Σ gradY y)`; of the logarithm `gradX = gradY - e^y Σ gradY`. `y` and `gradY` share a dtype. */
  softmaxBackward(args: { y: Tensor; gradY: Tensor; gradX: GradTarget; axis: AxisView; log: boolean }): void;
  /** Slices, concatenations, permutations, broadcasts. */
  stridedCopy(args: StridedCopyArgs): void;
  /**
   * `y[i] = x[i] / (1 - p)` where word `i` of the stream (word `i mod 4` of block `firstBlock + i / 4`), divided by 2³²,
   * is at least `p`, else 0; any. `p` in [0, 1).
   */
  dropout(args: { x: Tensor; y: Tensor; p: number; blocks: PhiloxBlocks; accumulate?: boolean }): void;
}

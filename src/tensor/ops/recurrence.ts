/**
 * @file What runs down the rows of packed sequences: sums and first-order linear recurrences (Martin & Cundy 2018,
 * arXiv 1709.04057; with gates that depend on the input they are the selective scan of Gu & Dao 2023, arXiv 2312.00752).
 * Unlike the first paper, which scans in parallel over time, each column runs through its rows in order: a processor has
 * few cores and many columns.
 */
import { ShapeError } from "../../util/index.ts";
import type { Scope } from "../scope.ts";
import { checkOffsets, checkShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** Options of {@link cumulativeSum} and {@link cumulativeSumLast}. */
export interface CumulativeSumOptions {
  /** Sum from the end. @defaultValue false */
  readonly reverse?: boolean;
  /** Leave out the element itself; the first sum is 0. @defaultValue false */
  readonly exclusive?: boolean;
}

function runSums(scope: Scope, x: Tensor, offsets: Int32Array | null, options: CumulativeSumOptions): Tensor {
  const { reverse = false, exclusive = false } = options;
  const { kernels } = scope.backend;
  const y = scope.empty(x.shape, x.dtype);
  kernels.cumulativeSum({ x, offsets, reverse, exclusive, y });
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    kernels.cumulativeSum({ x: gradients.of(y)!, offsets, reverse: !reverse, exclusive, y: grad, accumulate });
  });
  return y;
}

/**
 * `y[t] = Σ_{s ≤ t} x[s]` down the rows of each segment, in f32. The gradient is the same sum from the other end.
 *
 * @param x - `[N, D]`.
 * @param offsets - `[S + 1]`, ascending from 0 to N: where segments, such as packed sequences, begin and end.
 */
export function cumulativeSum(
  scope: Scope,
  x: Tensor<"N D">,
  offsets: Int32Array,
  options: CumulativeSumOptions = {},
): Tensor<"N D"> {
  checkShape("cumulativeSum: x", x.shape, [null, null], "rows to sum up");
  checkOffsets("cumulativeSum: offsets", offsets, Math.max(0, offsets.length - 1), x.shape[0]!);
  return runSums(scope, x, offsets, options);
}

/** `y[i, j] = Σ_{l ≤ j} x[i, l]` along each row of `x [N, D]`, in f32. */
export function cumulativeSumLast(scope: Scope, x: Tensor<"N D">, options: CumulativeSumOptions = {}): Tensor<"N D"> {
  checkShape("cumulativeSumLast: x", x.shape, [null, null], "rows to sum along");
  return runSums(scope, x, null, options);
}

/** Options of {@link linearRecurrence}. */
export interface LinearRecurrenceOptions {
  /** `[S + 1]`, ascending from 0 to N: the state starts anew with every segment. */
  readonly offsets: Int32Array;
  /** `[S, D]`, f32 (f64): the state before the first row of each segment. @defaultValue zeros */
  readonly initial?: Tensor<"S D"> | null;
}

/** What {@link linearRecurrence} returns. */
export interface Recurrence {
  /** States after each row, `[N, D]`, stored as `a` is. */
  readonly h: Tensor<"N D">;
  /** State after the last row of each segment, `[S, D]`, f32 (f64); `initial` where there is no row. Decoding goes on from it. */
  readonly final: Tensor<"S D">;
}

/**
 * `h_t = a_t ⊙ h_{t-1} + b_t` down the rows of each segment, all columns at once. The state is f32 between rows whatever the
 * storage, so a sequence cut in two, with `final` as the next `initial`, gives the same bits as the whole.
 *
 * Gradients by the reversed recurrence: with `g_t = gradH_t + a_{t+1} ⊙ g_{t+1}`, to which `gradFinal` adds at the last row,
 * `gradB_t = g_t`, `gradA_t = g_t ⊙ h_{t-1}` and `gradInitial = a_1 ⊙ g_1`.
 *
 * @param a - `[N, D]`, the decays.
 * @param b - `[N, D]`, the inputs.
 * @throws {@link ShapeError} when the sizes do not meet or the offsets do not divide the rows.
 */
export function linearRecurrence(
  scope: Scope,
  a: Tensor<"N D">,
  b: Tensor<"N D">,
  options: LinearRecurrenceOptions,
): Recurrence {
  const { offsets, initial = null } = options;
  checkShape("linearRecurrence: a", a.shape, [null, null], "a decay per row and column");
  checkShape("linearRecurrence: b", b.shape, a.shape, "an input for every decay");
  const numSegments = Math.max(0, offsets.length - 1);
  checkOffsets("linearRecurrence: offsets", offsets, numSegments, a.shape[0]!);
  const stateShape = [numSegments, a.shape[1]!];
  const stateDtype = a.dtype === "f64" ? "f64" : "f32";
  if (initial) {
    checkShape("linearRecurrence: initial", initial.shape, stateShape, "one state per segment");
    if (initial.dtype !== stateDtype)
      throw new ShapeError("linearRecurrence: initial", `a state in ${stateDtype}`, initial.dtype, "cast it first");
  }
  const { kernels } = scope.backend;
  const h = scope.empty(a.shape, a.dtype);
  const final = scope.empty(stateShape, stateDtype);
  kernels.linearRecurrence({ a, b, initial, offsets, h, final });
  scope.record([a, b, initial], [h, final], (gradients) =>
    kernels.linearRecurrenceBackward({
      a,
      h,
      initial,
      offsets,
      gradH: gradients.of(h),
      gradFinal: gradients.of(final),
      gradA: gradients.into(a),
      gradB: gradients.into(b),
      gradInitial: initial && gradients.into(initial),
    }),
  );
  return { h, final };
}

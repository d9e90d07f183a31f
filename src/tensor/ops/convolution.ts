/** @file Short causal convolution of each column, as state-space layers have it (Gu & Dao 2023, arXiv 2312.00752). */
import { ShapeError } from "../../util/index.ts";
import type { Scope } from "../scope.ts";
import { checkOffsets, checkShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** Options of {@link depthwiseConvolution}. */
export interface DepthwiseConvolutionOptions {
  /** `[S + 1]`, ascending from 0 to N: no segment sees the rows of another. */
  readonly offsets: Int32Array;
  /** `[D]`. */
  readonly bias?: Tensor<"D"> | null;
  /** `[S, k - 1, D]`, stored as `x` is: the inputs before each segment, oldest first. @defaultValue zeros */
  readonly previous?: Tensor<"S k-1 D"> | null;
}

function checkConvolution(x: Tensor, k: number, { offsets, previous = null }: DepthwiseConvolutionOptions): void {
  const numSegments = Math.max(0, offsets.length - 1);
  checkOffsets("depthwiseConvolution: offsets", offsets, numSegments, x.shape[0]!);
  if (previous === null) return;
  const shape = [numSegments, k - 1, x.shape[1]!];
  checkShape("depthwiseConvolution: previous", previous.shape, shape, "k - 1 inputs before each segment");
  if (previous.dtype !== x.dtype)
    throw new ShapeError(
      "depthwiseConvolution: previous",
      `inputs in ${x.dtype}, as x`,
      previous.dtype,
      "cast them first",
    );
}

/**
 * `y[t, d] = Σ_j w[d, j] · x[t - (k - 1) + j, d] (+ bias[d])` within each segment: the last tap meets the row itself, the
 * first one the row `k - 1` back. Sums are f32.
 *
 * @param x - `[N, D]`.
 * @param weight - `[D, k]`, k at least 1; that of a checkpoint, `[D, 1, k]`, without its axis of 1.
 * @returns `[N, D]`, stored as `x` is.
 * @throws {@link ShapeError} when the sizes do not meet or the offsets do not divide the rows.
 */
export function depthwiseConvolution(
  scope: Scope,
  x: Tensor<"N D">,
  weight: Tensor<"D k">,
  options: DepthwiseConvolutionOptions,
): Tensor<"N D"> {
  const { offsets, bias = null, previous = null } = options;
  checkShape("depthwiseConvolution: weight", weight.shape, [null, null], "one short kernel per column");
  const [width, k] = weight.shape as [number, number];
  if (k < 1) throw new ShapeError("depthwiseConvolution: weight", "at least one tap", "0");
  checkShape("depthwiseConvolution: x", x.shape, [null, width], "one kernel per column");
  if (bias) checkShape("depthwiseConvolution: bias", bias.shape, [width], "one bias per column");
  checkConvolution(x, k, options);
  const { kernels } = scope.backend;
  const y = scope.empty(x.shape, x.dtype);
  kernels.depthwiseConvolution({ x, weight, bias, previous, offsets, y });
  scope.record([x, weight, bias, previous], [y], (gradients) =>
    kernels.depthwiseConvolutionBackward({
      x,
      weight,
      previous,
      offsets,
      gradY: gradients.of(y)!,
      gradX: gradients.into(x),
      gradPrevious: previous && gradients.into(previous),
      gradWeight: gradients.into(weight),
      gradBias: bias && gradients.into(bias),
    }),
  );
  return y;
}

/**
 * The last `k - 1` inputs of each segment, those of `previous` counted in: the `previous` of the rows that come next.
 * A constant, for decoding; no gradient flows through it.
 *
 * @param x - `[N, D]`.
 * @param k - Taps of the convolution.
 * @returns `[S, k - 1, D]`, stored as `x` is; zeros where there was no input yet.
 */
export function lastInputs(
  scope: Scope,
  x: Tensor<"N D">,
  k: number,
  options: Pick<DepthwiseConvolutionOptions, "offsets" | "previous">,
): Tensor<"S k-1 D"> {
  checkConvolution(x, k, options);
  const { offsets, previous = null } = options;
  const { kernels } = scope.backend;
  const [width, numSegments, numKept] = [x.shape[1]!, offsets.length - 1, k - 1];
  const kept = scope.zeros([numSegments, numKept, width], x.dtype);
  const rows = kept.reshape([numSegments * numKept, width]);
  // rows of the result, and where they come from: an index of x or, below 0, one of `previous` counted from its end
  const copy = (source: Tensor, moves: readonly (readonly [from: number, to: number])[]): void => {
    const some = scope.empty([moves.length, width], x.dtype);
    kernels.gatherRows({ x: source, rows: Int32Array.from(moves, ([from]) => from), y: some });
    kernels.setRows({ x: some, rows: Int32Array.from(moves, ([, to]) => to), y: rows });
    scope.discard(some);
  };
  const [ofX, ofPrevious]: (readonly [number, number])[][] = [[], []];
  for (let segment = 0; segment < numSegments; segment++)
    for (let i = 0; i < numKept; i++) {
      const to = segment * numKept + i;
      const row = offsets[segment + 1]! - numKept + i;
      if (row >= offsets[segment]!) ofX!.push([row, to]);
      else ofPrevious!.push([(segment + 1) * numKept + row - offsets[segment]!, to]);
    }
  copy(x, ofX!);
  if (previous !== null) copy(previous.reshape([numSegments * numKept, width]), ofPrevious!);
  return kept;
}

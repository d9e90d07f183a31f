/**
 * @file Arguments of the kernels behind the primitives that new blocks are composed from: products of many matrices,
 * choice and order within a row, running sums, first-order recurrences, short convolutions. They belong to `Kernels` in
 * `backend.ts`, whose legend and rules hold here too. `segments` divide rows: segment `s` owns `offsets[s] .. offsets[s + 1]`.
 */
import type { ComputeType } from "./dtype.ts";
import type { GradTarget, Tensor } from "./tensor.ts";

/**
 * `c[i] = op(a[i]) · op(b[i]) (+ c[i])` for every matrix `i` of a batch. A factor of batch 1 is shared by all; when `c` has
 * batch 1 and the factors more, the products are summed into it.
 */
export interface BatchedGemmArgs {
  /** `[B, M, K]`, or `[B, K, M]` when `transposeA`; any. */
  readonly a: Tensor;
  /** `[B, K, N]`, or `[B, N, K]` when `transposeB`; any. */
  readonly b: Tensor;
  /** Output `[B, M, N]` or, for the sum, `[1, M, N]`; any. */
  readonly c: Tensor;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Add to `c` instead of overwriting it. @defaultValue false */
  readonly accumulate?: boolean;
  readonly compute: ComputeType;
}

/** `c = a · op(b_g) (+ c)` for the rows of each group `g`; a group may have none. */
export interface GroupedGemmArgs {
  /** `[N, K]`; any. */
  readonly a: Tensor;
  /** `[G, K, P]`, or `[G, P, K]` when `transposeB`; any. */
  readonly b: Tensor;
  /** Output `[N, P]`; any. */
  readonly c: Tensor;
  /** `[G + 1]`, ascending from 0 to N. */
  readonly offsets: Int32Array;
  readonly transposeB?: boolean;
  /** @defaultValue false */
  readonly accumulate?: boolean;
  readonly compute: ComputeType;
}

/** `c_g = a_gᵀ b_g (+ c_g)` over the rows of each group; zeros (or `c_g` as it is) for a group without rows. */
export interface GroupedOuterArgs {
  /** `[N, P]`; any. */
  readonly a: Tensor;
  /** `[N, K]`; any. */
  readonly b: Tensor;
  /** Output `[G, P, K]`; any. */
  readonly c: Tensor;
  readonly offsets: Int32Array;
  /** @defaultValue false */
  readonly accumulate?: boolean;
  readonly compute: ComputeType;
}

/**
 * The `k` first elements of each row in the chosen order and where they stood. Among equals the lower index comes first;
 * NaN counts as the largest number, -0 as 0.
 */
export interface TopKArgs {
  /** `[N, D]`; any. */
  readonly x: Tensor;
  /** 0 to D. */
  readonly k: number;
  /** Largest first, or else smallest first. */
  readonly descending: boolean;
  /** Output `[N, k]` of the dtype of `x`. */
  readonly values: Tensor;
  /** Output, `N · k`. */
  readonly indices: Int32Array;
}

/** `y[t] = Σ x[s]` over `s ≤ t`; `reverse` sums over `s ≥ t`, `exclusive` leaves out `s = t`. */
export interface CumulativeSumArgs {
  /** `[N, D]`; any. */
  readonly x: Tensor;
  /** Sums run down the rows of each segment; with `null` along each row. */
  readonly offsets: Int32Array | null;
  readonly reverse: boolean;
  readonly exclusive: boolean;
  /** Output `[N, D]`; any. */
  readonly y: Tensor;
  /** Add to `y` instead of overwriting it. @defaultValue false */
  readonly accumulate?: boolean;
}

/** `h_t = a_t ⊙ h_{t-1} + b_t` down the rows of each segment. The state is f32 (f64) whatever is stored. */
export interface LinearRecurrenceArgs {
  /** `[N, D]`; any. */
  readonly a: Tensor;
  readonly b: Tensor;
  /** `[S, D]` f32 (f64): the state before the first row of each segment; `null` stands for zeros. */
  readonly initial: Tensor | null;
  readonly offsets: Int32Array;
  /** Output `[N, D]`; any. */
  readonly h: Tensor;
  /** Output `[S, D]` f32 (f64): the state after the last row, `initial` where there is none; `null` when not wanted. */
  readonly final: Tensor | null;
}

/**
 * Gradients of {@link LinearRecurrenceArgs}: `g_t = gradH_t + a_{t+1} ⊙ g_{t+1}`, where `gradFinal` joins at the last row;
 * `gradB_t = g_t`, `gradA_t = g_t ⊙ h_{t-1}` (of `h` as stored), `gradInitial = a_1 ⊙ g_1`, or `gradFinal` without rows.
 */
export interface LinearRecurrenceBackwardArgs extends Omit<LinearRecurrenceArgs, "b" | "final"> {
  /** `[N, D]` of the dtype of `h`; `null` stands for zeros. */
  readonly gradH: Tensor | null;
  /** `[S, D]` f32 (f64); `null` stands for zeros. */
  readonly gradFinal: Tensor | null;
  /** Any. */
  readonly gradA: GradTarget | null;
  /** Any. */
  readonly gradB: GradTarget | null;
  /** f32 (f64). */
  readonly gradInitial: GradTarget | null;
}

/**
 * Causal convolution of every column with a kernel of its own: `y[t, d] = Σ_j w[d, j] · x[t - (k - 1) + j, d] + bias[d]`.
 * Rows before the first of a segment are those of `previous`, else zeros.
 */
export interface DepthwiseConvolutionArgs {
  /** `[N, D]`; any. */
  readonly x: Tensor;
  /** `[D, k]`, k at least 1; any. */
  readonly weight: Tensor;
  /** `[D]`; any. */
  readonly bias: Tensor | null;
  /** `[S, k - 1, D]` of the dtype of `x`, oldest row first. */
  readonly previous: Tensor | null;
  readonly offsets: Int32Array;
  /** Output `[N, D]`; any. */
  readonly y: Tensor;
}

/**
 * Gradients of {@link DepthwiseConvolutionArgs}: `gradX[s, d] = Σ_j w[d, j] · gradY[s + (k - 1) - j, d]` within the segment,
 * the same for the rows of `previous`, `gradWeight[d, j] = Σ_t gradY[t, d] · x[t - (k - 1) + j, d]`, `gradBias = Σ_t gradY[t]`.
 */
export interface DepthwiseConvolutionBackwardArgs extends Omit<DepthwiseConvolutionArgs, "y" | "bias"> {
  /** `[N, D]`; any. */
  readonly gradY: Tensor;
  readonly gradX: GradTarget | null;
  readonly gradPrevious: GradTarget | null;
  readonly gradWeight: GradTarget | null;
  readonly gradBias: GradTarget | null;
}

/** `y[i, j] = x[i, indices[i · k + j]]`. */
export interface GatherLastArgs {
  /** `[N, D]`; any. */
  readonly x: Tensor;
  /** `N · k`, each below D. */
  readonly indices: Int32Array;
  /** Output `[N, k]` or, for one per row, `[N]`; any. */
  readonly y: Tensor;
}

/** `y[i, indices[i · k + j]] += x[i, j]`, to `y` or to zeros; repeated indices sum in ascending `j`, for bf16 in f32. */
export interface ScatterLastArgs {
  /** `[N, k]` or `[N]`; any. */
  readonly x: Tensor;
  readonly indices: Int32Array;
  /** Output `[N, D]`; any. */
  readonly y: Tensor;
  readonly accumulate: boolean;
}

/**
 * @file What a backend is: memory and one total table of kernels. The reference backend defines every result;
 * other backends are checked against it by `kernel-contract.ts`.
 *
 * Axes: `N` rows (tokens), `D` features, `M N K` product sizes, `H` heads, `K` kv heads, `E` head width,
 * `S` rows of keys and values, `V` vocabulary, `G` groups (adapters), `r` LoRA rank.
 * All tensors are row-major. A kernel writes only the tensors named as outputs; outputs never alias inputs unless said.
 * "any" below means f32 or bf16 on fast backends and also f64 on the reference backend; sums are f32 or wider.
 * Results must not depend on the number of threads, nor a row's results in `lora`, or in a product with a quantised or
 * frozen `b`, on the other rows.
 */
import type { PhiloxBlocks } from "../util/index.ts";
import type { ComputeType, DType, HostArray } from "./dtype.ts";
import type {
  BatchedGemmArgs,
  CumulativeSumArgs,
  DepthwiseConvolutionArgs,
  DepthwiseConvolutionBackwardArgs,
  GatherLastArgs,
  GroupedGemmArgs,
  GroupedOuterArgs,
  LinearRecurrenceArgs,
  LinearRecurrenceBackwardArgs,
  ScatterLastArgs,
  TopKArgs,
} from "./primitive-args.ts";
import type { PrimitiveKernels } from "./primitive-kernels.ts";
import type { GradTarget, Tensor } from "./tensor.ts";

/** `c = alpha · op(a) · op(b) (+ bias per column) (+ addend) (+ c)`. */
export interface GemmArgs {
  /** `[M, K]`, or `[K, M]` when `transposeA`; any. */
  readonly a: Tensor;
  /** `[K, N]`, or `[N, K]` when `transposeB`; any, or quantised: then its values are multiplied as if they were stored in f32. */
  readonly b: Tensor;
  /** Output `[M, N]`; any. */
  readonly c: Tensor;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** @defaultValue 1 */
  readonly alpha?: number;
  /** Add to `c` instead of overwriting it. @defaultValue false */
  readonly accumulate?: boolean;
  /** `[N]`; any. */
  readonly bias?: Tensor | null;
  /** `[M, N]`; any: the residual that a layer's last product joins. */
  readonly addend?: Tensor | null;
  readonly compute: ComputeType;
}

/**
 * LoRA for many adapters at once: adapter `g` owns rows `segments[g] .. segments[g + 1]` and may own none.
 * `lowRank = x A_gᵀ` and `y += scales[g] · lowRank B_gᵀ`, of `lowRank` as stored.
 */
export interface LoraArgs {
  /** `[N, K]`; any. */
  readonly x: Tensor;
  /** `[G, r, K]` f32 (f64). */
  readonly loraA: Tensor;
  /** `[G, P, r]` f32 (f64). */
  readonly loraB: Tensor;
  /** One factor per adapter. */
  readonly scales: Float32Array;
  /** `[G + 1]`, ascending from 0 to N. */
  readonly segments: Int32Array;
  /** Output `[N, r]`; any. */
  readonly lowRank: Tensor;
  /** Added to, `[N, P]`; any. */
  readonly y: Tensor;
  readonly compute: ComputeType;
}

/**
 * Gradients of {@link LoraArgs}: with `v = scales[g] · gradY B_g`, `gradX += v A_g`, `gradA_g = vᵀ x` and
 * `gradB_g = scales[g] · gradYᵀ lowRank`. Gradients of an adapter without rows are zero.
 */
export interface LoraBackwardArgs extends Omit<LoraArgs, "y"> {
  /** Of the forward pass. */
  readonly lowRank: Tensor;
  /** `[N, P]`; any. */
  readonly gradY: Tensor;
  /** Added to, `[N, K]`; any. */
  readonly gradX: Tensor | null;
  /** f32 (f64). */
  readonly gradA: GradTarget | null;
  /** f32 (f64). */
  readonly gradB: GradTarget | null;
}

/**
 * Which keys each query sees, `[N]` each: query row `i` of sequence `b` sees the rows from `kStarts[b] + begin[i]` up to
 * but not including `kStarts[b] + end[i]`. `0 ≤ begin ≤ end ≤ kLengths[b]`, and from query to query of a sequence neither
 * falls, so that the queries that see a key are consecutive too. A query with `begin = end` sees nothing: its output and
 * its gradient are zero, and it adds nothing to the gradients of others.
 */
export interface VisibleKeys {
  readonly begin: Int32Array;
  readonly end: Int32Array;
}

/**
 * Which rows attend to which. Sequence `b` has queries at rows `qOffsets[b] .. qOffsets[b + 1]` and keys at rows
 * `kStarts[b] .. kStarts[b] + kLengths[b]`. The queries are aligned at the end: of `q` queries and `s ≥ q` keys, query `i`
 * stands at position `s - q + i`. Packed training has `kStarts = qOffsets` and equal lengths; decoding points into a cache.
 */
export interface AttentionLayout {
  /** `[B + 1]`. */
  readonly qOffsets: Int32Array;
  /** `[B]`. */
  readonly kStarts: Int32Array;
  /** `[B]`. */
  readonly kLengths: Int32Array;
  /** `null`, the default, is causal: a query sees the keys up to its own position. Functions of `ops/visibility.ts` fill it. */
  readonly visible?: VisibleKeys | null;
}

/**
 * `o = softmax(scale · q kᵀ + mask) v` with the mask of the layout, never materialising queries × keys. Time and reads of
 * `k` and `v` are in proportion to what is visible.
 */
export interface AttentionArgs {
  /** `[N, H·E]`; any; `q k v o` share one dtype. */
  readonly q: Tensor;
  /** `[S, K·E]`. */
  readonly k: Tensor;
  /** `[S, K·E]`. */
  readonly v: Tensor;
  /** Output `[N, H·E]`. */
  readonly o: Tensor;
  /** Output `[N, H]` f32 (f64 with f64): log of the sum of exponentials of the scaled scores; `-Infinity` where nothing is visible. */
  readonly logSumExp: Tensor;
  readonly layout: AttentionLayout;
  readonly numHeads: number;
  /** Divides `numHeads`; query head `h` reads kv head `floor(h · K / H)`. */
  readonly numKvHeads: number;
  /** Above 0. */
  readonly scale: number;
}

/** Gradients of {@link AttentionArgs}; probabilities are recomputed from `logSumExp`. */
export interface AttentionBackwardArgs extends Omit<AttentionArgs, "o"> {
  readonly o: Tensor;
  readonly gradO: Tensor;
  readonly gradQ: GradTarget;
  readonly gradK: GradTarget;
  readonly gradV: GradTarget;
}

/**
 * Log-probability of one given token per row under `softmax(hidden · weightᵀ)`, in chunks, never materialising `N × V`.
 * With `gradLogprobs` it also returns gradients, recomputing the logits of a chunk where it must.
 * Rows whose target is negative are skipped: logprob 0, gradient 0.
 */
export interface LinearCrossEntropyArgs {
  /** `[N, D]`; any. */
  readonly hidden: Tensor;
  /** `[V, D]`; any, or quantised when it gets no gradient. */
  readonly weight: Tensor;
  /** `[N]`, each below V. */
  readonly targets: Int32Array;
  /** Output `[N]` f32 (f64 with f64), nats. */
  readonly logprobs: Tensor;
  /** `d loss / d logprobs`, `[N]` f32 (f64); `null` computes no gradients. */
  readonly gradLogprobs: Tensor | null;
  readonly gradHidden: GradTarget | null;
  readonly gradWeight: GradTarget | null;
  readonly compute: ComputeType;
}

/** One run of parameters with its own optimizer settings. */
export interface AdamWSegment {
  readonly offset: number;
  readonly length: number;
  readonly learningRate: number;
  /** Decoupled: `w -= learningRate · weightDecay · w`. */
  readonly weightDecay: number;
  /** Factor on the gradient (clipping, normalisation). */
  readonly gradScale: number;
  /** Updates done to this run including this one, at least 1; sets the bias corrections. */
  readonly step: number;
}

/** AdamW on flat stores (Loshchilov & Hutter 2019, arXiv 1711.05101); only the runs in `segments` are touched. */
export interface AdamWArgs {
  readonly params: Tensor;
  readonly grads: Tensor;
  /** First and second moments, updated in place; same size as `params`. */
  readonly moment1: Tensor;
  readonly moment2: Tensor;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly segments: readonly AdamWSegment[];
}

/** Changes to single logits: draw `i` owns the entries `offsets[i] .. offsets[i + 1]`, no token twice. */
export interface LogitAdjustments {
  /** `[S + 1]`, ascending from 0. */
  readonly offsets: Int32Array;
  readonly tokenIds: Int32Array;
  /** Above 0: a logit above 0 is divided by it, one below 0 multiplied. */
  readonly divisors: Float64Array;
  /** Added afterwards; finite. */
  readonly addends: Float64Array;
}

/**
 * What draws at a temperature above 0 keep of the softmax, one number of each kind per draw; the rest is drawn from
 * renormalised. Tokens rank by logit, largest first, equal ones by id, lowest first.
 */
export interface Truncations {
  /** Keeps the first `k` of the ranking, `[S]`; 0 keeps all. */
  readonly topKs: Int32Array;
  /** Of those, keeps the fewest first whose probability together reaches this share of theirs, `[S]`, in (0, 1]. */
  readonly topPs: Float64Array;
  /** Of those, keeps the ones at least this times as probable as the likeliest, `[S]`, in [0, 1]. */
  readonly minPs: Float64Array;
}

/** Output: the first tokens of the ranking of each draw, `W` places for each. */
export interface LikeliestTokens {
  /** How many of each draw, `[S]`, at most `W`. */
  readonly counts: Int32Array;
  /** `[S, W]`, best first; -1 in the places that are left over. */
  readonly tokenIds: Int32Array;
  /** `[S, W]` nats, under the softmax of {@link SampleRowsArgs.logprobs}; NaN in the places that are left over. */
  readonly logprobs: Float64Array;
}

/** Draws from rows of logits. */
export interface SampleRowsArgs {
  /** `[N, V]` f32 (f64 on the reference backend). */
  readonly logits: Tensor;
  /** Row of each draw, `[S]`. */
  readonly rows: Int32Array;
  /** Made before everything else; sums are rounded to the dtype of the logits. */
  readonly adjustments?: LogitAdjustments | null;
  /** Divides the logits, `[S]`; 0 takes the largest logit, the lowest id among equals. */
  readonly temperatures: Float64Array;
  readonly truncations?: Truncations | null;
  /** In [0, 1), `[S]`; greedy draws ignore theirs. */
  readonly uniforms: Float64Array;
  /**
   * Output `[S]`: the first token, in the order of ids, at which the running sum of what is kept of the softmax passes the
   * uniform number times all that is kept; -1 where the row holds NaN or infinity.
   */
  readonly tokenIds: Int32Array;
  /** Output `[S]`: nats of the token under the untruncated softmax (at temperature 1 for greedy draws); `null` when not wanted. */
  readonly logprobs: Float64Array | null;
  readonly likeliest?: LikeliestTokens | null;
}

/** The kernel table: total, one entry per operation, destinations passed in. */
export interface Kernels extends PrimitiveKernels {
  gemm(args: GemmArgs): void;
  batchedGemm(args: BatchedGemmArgs): void;
  groupedGemm(args: GroupedGemmArgs): void;
  groupedOuter(args: GroupedOuterArgs): void;
  lora(args: LoraArgs): void;
  loraBackward(args: LoraBackwardArgs): void;
  attention(args: AttentionArgs): void;
  attentionBackward(args: AttentionBackwardArgs): void;
  linearCrossEntropy(args: LinearCrossEntropyArgs): void;
  /** `y = w ⊙ x · rstd`, `rstd = (mean x² + eps)^-½` per row `[N]` f32; statistics in f32; `x`, `y` any. */
  rmsNorm(args: { x: Tensor; weight: Tensor; eps: number; y: Tensor; rstd: Tensor }): void;
  /** With `n = x · rstd`, `g = w ⊙ gradY`: `gradX = rstd · (g - n · mean(g ⊙ n))`; `gradWeight` sums `gradY ⊙ n` over rows. */
  rmsNormBackward(args: {
    x: Tensor;
    weight: Tensor;
    rstd: Tensor;
    gradY: Tensor;
    gradX: GradTarget | null;
    gradWeight: GradTarget | null;
  }): void;
  /** `y = w ⊙ (x - mean) · rstd + bias`; `mean`, `rstd` `[N]` f32. */
  layerNorm(args: {
    x: Tensor;
    weight: Tensor;
    bias: Tensor;
    eps: number;
    y: Tensor;
    mean: Tensor;
    rstd: Tensor;
  }): void;
  layerNormBackward(args: {
    x: Tensor;
    weight: Tensor;
    mean: Tensor;
    rstd: Tensor;
    gradY: Tensor;
    gradX: GradTarget | null;
    gradWeight: GradTarget | null;
    gradBias: GradTarget | null;
  }): void;
  /**
   * Rotary embedding, half layout: `[x1 c - x2 s, x2 c + x1 s]`. `x`, `y` `[N, heads·E]` of one dtype; `cos`, `sin` `[P, E/2]` f32 (f64);
   * `inverse` rotates by the negative angle (the gradient). `y` may be `x`.
   */
  rope(args: {
    x: Tensor;
    positions: Int32Array;
    cos: Tensor;
    sin: Tensor;
    numHeads: number;
    inverse: boolean;
    y: Tensor;
    accumulate?: boolean;
  }): void;
  /** `y = silu(gate) ⊙ up`; one dtype. */
  swiglu(args: { gate: Tensor; up: Tensor; y: Tensor }): void;
  swigluBackward(args: {
    gate: Tensor;
    up: Tensor;
    gradY: Tensor;
    gradGate: GradTarget | null;
    gradUp: GradTarget | null;
  }): void;
  /** GELU, exact (erf) or the tanh approximation; one dtype. */
  gelu(args: { x: Tensor; y: Tensor; approximate: "none" | "tanh" }): void;
  geluBackward(args: { x: Tensor; gradY: Tensor; gradX: GradTarget; approximate: "none" | "tanh" }): void;
  /** `y = a + b`; dtypes independent; `y` may be `a` or `b`. */
  add(args: { a: Tensor; b: Tensor; y: Tensor }): void;
  /** `y = alpha · x + beta · y`; `beta = 0` overwrites (and casts). */
  axpby(args: { x: Tensor; alpha: number; y: Tensor; beta: number }): void;
  /** `y[i] = x[rows[i]]`; `x [R, D]` or quantised, `y [N, D]`, dtypes independent. */
  gatherRows(args: { x: Tensor; rows: Int32Array; y: Tensor }): void;
  /** `y[rows[i]] += x[i]` in ascending `i`, so repeated rows sum in one fixed order; `y` f32 (f64). */
  scatterAddRows(args: { x: Tensor; rows: Int32Array; y: Tensor }): void;
  /** `y[rows[i]] = x[i]`; `rows` distinct. */
  setRows(args: { x: Tensor; rows: Int32Array; y: Tensor }): void;
  gatherLast(args: GatherLastArgs): void;
  scatterLast(args: ScatterLastArgs): void;
  topK(args: TopKArgs): void;
  cumulativeSum(args: CumulativeSumArgs): void;
  linearRecurrence(args: LinearRecurrenceArgs): void;
  linearRecurrenceBackward(args: LinearRecurrenceBackwardArgs): void;
  depthwiseConvolution(args: DepthwiseConvolutionArgs): void;
  depthwiseConvolutionBackward(args: DepthwiseConvolutionBackwardArgs): void;
  /** Sum of all elements, in f64. */
  sum(args: { x: Tensor }): number;
  /** Sum of squares of each run `offsets[i] .. offsets[i + 1]` of the flattened tensor, in f64. */
  sumSquares(args: { x: Tensor; offsets: Int32Array }): Float64Array;
  adamW(args: AdamWArgs): void;
  /** One token per draw, greedy or from the softmax, whole or truncated. */
  sampleRows(args: SampleRowsArgs): void;
  /** `y[i] = (2u - 1) · bound` for the uniform numbers `u` of `blocks`, in order; `y` f32 (f64). */
  uniform(args: { y: Tensor; bound: number; blocks: PhiloxBlocks }): void;
}

/** Memory in use. */
export interface MemoryStats {
  /** Tensors allocated and not yet released; packed copies of frozen weights are none. */
  readonly liveTensors: number;
  /** Of live tensors and of packed copies of frozen weights. */
  readonly liveBytes: number;
  readonly peakBytes: number;
  /** Held for reuse. */
  readonly pooledBytes: number;
}

/** What a processor can do at best, measured by loops of nothing else. */
export interface Peaks {
  /** Floating point operations per second; a multiply-add counts two. */
  readonly f32FlopsPerSecond: number;
  readonly bf16FlopsPerSecond: number;
  /** Of reading memory larger than the caches of a core. */
  readonly bytesPerSecond: number;
}

/** Where tensors live and who computes on them. */
export interface Backend {
  /** `"reference"`, `"cpu"`. */
  readonly name: string;
  /** `"typescript"`, `"amx"`, `"avx512bf16"`, `"avx512"`, `"avx2"`, `"baseline"`, `"neon"`. */
  readonly instructionSet: string;
  readonly numThreads: number;
  readonly kernels: Kernels;
  /** Memory for `length` elements, values unspecified; throws when `dtype` is not supported. */
  allocate(dtype: DType, length: number): HostArray;
  /** Takes memory back; it must have come from `allocate` of this backend and not been released. */
  release(data: HostArray): void;
  memory(): MemoryStats;
  /**
   * Declares that these tensors keep their values until {@link Backend.thaw}, so that products with one of them as `b`
   * may keep packed copies (made when first used, about as large as the tensor, once per orientation and compute type).
   * A row of such a product has the same bits whatever other rows there are. Freezing again changes nothing.
   */
  freeze(weights: readonly Tensor[]): void;
  /** Ends {@link Backend.freeze} and frees the copies; required before the values change or the memory is released. */
  thaw(weights: readonly Tensor[]): void;
  /** Starts a new peak measurement at the current level. */
  resetPeak(): void;
  /** Takes about a second; `null` where there are no native kernels to compare with a peak. */
  measurePeaks(): Peaks | null;
}

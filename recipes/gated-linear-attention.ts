/**
 * @file Gated linear attention (Yang et al. 2023, arXiv 2312.06635), a block without a kernel of its own: it is composed
 * from primitives, gradients included. A head keeps a matrix `S` of fixed size instead of the keys and values of all tokens:
 *
 *     S_t = diag(α_t) S_{t-1} + k_tᵀ v_t,    o_t = q_t S_t,    α_t = σ(x_t W_α)^(1/τ)
 *
 * Differs from the paper: the gate has full rank, and the state is computed token by token, not in chunks.
 * Axes: `N` tokens of the packed sequences, `D` hidden size, `H` heads, `K` and `E` width of a head's keys and values.
 */
import {
  batchedMatmul,
  broadcastTo,
  exp,
  linearRecurrence,
  mul,
  reshape,
  rmsNorm,
  type Scope,
  scale,
  silu,
  softplus,
  sum,
  type Tensor,
} from "../src/tensor/index.ts";

/** Weights of one block, `[out, in]` each. */
export interface GatedLinearAttentionWeights {
  readonly q: Tensor<"HK D">;
  readonly k: Tensor<"HK D">;
  readonly v: Tensor<"HE D">;
  /** Of the forget gate. */
  readonly alpha: Tensor<"HK D">;
  /** Of the output gate. */
  readonly gate: Tensor<"HE D">;
  readonly norm: Tensor<"E">;
  readonly o: Tensor<"D HE">;
}

/** Divides the logarithm of the forget gates, which so begin near 1: a state remembers some sixteen tokens before training. */
const temperature = 16;

/** `x Wᵀ`. */
function project(scope: Scope, x: Tensor<"N in">, weight: Tensor<"out in">): Tensor<"N out"> {
  const [a, b] = [reshape(scope, x, [1, ...x.shape]), reshape(scope, weight, [1, ...weight.shape])];
  const y = batchedMatmul(scope, a, b, { transposeB: true, compute: "f32" });
  return reshape(scope, y, [x.shape[0]!, weight.shape[0]!]);
}

/** `σ(x)^(1/τ) = exp(-softplus(-x) / τ)`, which keeps its digits near 1. */
function forgetGates(scope: Scope, x: Tensor): Tensor {
  return exp(scope, scale(scope, softplus(scope, scale(scope, x, -1)), -1 / temperature));
}

/**
 * Mixes packed sequences along time; `offsets [S + 1]` say where they begin and end.
 *
 * @param x - `[N, D]`, normalised.
 * @returns `[N, D]`.
 */
export function gatedLinearAttention(
  scope: Scope,
  x: Tensor<"N D">,
  weights: GatedLinearAttentionWeights,
  numHeads: number,
  offsets: Int32Array,
): Tensor<"N D"> {
  const numTokens = x.shape[0]!;
  const [keySize, valueSize] = [weights.k.shape[0]! / numHeads, weights.v.shape[0]! / numHeads];
  const column = (t: Tensor): Tensor => reshape(scope, t, [numTokens * numHeads, keySize, 1]);
  const k = column(project(scope, x, weights.k)); // [N·H, K, 1]
  const q = column(scale(scope, project(scope, x, weights.q), keySize ** -0.5));
  const alpha = column(forgetGates(scope, project(scope, x, weights.alpha)));
  const v = reshape(scope, project(scope, x, weights.v), [numTokens * numHeads, 1, valueSize]); // [N·H, 1, E]
  const rows = [numTokens, numHeads * keySize * valueSize];
  const inputs = reshape(scope, mul(scope, k, v), rows); // outer products, one state a row
  const decays = reshape(scope, broadcastTo(scope, alpha, [numTokens * numHeads, keySize, valueSize]), rows);
  const { h } = linearRecurrence(scope, decays, inputs, { offsets });
  const states = reshape(scope, h, [numTokens * numHeads, keySize, valueSize]);
  const read = sum(scope, mul(scope, q, states), 1); // [N·H, E]
  const normed = reshape(scope, rmsNorm(scope, read, weights.norm, 1e-6), [numTokens, numHeads * valueSize]);
  const gated = mul(scope, normed, silu(scope, project(scope, x, weights.gate)));
  return project(scope, gated, weights.o);
}

/**
 * @file Parts of a transformer block, called by the architectures with the names of their parameters: linear layer with
 * LoRA, RMSNorm, residual stream, grouped attention with rotary positions, gated MLP.
 *
 * The residual stream is f32; norms write `pass.activations`, linear layers multiply in `pass.compute`. Axes: `N` tokens
 * of the packed batch, `D` hidden, `H` heads, `K` kv heads, `E` head width, `F` MLP width.
 */
import {
  type AttentionLayout,
  attention,
  type ComputeType,
  type DType,
  linear,
  type RopeTable,
  rmsNorm,
  rmsNormHeads,
  rope,
  type Scope,
  swiglu,
  type Tensor,
} from "../tensor/index.ts";
import type { BlockNames } from "./block-parameters.ts";
import type { KvCache } from "./kv-cache.ts";
import type { AdapterBatch } from "./lora.ts";
import type { ParameterStore } from "./parameters.ts";

/** What every layer of one forward pass shares. */
export interface BlockPass {
  readonly scope: Scope;
  readonly parameters: ParameterStore;
  /** Storage of activations between ops. */
  readonly activations: DType;
  /** Arithmetic of products. */
  readonly compute: ComputeType;
  /** Added under the root of every RMSNorm. */
  readonly rmsNormEps: number;
  /** `[N]`. */
  readonly positionIds: Int32Array;
  /** Has every one of {@link positionIds}. */
  readonly ropeTable: RopeTable;
  readonly adapters: AdapterBatch | null;
  /** Where this pass keeps its keys and values, and their rows `[N]`; `null` attends to the pass itself. */
  readonly cache: { readonly kv: KvCache; readonly rows: Int32Array } | null;
  /** Which keys the queries of a layer see. */
  layoutFor(layer: number): AttentionLayout;
}

/** `x Wᵀ + bias`, the bias where the model has one, with the adapters of the pass, plus `residual` where it is given. */
export function project(pass: BlockPass, name: string, x: Tensor, residual: Tensor | null = null): Tensor {
  const { weight, bias } = pass.parameters.linear(name);
  return linear(pass.scope, x, weight, {
    bias,
    lora: pass.adapters?.weightsFor(name) ?? null,
    residual,
    compute: pass.compute,
  });
}

/** RMSNorm with the weight `name`. */
export function norm(pass: BlockPass, name: string, x: Tensor<"N D">): Tensor<"N D"> {
  return rmsNorm(pass.scope, x, pass.parameters.get(name), pass.rmsNormEps, pass.activations);
}

/**
 * `stream + branch(RMS(stream))`, and frees both.
 *
 * @param branch - Gets the normed input and the stream, and returns the sum: its last product writes both at once.
 */
export function residual(
  pass: BlockPass,
  stream: Tensor<"N D">,
  normName: string,
  branch: (x: Tensor<"N D">, stream: Tensor<"N D">) => Tensor<"N D">,
): Tensor<"N D"> {
  const normed = norm(pass, normName, stream);
  const next = branch(normed, stream);
  free(pass.scope, stream, normed);
  return next;
}

/** Options of {@link groupedAttention}. */
export interface GroupedAttentionOptions {
  readonly numHeads: number;
  /** Divides `numHeads`. */
  readonly numKvHeads: number;
  /** RMSNorm of each head's queries and keys before they are rotated. @defaultValue false */
  readonly headNorms?: boolean;
}

/** `stream + o(Attention(rope(q(x)), rope(k(x)), v(x)))`, with grouped heads, over the cache where the pass has one. */
export function groupedAttention(
  pass: BlockPass,
  layer: number,
  names: BlockNames,
  [x, stream]: readonly [x: Tensor<"N D">, stream: Tensor<"N D">],
  { numHeads, numKvHeads, headNorms = false }: GroupedAttentionOptions,
): Tensor<"N D"> {
  const { scope, cache } = pass;
  const [flatQ, flatK] = [project(pass, names.q, x), project(pass, names.k, x)];
  const v = project(pass, names.v, x); // [N, K·E]
  const q = rotate(pass, flatQ, numHeads, headNorms ? names.qNorm : null); // [N, H·E]
  const k = rotate(pass, flatK, numKvHeads, headNorms ? names.kNorm : null); // [N, K·E]
  const { keys, values } = cache === null ? { keys: k, values: v } : cache.kv.write(layer, cache.rows, k, v);
  const mixed = attention(scope, q, keys, values, { layout: pass.layoutFor(layer), numHeads, numKvHeads });
  const output = project(pass, names.o, mixed, stream);
  free(scope, flatQ, flatK, q, k, v, mixed);
  return output;
}

/** Turns every head of `x` by its position, after the norm `normName` where there is one. */
function rotate(pass: BlockPass, x: Tensor, numHeads: number, normName: string | null): Tensor {
  const { scope, positionIds, ropeTable } = pass;
  if (normName === null) return rope(scope, x, positionIds, ropeTable, numHeads);
  const normed = rmsNormHeads(scope, x, pass.parameters.get(normName), pass.rmsNormEps);
  const rotated = rope(scope, normed, positionIds, ropeTable, numHeads);
  free(scope, normed);
  return rotated;
}

/** `stream + down(silu(gate(x)) ⊙ up(x))`. */
export function gatedMlp(
  pass: BlockPass,
  names: BlockNames,
  [x, stream]: readonly [x: Tensor<"N D">, stream: Tensor<"N D">],
): Tensor<"N D"> {
  const gate = project(pass, names.gate, x); // [N, F]
  const up = project(pass, names.up, x);
  const gated = swiglu(pass.scope, gate, up);
  const output = project(pass, names.down, gated, stream);
  free(pass.scope, gate, up, gated);
  return output;
}

/** Returns temporaries to the pool at once where no tape needs them; logits of a long prompt would else hold every layer. */
function free(scope: Scope, ...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) scope.free(tensor);
}

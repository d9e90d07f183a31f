/**
 * @file A Llama (Touvron et al. 2023, arXiv 2302.13971) written from primitives alone: the whole model on one page, to be
 * read from top to bottom. It computes what `src/models/llama.ts` computes with fused kernels, values and gradients alike
 * (`test/llama-page.test.ts`), only slower and one sequence at a time. Run it on the shipped model:
 *
 *     npx node recipes/llama.ts "Question: Where was"
 *
 * Axes: `T` tokens, `D` hidden size, `H` query heads, `K` key and value heads, `G = H / K` query heads that share one of
 * them, `E` width of a head, `F` width of the feed-forward layer, `V` vocabulary.
 */
import { encodePrompt, f32Precision, type LlamaConfig, loadCheckpoint } from "../src/models/index.ts";
import {
  add,
  argmax,
  batchedMatmul,
  broadcastTo,
  concatenate,
  createReferenceBackend,
  gatherLast,
  gatherRows,
  logSoftmax,
  mean,
  mul,
  neg,
  permute,
  reshape,
  rsqrt,
  Scope,
  scale,
  sigmoid,
  slice,
  softmax,
  square,
  sub,
  type Tensor,
} from "../src/tensor/index.ts";
import { shippedModelDirectory } from "../src/util/index.ts";

/** Finds a weight by its name in the checkpoint. */
type Weights = (name: string) => Tensor;

/** `y = x Wᵀ`: every output is a weighted sum of the inputs. `x [T, in]`, `W [out, in]`. */
function linear(scope: Scope, x: Tensor<"T in">, weight: Tensor<"out in">): Tensor<"T out"> {
  const [numTokens, inSize, outSize] = [x.shape[0]!, x.shape[1]!, weight.shape[0]!];
  const [a, b] = [reshape(scope, x, [1, numTokens, inSize]), reshape(scope, weight, [1, outSize, inSize])];
  return reshape(scope, batchedMatmul(scope, a, b, { transposeB: true, compute: "f32" }), [numTokens, outSize]);
}

/** RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467): scales each row to root mean square 1, then each column by its weight. */
function rmsNorm(scope: Scope, x: Tensor<"T D">, weight: Tensor<"D">, eps: number): Tensor<"T D"> {
  const meanSquare = mean(scope, square(scope, x), 1, { keepDims: true }); // [T, 1]
  const epsilon = scope.from([eps], [1], x.dtype === "f64" ? "f64" : "f32");
  return mul(scope, mul(scope, x, rsqrt(scope, add(scope, meanSquare, epsilon))), weight);
}

/** Cosines and sines of position times frequency, `[T, 1, E / 2]`; pair `i` of a head turns by `theta^(-2i / E)` a position. */
function angles(scope: Scope, numTokens: number, { headDim, ropeTheta }: LlamaConfig, dtype: "f32" | "f64") {
  const half = headDim / 2;
  const values = Float64Array.from({ length: numTokens * half }, (_, at) => {
    const frequency = Math.fround(ropeTheta ** (-(2 * (at % half)) / headDim)); // checkpoints were trained with this rounding
    return Math.fround(Math.floor(at / half) * frequency);
  });
  const shape = [numTokens, 1, half];
  return { cos: scope.from(values.map(Math.cos), shape, dtype), sin: scope.from(values.map(Math.sin), shape, dtype) };
}
type Angles = ReturnType<typeof angles>;

/** Rotary embedding (Su et al. 2021, arXiv 2104.09864): turns every pair (i, i + E / 2) of a head by its position's angle. */
function rotate(scope: Scope, x: Tensor<"T H E">, { cos, sin }: Angles): Tensor<"T H E"> {
  const half = x.shape[2]! / 2;
  const [first, second] = [slice(scope, x, 2, 0, half), slice(scope, x, 2, half, 2 * half)];
  const turned = [
    sub(scope, mul(scope, first, cos), mul(scope, second, sin)),
    add(scope, mul(scope, second, cos), mul(scope, first, sin)),
  ];
  return concatenate(scope, turned, 2);
}

/** `[K, T, E]` to `[H, T, E]`: each key or value head serves `G` query heads (Ainslie et al. 2023, arXiv 2305.13245). */
function shareHeads(scope: Scope, x: Tensor<"K T E">, perHead: number): Tensor<"H T E"> {
  const [numHeads, numTokens, width] = x.shape as [number, number, number];
  const apart = reshape(scope, x, [numHeads, 1, numTokens, width]);
  const shared = broadcastTo(scope, apart, [numHeads, perHead, numTokens, width]);
  return reshape(scope, shared, [numHeads * perHead, numTokens, width]);
}

/** 0 where a token may look, -∞ at what comes after it, `[T, T]`. */
function causalMask(scope: Scope, numTokens: number, dtype: "f32" | "f64"): Tensor<"T T"> {
  const values = Float64Array.from({ length: numTokens * numTokens }, (_, at) =>
    at % numTokens > Math.floor(at / numTokens) ? Number.NEGATIVE_INFINITY : 0,
  );
  return scope.from(values, [numTokens, numTokens], dtype);
}

/** Every token takes a mean of the values of the tokens up to it, weighted by how well its query fits their keys. */
function attention(scope: Scope, x: Tensor<"T D">, w: Weights, config: LlamaConfig, turn: Angles, mask: Tensor<"T T">) {
  const { numHeads, numKvHeads, headDim } = config;
  const numTokens = x.shape[0]!;
  const heads = (name: string, count: number): Tensor<"T heads E"> =>
    reshape(scope, linear(scope, x, w(`${name}_proj.weight`)), [numTokens, count, headDim]);
  const headsFirst = (t: Tensor): Tensor => permute(scope, t, [1, 0, 2]);
  const q = headsFirst(rotate(scope, heads("self_attn.q", numHeads), turn)); // [H, T, E]
  const k = headsFirst(rotate(scope, heads("self_attn.k", numKvHeads), turn)); // [K, T, E]
  const v = headsFirst(heads("self_attn.v", numKvHeads));
  const group = numHeads / numKvHeads;
  const scores = batchedMatmul(scope, q, shareHeads(scope, k, group), { transposeB: true, compute: "f32" }); // [H, T, T]
  const weights = softmax(scope, add(scope, scale(scope, scores, headDim ** -0.5), mask));
  const mixed = batchedMatmul(scope, weights, shareHeads(scope, v, group), { compute: "f32" }); // [H, T, E]
  const joined = reshape(scope, permute(scope, mixed, [1, 0, 2]), [numTokens, numHeads * headDim]);
  return linear(scope, joined, w("self_attn.o_proj.weight"));
}

/** SwiGLU (Shazeer 2020, arXiv 2002.05202): `down(silu(gate(x)) ⊙ up(x))`, `silu(g) = g · σ(g)`. */
function feedForward(scope: Scope, x: Tensor<"T D">, w: Weights): Tensor<"T D"> {
  const gate = linear(scope, x, w("mlp.gate_proj.weight")); // [T, F]
  const up = linear(scope, x, w("mlp.up_proj.weight"));
  return linear(scope, mul(scope, mul(scope, gate, sigmoid(scope, gate)), up), w("mlp.down_proj.weight"));
}

/** Logits of the token after each token, `[T, V]`. */
export function llamaLogits(scope: Scope, weight: Weights, config: LlamaConfig, tokenIds: Int32Array): Tensor<"T V"> {
  const embedding = weight("model.embed_tokens.weight");
  const wide = embedding.dtype === "f64" ? "f64" : "f32";
  const turn = angles(scope, tokenIds.length, config, wide);
  const mask = causalMask(scope, tokenIds.length, wide);
  let x = gatherRows(scope, embedding, tokenIds, wide); // [T, D]
  for (let layer = 0; layer < config.numLayers; layer++) {
    const w: Weights = (name) => weight(`model.layers.${layer}.${name}`);
    const norm = (name: string): Tensor => rmsNorm(scope, x, w(`${name}.weight`), config.rmsNormEps);
    x = add(scope, x, attention(scope, norm("input_layernorm"), w, config, turn, mask));
    x = add(scope, x, feedForward(scope, norm("post_attention_layernorm"), w));
  }
  const normed = rmsNorm(scope, x, weight("model.norm.weight"), config.rmsNormEps);
  return linear(scope, normed, config.tieWordEmbeddings ? embedding : weight("lm_head.weight"));
}

/** Mean of `-log p(next token)` over a text, nats: what training makes small. */
export function llamaLoss(scope: Scope, weight: Weights, config: LlamaConfig, tokenIds: Int32Array): Tensor<""> {
  const logits = llamaLogits(scope, weight, config, tokenIds.slice(0, -1));
  return neg(scope, mean(scope, gatherLast(scope, logSoftmax(scope, logits), tokenIds.slice(1))));
}

if (import.meta.main) {
  const backend = createReferenceBackend();
  const { lm, config, tokenizer } = await loadCheckpoint(backend, shippedModelDirectory, { precision: f32Precision });
  const tokenIds = [...encodePrompt(tokenizer, process.argv[2] ?? "Question: Where was")];
  for (let i = 0; i < 8; i++) {
    using scope = new Scope(backend);
    const logits = llamaLogits(
      scope,
      (name) => lm.parameters.get(name),
      config as LlamaConfig,
      Int32Array.from(tokenIds),
    );
    tokenIds.push(argmax(scope, logits, 1).at(-1)!);
  }
  console.log(tokenizer.decode(tokenIds));
  lm[Symbol.dispose]();
}

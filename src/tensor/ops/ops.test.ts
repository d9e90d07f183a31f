import { describe, test } from "node:test";
import type { Rng } from "../../util/index.ts";
import { checkGradients, type GradientInput, gradientCase } from "../gradient-check.ts";
import type { Scope } from "../scope.ts";
import { numElements, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import {
  add,
  attention,
  cast,
  crossEntropy,
  embedding,
  gatherRows,
  gelu,
  layerNorm,
  linear,
  packedLayout,
  rmsNorm,
  rmsNormHeads,
  rope,
  scale,
  sum,
  swiglu,
  tokenLogprobs,
  weightedSum,
} from "./index.ts";

const compute = "f32";

const frozen = (shape: Shape): GradientInput => ({ shape, frozen: true });

/** Three adapters of ranks 3, 1 and 2 in tensors of rank 3; `keep` tells which element belongs to its adapter's rank. */
const ranks = [3, 1, 2];
const padded = (shape: Shape, rankAxis: 1 | 2): GradientInput => ({
  shape,
  values(rng: Rng) {
    const inner = rankAxis === 1 ? shape[2]! : 1;
    return Float64Array.from({ length: numElements(shape) }, (_, i) => {
      const group = Math.floor(i / (shape[1]! * shape[2]!));
      const rank = Math.floor(i / inner) % shape[rankAxis]!;
      return rank < ranks[group]! ? rng.normal() : 0;
    });
  },
});
/** The second adapter has no rows. */
const loraOf = (loraA: Tensor, loraB: Tensor) => ({
  loraA,
  loraB,
  scales: Float32Array.of(2, 1, 0.5),
  segments: Int32Array.of(0, 2, 2, 5),
});

const attentionOptions = { layout: packedLayout(Int32Array.of(0, 1, 4, 7)), numHeads: 4, numKvHeads: 2 };

const cacheLayout = {
  qOffsets: Int32Array.of(0, 1, 3),
  kStarts: Int32Array.of(1, 5),
  kLengths: Int32Array.of(3, 4),
};

function ropeTable(scope: Scope, numPositions: number, half: number): { cos: Tensor; sin: Tensor } {
  const angles = Float64Array.from({ length: numPositions * half }, (_, i) => Math.floor(i / half) * 0.7 ** (i % half));
  const shape = [numPositions, half];
  return { cos: scope.from(angles.map(Math.cos), shape, "f64"), sin: scope.from(angles.map(Math.sin), shape, "f64") };
}

const targets = Int32Array.of(2, -1, 0, 6, 2);
const lossWeights = Float32Array.of(0.5, 0.25, 0, 0.125, 1);

const cases = [
  gradientCase({
    title: "linear",
    inputs: { x: [5, 4], weight: [3, 4] },
    run: (scope, { x, weight }) => linear(scope, x, weight, { compute }),
  }),
  gradientCase({
    title: "linear with a bias",
    inputs: { x: [5, 4], weight: [3, 4], bias: [3] },
    run: (scope, { x, weight, bias }) => linear(scope, x, weight, { bias, compute }),
  }),
  gradientCase({
    title: "linear that joins a residual",
    inputs: { x: [5, 4], weight: [3, 4], bias: [3], residual: [5, 3] },
    run: (scope, { x, weight, bias, residual }) => linear(scope, x, weight, { bias, residual, compute }),
  }),
  gradientCase({
    title: "linear that joins its own input, which another op reads before and after",
    inputs: { x: [5, 4], weight: [4, 4] },
    run: (scope, { x, weight }) => {
      const stream = gelu(scope, x);
      const early = scale(scope, stream, 3);
      const next = linear(scope, stream, weight, { residual: stream, compute });
      return add(scope, swiglu(scope, next, stream), early);
    },
  }),
  gradientCase({
    title: "linear with adapters that joins a frozen residual",
    inputs: { x: [5, 4], weight: [6, 4], residual: frozen([5, 6]), loraA: [3, 3, 4], loraB: [3, 6, 3] },
    run: (scope, { x, weight, residual, loraA, loraB }) =>
      linear(scope, x, weight, { residual, lora: loraOf(loraA, loraB), compute }),
  }),
  gradientCase({
    title: "linear with a bias and three adapters of different ranks, one without rows",
    inputs: { x: [5, 4], weight: [6, 4], bias: [6], loraA: padded([3, 3, 4], 1), loraB: padded([3, 6, 3], 2) },
    run: (scope, { x, weight, bias, loraA, loraB }) =>
      linear(scope, x, weight, { bias, lora: loraOf(loraA, loraB), compute }),
  }),
  gradientCase({
    title: "linear with adapters over a frozen base and a frozen input",
    inputs: { x: frozen([5, 4]), weight: frozen([6, 4]), loraA: [3, 3, 4], loraB: [3, 6, 3] },
    run: (scope, { x, weight, loraA, loraB }) => linear(scope, x, weight, { lora: loraOf(loraA, loraB), compute }),
  }),
  gradientCase({
    title: "linear whose input alone wants a gradient, through frozen adapters",
    inputs: { x: [5, 4], weight: frozen([6, 4]), loraA: frozen([3, 3, 4]), loraB: frozen([3, 6, 3]) },
    run: (scope, { x, weight, loraA, loraB }) => linear(scope, x, weight, { lora: loraOf(loraA, loraB), compute }),
  }),
  gradientCase({
    title: "attention over packed sequences with grouped heads",
    inputs: { q: [7, 12], k: [7, 6], v: [7, 6] },
    run: (scope, { q, k, v }) => attention(scope, q, k, v, attentionOptions),
  }),
  gradientCase({
    title: "attention with a scale of its own, where keys and values are frozen",
    inputs: { q: [7, 12], k: frozen([7, 6]), v: frozen([7, 6]) },
    run: (scope, { q, k, v }) => attention(scope, q, k, v, { ...attentionOptions, scale: 0.3 }),
  }),
  gradientCase({
    title: "attention into a cache whose spare rows get no gradient",
    inputs: { q: [3, 4], k: [10, 2], v: [10, 2] },
    run: (scope, { q, k, v }) => attention(scope, q, k, v, { layout: cacheLayout, numHeads: 2, numKvHeads: 1 }),
  }),
  gradientCase({
    title: "attention of a tensor to itself",
    inputs: { x: [7, 8] },
    run: (scope, { x }) => attention(scope, x, x, x, { ...attentionOptions, numHeads: 2 }),
  }),
  gradientCase({
    title: "crossEntropy with skipped targets and zero weights",
    inputs: { hidden: [5, 3], weight: [7, 3] },
    run: (scope, { hidden, weight }) => crossEntropy(scope, hidden, weight, targets, lossWeights, { compute }).loss,
  }),
  gradientCase({
    title: "crossEntropy over a frozen output layer",
    inputs: { hidden: [5, 3], weight: frozen([7, 3]) },
    run: (scope, { hidden, weight }) => crossEntropy(scope, hidden, weight, targets, lossWeights, { compute }).loss,
  }),
  gradientCase({
    title: "crossEntropy whose output layer is also the embedding",
    inputs: { weight: [7, 3] },
    run: (scope, { weight }) => {
      const hidden = gelu(scope, embedding(scope, weight, Int32Array.of(1, 2, 2, 6, 0)));
      return crossEntropy(scope, hidden, weight, targets, lossWeights, { compute }).loss;
    },
  }),
  gradientCase({
    title: "tokenLogprobs with skipped targets",
    inputs: { hidden: [5, 3], weight: [7, 3] },
    run: (scope, { hidden, weight }) => tokenLogprobs(scope, hidden, weight, targets, { compute }),
  }),
  gradientCase({
    title: "tokenLogprobs whose output layer is also the embedding",
    inputs: { weight: [7, 3] },
    run: (scope, { weight }) => {
      const hidden = embedding(scope, weight, Int32Array.of(1, 2, 2, 6, 0));
      return tokenLogprobs(scope, hidden, weight, targets, { compute });
    },
  }),
  gradientCase({
    title: "embedding with repeated tokens",
    inputs: { weight: [4, 3] },
    run: (scope, { weight }) => embedding(scope, weight, Int32Array.of(3, 0, 3, 3, 2, 0)),
  }),
  gradientCase({
    title: "gatherRows of an op's output, once more onto the same rows",
    inputs: { x: [4, 3] },
    run: (scope, { x }) => {
      const y = gelu(scope, x);
      return add(scope, gatherRows(scope, y, Int32Array.of(1, 1)), gatherRows(scope, y, Int32Array.of(3, 1)));
    },
  }),
  gradientCase({
    title: "rmsNorm",
    inputs: { x: [4, 5], weight: [5] },
    run: (scope, { x, weight }) => rmsNorm(scope, x, weight, 1e-5),
  }),
  gradientCase({
    title: "rmsNorm with a frozen weight",
    inputs: { x: [4, 5], weight: frozen([5]) },
    run: (scope, { x, weight }) => rmsNorm(scope, x, weight, 0.1),
  }),
  gradientCase({
    title: "rmsNormHeads over three heads of four",
    inputs: { x: [2, 12], weight: [4] },
    run: (scope, { x, weight }) => rmsNormHeads(scope, x, weight, 1e-5),
  }),
  gradientCase({
    title: "rmsNormHeads of an input that is used again",
    inputs: { x: [2, 6], weight: frozen([3]) },
    run: (scope, { x, weight }) => add(scope, rmsNormHeads(scope, x, weight, 0.1), rmsNormHeads(scope, x, weight, 1)),
  }),
  gradientCase({
    title: "layerNorm",
    inputs: { x: [4, 5], weight: [5], bias: [5] },
    run: (scope, { x, weight, bias }) => layerNorm(scope, x, weight, bias, 1e-5),
  }),
  gradientCase({
    title: "rope with repeated positions",
    inputs: { x: [4, 12] },
    run: (scope, { x }) => rope(scope, x, Int32Array.of(0, 3, 3, 1), ropeTable(scope, 4, 3), 2),
  }),
  gradientCase({
    title: "rope of a tensor that another op reads too",
    inputs: { x: [2, 4] },
    run: (scope, { x }) => {
      const table = ropeTable(scope, 4, 2);
      const rotated = rope(scope, x, Int32Array.of(1, 2), table, 1);
      return swiglu(scope, rotated, rope(scope, x, Int32Array.of(3, 0), table, 1));
    },
  }),
  gradientCase({
    title: "swiglu",
    inputs: { gate: [3, 4], up: [3, 4] },
    run: (scope, { gate, up }) => swiglu(scope, gate, up),
  }),
  gradientCase({
    title: "swiglu of a tensor with itself",
    inputs: { x: [3, 4] },
    run: (scope, { x }) => swiglu(scope, x, x),
  }),
  gradientCase({ title: "gelu", inputs: { x: [30] }, run: (scope, { x }) => gelu(scope, x) }),
  gradientCase({
    title: "gelu, tanh approximation",
    inputs: { x: [30] },
    run: (scope, { x }) => gelu(scope, x, "tanh"),
  }),
  gradientCase({ title: "add", inputs: { a: [3, 2], b: [3, 2] }, run: (scope, { a, b }) => add(scope, a, b) }),
  gradientCase({ title: "add of a tensor to itself", inputs: { a: [3, 2] }, run: (scope, { a }) => add(scope, a, a) }),
  gradientCase({ title: "scale", inputs: { x: [3, 2] }, run: (scope, { x }) => scale(scope, x, -1.5) }),
  gradientCase({ title: "cast", inputs: { x: [3, 2] }, run: (scope, { x }) => cast(scope, x, "f64") }),
  gradientCase({ title: "sum", inputs: { x: [3, 2] }, run: (scope, { x }) => sum(scope, x) }),
  gradientCase({
    title: "weightedSum",
    inputs: { x: [4], weights: frozen([4]) },
    run: (scope, { x, weights }) => weightedSum(scope, x, weights),
  }),
  gradientCase({
    title: "a tensor that feeds two ops, one branch of which is cut off",
    inputs: { x: [3, 4], weight: [4, 4] },
    run: (scope, { x, weight }) => {
      const shared = linear(scope, x, weight, { compute });
      gelu(scope, shared); // nobody uses this
      return add(scope, swiglu(scope, shared, x), scale(scope, shared, 0.5));
    },
  }),
  gradientCase({
    title: "a transformer block with tied embeddings",
    inputs: {
      embeddings: [6, 4],
      norm: [4],
      wq: [8, 4],
      wk: [4, 4],
      wv: [4, 4],
      wo: [4, 8],
      gate: [5, 4],
      down: [4, 5],
    },
    run: (scope, { embeddings, norm, wq, wk, wv, wo, gate, down }) => {
      const positions = Int32Array.of(0, 1, 2, 0, 1);
      const table = ropeTable(scope, 3, 1);
      const project = (x: Tensor, weight: Tensor, residual: Tensor | null = null): Tensor =>
        linear(scope, x, weight, { residual, compute });
      const x = embedding(scope, embeddings, Int32Array.of(1, 4, 1, 0, 5));
      const normed = rmsNorm(scope, x, norm, 1e-6);
      const q = rope(scope, project(normed, wq), positions, table, 4);
      const k = rope(scope, project(normed, wk), positions, table, 2);
      const layout = packedLayout(Int32Array.of(0, 3, 5));
      const mixed = attention(scope, q, k, project(normed, wv), { layout, numHeads: 4, numKvHeads: 2 });
      const middle = project(mixed, wo, x);
      const again = rmsNorm(scope, middle, norm, 1e-6);
      const hidden = project(swiglu(scope, project(again, gate), project(again, gate)), down, middle);
      return crossEntropy(scope, hidden, embeddings, Int32Array.of(4, 1, -1, 5, 2), Float32Array.of(1, 1, 1, 1, 0.5), {
        compute,
      }).loss;
    },
  }),
];

describe("backward agrees with finite differences", () => {
  for (const row of cases) test(row.title, () => checkGradients(row));
});

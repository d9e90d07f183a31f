/**
 * @file Grouped-query attention, one query of one head at a time: at most one row of scores exists.
 * The backward pass recomputes that row from `logSumExp` (Dao 2023, arXiv 2307.08691, without the tiling).
 */
import type { AttentionArgs, AttentionBackwardArgs } from "../../backend.ts";
import { addScaled, dot } from "./product.ts";
import { store, storeGrad, widen } from "./values.ts";

/** One query of one head, and the keys it sees. */
interface Query {
  readonly row: number;
  readonly head: number;
  /** First element of this head's query, and of its output, in `q` and `o`. */
  readonly offset: number;
  /** First element of its kv head in the first visible row of `k` and `v`. */
  readonly keyOffset: number;
  readonly numKeys: number;
}

interface Sizes {
  readonly headDim: number;
  /** Elements of a row of `k`. */
  readonly keyStride: number;
}

type CommonArgs = Pick<AttentionArgs, "q" | "k" | "layout" | "numHeads" | "numKvHeads">;

function sizesOf({ q, numHeads, numKvHeads }: CommonArgs): Sizes {
  const headDim = q.shape[1]! / numHeads;
  return { headDim, keyStride: numKvHeads * headDim };
}

/** Calls `visit` for every head of every query row, in ascending order. */
function forEachQuery(args: CommonArgs, visit: (query: Query) => void): void {
  const { layout, numHeads, numKvHeads } = args;
  const { headDim, keyStride } = sizesOf(args);
  const { qOffsets, kStarts, kLengths, visible } = layout;
  for (let b = 0; b < kLengths.length; b++) {
    const first = qOffsets[b]!;
    const numQueries = qOffsets[b + 1]! - first;
    for (let i = 0; i < numQueries; i++) {
      const begin = visible?.begin[first + i] ?? 0;
      const end = visible?.end[first + i] ?? kLengths[b]! - numQueries + i + 1; // causal, aligned at the end
      for (let head = 0; head < numHeads; head++)
        visit({
          row: first + i,
          head,
          offset: (first + i) * numHeads * headDim + head * headDim,
          keyOffset: (kStarts[b]! + begin) * keyStride + Math.floor((head * numKvHeads) / numHeads) * headDim,
          numKeys: end - begin,
        });
    }
  }
}

/** Scaled scores of `query` into `scores`; returns their maximum. */
function scoreKeys(
  query: Query,
  q: Float64Array,
  k: Float64Array,
  sizes: Sizes,
  scale: number,
  scores: Float64Array,
): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < query.numKeys; j++) {
    const score = scale * dot(q, query.offset, k, query.keyOffset + j * sizes.keyStride, sizes.headDim);
    scores[j] = score;
    if (score > max) max = score;
  }
  return max;
}

const longest = (lengths: Int32Array): number => lengths.reduce((most, length) => Math.max(most, length), 0);

/** `o = softmax(scale · q kᵀ + mask) v`; of no keys at all, zeros and the logarithm of zero. */
export function attention(args: AttentionArgs): void {
  const sizes = sizesOf(args);
  const [q, k, v] = [widen(args.q), widen(args.k), widen(args.v)] as const;
  const o = new Float64Array(args.o.size);
  const logSumExp = new Float64Array(args.logSumExp.size);
  const scores = new Float64Array(longest(args.layout.kLengths));
  forEachQuery(args, (query) => {
    const max = scoreKeys(query, q, k, sizes, args.scale, scores);
    let total = 0;
    for (let j = 0; j < query.numKeys; j++) total += Math.exp(scores[j]! - max);
    logSumExp[query.row * args.numHeads + query.head] = max + Math.log(total);
    for (let j = 0; j < query.numKeys; j++) {
      const probability = Math.exp(scores[j]! - max) / total;
      addScaled(o, query.offset, v, query.keyOffset + j * sizes.keyStride, sizes.headDim, probability);
    }
  });
  store(args.o, o);
  store(args.logSumExp, logSumExp);
}

/** With `P` the probabilities: `dV = Pᵀ dO`, `dS = P ⊙ (dO Vᵀ - rowsum(dO ⊙ O))`, `dQ = scale · dS K`, `dK = scale · dSᵀ Q`. */
export function attentionBackward(args: AttentionBackwardArgs): void {
  const sizes = sizesOf(args);
  const { headDim, keyStride } = sizes;
  const [q, k, v] = [widen(args.q), widen(args.k), widen(args.v)] as const;
  const [o, gradO, logSumExp] = [widen(args.o), widen(args.gradO), widen(args.logSumExp)] as const;
  const gradQ = new Float64Array(q.length);
  const gradK = new Float64Array(k.length);
  const gradV = new Float64Array(v.length);
  const scores = new Float64Array(longest(args.layout.kLengths));
  forEachQuery(args, (query) => {
    scoreKeys(query, q, k, sizes, args.scale, scores);
    const norm = logSumExp[query.row * args.numHeads + query.head]!;
    const delta = dot(gradO, query.offset, o, query.offset, headDim);
    for (let j = 0; j < query.numKeys; j++) {
      const key = query.keyOffset + j * keyStride;
      const probability = Math.exp(scores[j]! - norm);
      const gradScore = args.scale * probability * (dot(gradO, query.offset, v, key, headDim) - delta);
      addScaled(gradV, key, gradO, query.offset, headDim, probability);
      addScaled(gradQ, query.offset, k, key, headDim, gradScore);
      addScaled(gradK, key, q, query.offset, headDim, gradScore);
    }
  });
  storeGrad(args.gradQ, gradQ);
  storeGrad(args.gradK, gradK);
  storeGrad(args.gradV, gradV);
}

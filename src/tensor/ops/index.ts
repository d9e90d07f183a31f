/** @file The ops, each with a backward rule: fused ones that are fast, and primitives that new blocks are composed from. */
export { gelu, swiglu } from "./activation.ts";
export { type AttentionOptions, attention, packedLayout } from "./attention.ts";
export { type BatchedMatmulOptions, batchedMatmul, type GroupedMatmulOptions, groupedMatmul } from "./batched.ts";
export { type DepthwiseConvolutionOptions, depthwiseConvolution, lastInputs } from "./convolution.ts";
export { type CrossEntropy, crossEntropy, type OutputLayerOptions, tokenLogprobs } from "./cross-entropy.ts";
export { type DropoutStreams, dropout } from "./dropout.ts";
export { add, cast, scale, weightedSum } from "./elementwise.ts";
export { type LinearOptions, type LoraWeights, linear } from "./linear.ts";
export { abs, exp, log, neg, reciprocal, relu, rsqrt, sigmoid, silu, softplus, sqrt, square, tanh } from "./map.ts";
export { layerNorm, rmsNorm, rmsNormHeads } from "./norm.ts";
export { broadcastTo, concatenate, permute, reshape, slice, transpose } from "./rearrange.ts";
export {
  type CumulativeSumOptions,
  cumulativeSum,
  cumulativeSumLast,
  type LinearRecurrenceOptions,
  linearRecurrence,
  type Recurrence,
} from "./recurrence.ts";
export { argmax, logSumExp, max, mean, type ReduceOptions, sum } from "./reduce.ts";
export { type RopeTable, rope } from "./rope.ts";
export { embedding, gatherRows, scatterAddRows } from "./rows.ts";
export { logSoftmax, softmax } from "./softmax.ts";
export { type Chosen, gatherLast, type SortOptions, sort, topK } from "./top-k.ts";
export { blockCausal, causal, full, prefix, slidingWindow, type Visibility } from "./visibility.ts";
export { div, equal, less, lessEqual, maximum, minimum, mul, select, sub } from "./zip.ts";

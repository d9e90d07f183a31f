/** @file The ops: coarse, fused, each with a hand-derived backward rule. */
export { gelu, swiglu } from "./activation.ts";
export { type AttentionOptions, attention, packedLayout } from "./attention.ts";
export { type BatchedMatmulOptions, batchedMatmul, type GroupedMatmulOptions, groupedMatmul } from "./batched.ts";
export { type DepthwiseConvolutionOptions, depthwiseConvolution, lastInputs } from "./convolution.ts";
export { type CrossEntropy, crossEntropy, type OutputLayerOptions, tokenLogprobs } from "./cross-entropy.ts";
export { add, cast, scale, sum, weightedSum } from "./elementwise.ts";
export { type LinearOptions, type LoraWeights, linear } from "./linear.ts";
export { layerNorm, rmsNorm } from "./norm.ts";
export {
  type CumulativeSumOptions,
  cumulativeSum,
  cumulativeSumLast,
  type LinearRecurrenceOptions,
  linearRecurrence,
  type Recurrence,
} from "./recurrence.ts";
export { type RopeTable, rope } from "./rope.ts";
export { embedding, gatherRows, scatterAddRows } from "./rows.ts";
export { type Chosen, gatherLast, type SortOptions, sort, topK } from "./top-k.ts";

/** @file The ops: coarse, fused, each with a hand-derived backward rule. */
export { gelu, swiglu } from "./activation.ts";
export { type AttentionOptions, attention, packedLayout } from "./attention.ts";
export { type CrossEntropy, crossEntropy, type OutputLayerOptions, tokenLogprobs } from "./cross-entropy.ts";
export { add, cast, scale, sum, weightedSum } from "./elementwise.ts";
export { type LinearOptions, type LoraWeights, linear } from "./linear.ts";
export { layerNorm, rmsNorm } from "./norm.ts";
export { type RopeTable, rope } from "./rope.ts";
export { embedding, gatherRows } from "./rows.ts";
export { blockCausal, causal, full, prefix, slidingWindow, type Visibility } from "./visibility.ts";

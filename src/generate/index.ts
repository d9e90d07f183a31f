/** @file Exports of `generate`: batched decoding, samplers, scoring. */
export { type DivergenceOptions, klOfLogits, modelKl, nextTokenKl } from "./divergence.ts";
export { generate } from "./generate.ts";
export { adaptersOf, packRuns, type TokenRun, type WholeSequence, wholeRun } from "./packing.ts";
export { predictTokens } from "./predict.ts";
export {
  type GenerateOptions,
  type GenerateProgress,
  type GenerateRequest,
  type Generation,
  type Sequence,
  toGeneration,
  toSequence,
} from "./request.ts";
export { RunningBatch, type RunningBatchOptions } from "./running-batch.ts";
export {
  checkSampler,
  type Draw,
  greedySampler,
  isFullSoftmax,
  maxTopLogprobs,
  type SampledToken,
  type SamplerConfig,
  type TokenLogprob,
  TokenSampler,
} from "./samplers.ts";
export { type ScoreOptions, type ScoreRequest, scoreTokens } from "./score.ts";
export { TextStream } from "./text-stream.ts";
export { hasPenalties, type Penalties, TokenCounts } from "./token-counts.ts";
export { yieldToEvents } from "./yield.ts";

/** @file Exports of `generate`: batched decoding, samplers, scoring. */
export { type DivergenceOptions, klOfLogits, modelKl, nextTokenKl } from "./divergence.ts";
export { generate } from "./generate.ts";
export type { GenerateOptions, GenerateProgress, GenerateRequest, Generation } from "./request.ts";
export {
  checkSampler,
  type Draw,
  greedySampler,
  isFullSoftmax,
  type SampledToken,
  type SamplerConfig,
  TokenSampler,
} from "./samplers.ts";
export { type ScoreOptions, type ScoreRequest, scoreTokens } from "./score.ts";

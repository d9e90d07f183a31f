/** @file Door of `generate`: batched decoding, samplers, scoring. */
export { type DivergenceOptions, klOfLogits, modelKl, nextTokenKl } from "./divergence.ts";
export { generate } from "./generate.ts";
export type { GenerateOptions, GenerateProgress, GenerateRequest, Generation } from "./request.ts";
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
export { hasPenalties, type Penalties, TokenCounts } from "./token-counts.ts";

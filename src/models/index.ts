/** @file Exports of `models`: causal language models, their files, tokenizers. */

export {
  type Architecture,
  ArchitectureCatalog,
  type ConfiguredLm,
  type CreateModelOptions,
  type ModelConfig,
  type StoredDType,
} from "./architecture.ts";
export { type BpeOptions, trainByteLevelBpe } from "./bpe.ts";
export { architectures, type CreateAnyModelOptions, createModel } from "./catalog.ts";
export * from "./causal-lm.ts";
export {
  type Checkpoint,
  type LoadedModel,
  type LoadOptions,
  loadCheckpoint,
  loadModel,
  requireModel,
  type SaveCheckpointOptions,
  saveCheckpoint,
} from "./checkpoint.ts";
export { loadConfig, parseConfig } from "./config.ts";
export { type DecoderConfig, type DecoderDefaults, decoderToJson, parseDecoder } from "./decoder-config.ts";
export { createDecoder, type DecoderParts, type DecoderPass } from "./decoder-lm.ts";
export { changedParts, combineDigests, type DigestPart, digestCheckpoint, digestParts } from "./digest.ts";
export { createLlama, type LlamaConfig, type LlamaLm, type LlamaSize, llama, plainLlama } from "./llama.ts";
export { checkMergeable, mergeAdapter } from "./merge.ts";
export { type MistralConfig, mistral } from "./mistral.ts";
export { type AdapterOrigin, checkAdapterBase, type LoadedAdapter, loadAdapter, saveAdapter } from "./peft.ts";
export { choosePrecision } from "./precision.ts";
export { type Qwen3Config, qwen3 } from "./qwen3.ts";
export { computeRopeFrequencies, type RopeFrequencies, type RopeScaling } from "./rope-scaling.ts";
export {
  SafetensorsReader,
  type SavedDType,
  type TensorEntry,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors.ts";
export type { TokenizerJson } from "./tokenizer/schema.ts";
export {
  answerStops,
  createTokenizer,
  decodeContinuation,
  type EncodedContinuation,
  encodeContinuation,
  encodeDocument,
  encodePrompt,
  limitTokenizer,
  loadTokenizer,
} from "./tokenizer.ts";

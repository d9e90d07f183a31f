/** @file Exports of `models`: causal language models, their files, tokenizers. */
export { type BpeOptions, trainByteLevelBpe } from "./bpe.ts";
export * from "./causal-lm.ts";
export {
  type Checkpoint,
  type LoadedModel,
  type LoadOptions,
  loadCheckpoint,
  loadModel,
  type SaveCheckpointOptions,
  saveCheckpoint,
} from "./checkpoint.ts";
export {
  configToJson,
  type LlamaConfig,
  type LlamaSize,
  loadConfig,
  type ModelConfig,
  parseConfig,
  plainLlama,
} from "./config.ts";
export { changedParts, combineDigests, type DigestPart, digestCheckpoint, digestParts } from "./digest.ts";
export { type CreateLlamaOptions, createLlama, type LlamaLm } from "./llama.ts";
export { mergeAdapter } from "./merge.ts";
export { type AdapterOrigin, checkAdapterBase, type LoadedAdapter, loadAdapter, saveAdapter } from "./peft.ts";
export { computeRopeFrequencies, type RopeFrequencies, type RopeScaling } from "./rope-scaling.ts";
export {
  SafetensorsReader,
  type SavedDType,
  type TensorEntry,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors.ts";
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
  type TokenizerJson,
} from "./tokenizer.ts";

/** @file Exports of `nn`: parameters, blocks, caches, adapters, optimizers. */
export {
  type BlockExtras,
  type BlockNames,
  type BlockSizes,
  blockLinears,
  blockNames,
  decoderParameters,
  embeddingName,
  finalNormName,
  outputName,
} from "./block-parameters.ts";
export {
  type BlockPass,
  type GroupedAttentionOptions,
  gatedMlp,
  groupedAttention,
  norm,
  project,
  residual,
} from "./blocks.ts";
export type { DecodeCache } from "./decode-cache.ts";
export { KvCache, type KvCacheSizes } from "./kv-cache.ts";
export {
  type AdapterBatch,
  type AdapterPlaces,
  bankOf,
  blockOf,
  configOf,
  type LinearLayer,
  type LoraAdapter,
  LoraBank,
  type LoraConfig,
  type LoraModule,
  type LoraModules,
  lastBlocks,
} from "./lora.ts";
export * from "./optim/index.ts";
export { type ChooseFormat, type ParameterSpec, ParameterStore, type StoreRun } from "./parameters.ts";

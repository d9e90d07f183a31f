/** @file Exports of `nn`: parameters, adapters, optimizers. */
export {
  type AdapterBatch,
  bankOf,
  blockOf,
  type LinearLayer,
  type LoraAdapter,
  LoraBank,
  type LoraConfig,
  type LoraModule,
  type LoraModules,
  lastBlocks,
  type StoreRun,
} from "./lora.ts";
export * from "./optim/index.ts";
export { type ChooseFormat, type ParameterSpec, ParameterStore } from "./parameters.ts";

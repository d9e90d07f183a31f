/** @file Door of `nn`: parameters, adapters, optimizers. */
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

/** @file Door of `nn`: parameters, adapters, optimizers. */
export {
  type AdapterBatch,
  bankOf,
  type LinearLayer,
  type LoraAdapter,
  LoraBank,
  type LoraConfig,
  type StoreRun,
} from "./lora.ts";
export * from "./optim/index.ts";
export { type ChooseFormat, type ParameterSpec, ParameterStore } from "./parameters.ts";

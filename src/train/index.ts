/** @file Door of `train`: data, the full trainer, the adapter bank, evaluation. */
export { type BankProgress, trainAdapters, type TrainAdaptersOptions } from "./adapter-bank.ts";
export type { AdapterJob, AdapterResult } from "./adapter-job.ts";
export { type CheckpointState, loadLatestCheckpoint, saveCheckpoint } from "./checkpoint.ts";
export {
  type DocumentSource,
  epochSource,
  packDocuments,
  type PackedBatch,
  type PackOptions,
  planBatches,
  prepareDocuments,
  type PreparedDocument,
  type PreparedDocuments,
  type PrepareOptions,
  type TrainDocument,
} from "./data.ts";
export { meanLoss, type MeanLoss, type MeanLossOptions } from "./evaluate.ts";
export { type CheckpointOptions, trainFull, type TrainFullOptions, type TrainFullResult, type TrainProgress } from "./trainer.ts";

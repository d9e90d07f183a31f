/** @file Exports of `train`: data, the full trainer, the adapter bank, policy objectives, evaluation. */
export { type BankProgress, type TrainAdaptersOptions, trainAdapters } from "./adapter-bank.ts";
export { type AdapterJob, type AdapterResult, plannedRows } from "./adapter-job.ts";
export type { AdapterPenalty, AdapterRegularizer } from "./adapter-regularizer.ts";
export {
  type DocumentSource,
  epochSource,
  type PackedBatch,
  type PackOptions,
  type PreparedDocument,
  type PreparedDocuments,
  type PrepareOptions,
  packDocuments,
  planBatches,
  prepareDocuments,
  type SoftTargets,
  type TrainDocument,
} from "./data.ts";
export { type ElasticMemory, elasticWeights, remember } from "./elastic-weights.ts";
export { type MeanLoss, type MeanLossOptions, meanLoss } from "./evaluate.ts";
export { adapterFisher, type FisherOptions } from "./fisher.ts";
export {
  type AdvantageOptions,
  advantageWeighted,
  dpo,
  ipo,
  likelihood,
  type NatsLoss,
  natsWeights,
  type Objective,
  type ObjectiveValue,
  type PreferenceOptions,
  preferenceGaps,
  type SequencePair,
} from "./objectives.ts";
export { orthogonalSubspaces, type SubspaceGrams, withSubspace } from "./orthogonal-subspaces.ts";
export {
  type PolicyBatch,
  type PolicyProgress,
  type PolicyResult,
  type PolicyTarget,
  type TrainPolicyOptions,
  trainPolicy,
  type WeighedLoss,
} from "./policy-trainer.ts";

export { type SoftTargetsOptions, softTargetsOf, type TaughtDocument } from "./soft-targets.ts";
export {
  type CheckpointOptions,
  type TrainFullOptions,
  type TrainFullResult,
  type TrainProgress,
  trainFull,
} from "./trainer.ts";

/** @file Exports of `train`: data, objectives, the trainer and what is built on it, evaluation. */
export { type BankProgress, type TrainAdaptersOptions, trainAdapters } from "./adapter-bank.ts";
export { type AdapterJob, type AdapterResult, plannedRows } from "./adapter-job.ts";
export { createPenalty } from "./adapter-penalty.ts";
export type { AdapterPenalty, AdapterRegularizer, ElasticMemory } from "./adapter-regularizer.ts";
export {
  type Datum,
  type DatumLike,
  type PackedBatch,
  type PackOptions,
  type PreparedDocument,
  type PreparedDocuments,
  type PrepareOptions,
  packDocuments,
  prepareDocuments,
  type SoftTargets,
  type TrainDocument,
  toDatum,
} from "./data.ts";
export { elasticWeights, remember } from "./elastic-weights.ts";
export { type MeanLoss, type MeanLossOptions, meanLoss } from "./evaluate.ts";
export { adapterFisher, type FisherOptions } from "./fisher.ts";
export { type TrainFullOptions, type TrainFullResult, type TrainProgress, trainFull } from "./full-trainer.ts";
export type { Objective, ObjectiveTokens, ObjectiveValue } from "./objective.ts";
export {
  type AdvantageOptions,
  advantageWeighted,
  dpo,
  ipo,
  likelihood,
  type NatsLoss,
  natsWeights,
  type PreferenceOptions,
  preferenceGaps,
  type SequenceObjective,
  type SequencePair,
} from "./objectives.ts";
export { orthogonalSubspaces } from "./orthogonal-subspaces.ts";
export {
  type PlannedObjective,
  type PlannedTrainingCall,
  type PlannedUpdate,
  type TrainingPlan,
  trainPlanned,
} from "./planned-training.ts";
export {
  type PolicyBatch,
  type PolicyProgress,
  type PolicyResult,
  type PolicyTarget,
  type TrainPolicyOptions,
  trainPolicy,
} from "./policy-trainer.ts";
export { type SoftTargetsOptions, softTargetsOf, type TaughtDocument } from "./soft-targets.ts";
export {
  advantageWeightedTokens,
  type ClippedRatioOptions,
  clippedRatio,
  onSequences,
  preferencePairs,
  sharedLikelihood,
  tokenLikelihood,
} from "./token-objectives.ts";
export {
  type CheckpointOptions,
  type Source,
  type TrainBatch,
  type TrainOptions,
  type TrainResult,
  train,
  type UpdateProgress,
} from "./train.ts";
export {
  type AdapterTrainee,
  adaptersOver,
  type GroupLoss,
  type GroupWork,
  oneAdapter,
  type Trainee,
  Trainer,
  wholeModel,
} from "./trainer.ts";

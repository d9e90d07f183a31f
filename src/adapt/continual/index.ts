/** @file Exports of continual learning, through `adapt`. */
export { type AlmanacCheckSizes, almanacCheckSizes, almanacChecks } from "./almanac.ts";
export { bankMethod, type RoutingAccuracy } from "./bank.ts";
export { type FindPassage, inContextMethod, jointMethod, oraclePassageMethod } from "./bounds.ts";
export {
  type CheckItems,
  type CheckSizes,
  checkSizes,
  type ReadingItem,
  type SkillReport,
  type StreamChecks,
  type WritingItem,
} from "./checks.ts";
export { lastBlocksMethod, steepestBlocksMethod } from "./chosen-blocks.ts";
export {
  type ContinualArgs,
  type ContinualStreams,
  membersOf,
  runStreams,
  summariseStreams,
} from "./continual.ts";
export { type ElasticOptions, elasticMethod } from "./ewc.ts";
export { type MergeOptions, mergeMethod, presentModel, trainEdit } from "./merged.ts";
export type {
  CompletionRequest,
  ContinualMethod,
  Learner,
  StepReport,
  StreamContext,
  StreamItem,
} from "./method.ts";
export { continualMethodNamed, continualMethods } from "./methods.ts";
export {
  baseRightKept,
  type ContinualMatrix,
  type ContinualMetrics,
  continualMetrics,
  type EarlierAnswer,
  recencyIntrusionRate,
} from "./metrics.ts";
export { orthogonalMethod } from "./orthogonal.ts";
export { completeTexts, meanKl, predictLogprobs } from "./predict.ts";
export type { ReplayMix } from "./replay.ts";
export {
  type ContinualReport,
  type MethodRow,
  type QuestionCounts,
  reportContinual,
  type StreamInterval,
  type StreamOutcome,
} from "./report.ts";
export { findScale, type RescaleBudget, stableBudget } from "./rescale.ts";
export { type SleepOptions, sleepMethod } from "./sleep.ts";
export {
  type BaseRecord,
  type CheckRecord,
  matrixOf,
  type RowRecord,
  runStream,
  type StreamArgs,
  type StreamRecord,
} from "./stream.ts";

/** @file Door of the experiments, through `adapt`. */
export {
  type Arm,
  type ArmRoom,
  type ArmRoomArgs,
  createArmRoom,
  type LessonScore,
  measureArm,
  scoreUntrained,
  stepsForTokens,
} from "./arms.ts";
export { answerCoverage } from "./coverage.ts";
export { type EditFigures, measureEdit } from "./edit-figures.ts";
export { type EditRoom, writeEdits } from "./edits.ts";
export {
  type OuterCost,
  outerCost,
  runEqualCompute,
  type SampleCounts,
  type SpendingArm,
  type SpendingFindings,
  type Spent,
} from "./equal-compute.ts";
export { type SpendingTables, tabulateEqualCompute } from "./equal-compute-tables.ts";
export {
  type InnerLoopArgs,
  type InnerLoopFigures,
  type LeverRow,
  leverWriters,
  runInnerLoop,
  tabulateInnerLoop,
} from "./inner-loop.ts";
export { fullLearningRate, type Lever, levers, referenceLever, referenceLoop } from "./levers.ts";
export {
  type ManyPassagesArgs,
  type ManyPassagesRow,
  runManyPassages,
  tabulateManyPassages,
  togetherFull,
  togetherLora,
  togetherReplayShare,
} from "./many-passages.ts";
export type { PolicyRun, PolicyStudy, ScoresBySeed } from "./policies.ts";
export {
  ablatePrompts,
  type EditPrompt,
  oracleWriter,
  type PromptAblationArgs,
  type PromptFigures,
  type WriterFigures,
} from "./prompt-ablation.ts";

export { type LoopTimes, type LoopTrial, type LoopVariant, loopVariants, padDocument } from "./reference-loop.ts";
export type { RewardArmSizes } from "./reward-arms.ts";
export { denseArmName, randomReward, sealArmName } from "./reward-arms.ts";
export {
  type ArmCost,
  compareRewards,
  type ReliabilityResult,
  type RewardArmResult,
  type RewardComparison,
  type RewardComparisonArgs,
} from "./reward-comparison.ts";
export {
  type LoopAccuracy,
  type RoundTimeArgs,
  type RoundTimes,
  runRoundTime,
  type TimedArm,
  type WholeRound,
} from "./round-time.ts";
export { tabulateRoundTime } from "./round-time-tables.ts";

export { runSinglePassage, type SeedArm, type SeedFindings, type SeedWriter } from "./single-passage.ts";
export { tabulateSinglePassage } from "./single-passage-tables.ts";

export {
  type Cell,
  type Column,
  differenceOver,
  meanOfMeasured,
  meanOver,
  type ResultTable,
  type SeedTable,
  type TableRow,
  type Unit,
} from "./table.ts";

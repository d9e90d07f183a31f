/** @file Door of the experiments, through `adapt`. */
export {
  type Arm,
  type ArmRoom,
  type ArmRoomArgs,
  createArmRoom,
  type LessonScore,
  measureArm,
  scoreUntrained,
} from "./arms.ts";
export { answerCoverage } from "./coverage.ts";
export {
  ablatePrompts,
  type EditFigures,
  type EditPrompt,
  oracleWriter,
  type PromptAblationArgs,
  type PromptFigures,
} from "./prompt-ablation.ts";
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

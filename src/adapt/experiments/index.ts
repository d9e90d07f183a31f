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
export { type EditRoom, writeEdits } from "./edits.ts";
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

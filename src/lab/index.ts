/** @file Exports of `lab`: the experiments behind the result tables, and the recipe of the shipped model. */
export { almanacSets, namingSets, type SetPeople } from "./almanac-sets.ts";
export {
  type Arm,
  type ArmContext,
  type ArmContextArgs,
  type ArmScore,
  createArmContext,
  figuresOnly,
  measureArm,
  prefixed,
  type ScoreFigures,
  scoreReading,
  scoreUntrained,
  stepsForTokens,
  type Trap,
  type Traps,
} from "./arms.ts";
export { compact, expand, type JsonValue, roundNumbers } from "./compact.ts";
export { answerCoverage } from "./coverage.ts";
export { type EditFigures, measureEdit } from "./edit-figures.ts";
export { type EditContext, writeEdits } from "./edits.ts";
export {
  type OuterCost,
  outerCost,
  recordSpending,
  runEqualCompute,
  runEqualComputeSets,
  type SampleCounts,
  type SpendingArm,
  type SpendingFindings,
  type SpendingSet,
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
export { type ArmRow, type MainJobArgs, type MainJobTable, runMainJobTable } from "./main-job.ts";
export {
  type ManyPassagesArgs,
  type ManyPassagesRow,
  runManyPassages,
  tabulateManyPassages,
  togetherFull,
  togetherLora,
  togetherReplayShare,
} from "./many-passages.ts";
export { type NanoRecipe, nanoRecipe, type PretrainArgs, type PretrainReport, pretrainNano } from "./nano.ts";
export { type KnowledgeReport, measureKnowledge } from "./nano-figures.ts";
export {
  type EditRecord,
  type LoopTrials,
  type RoundTrials,
  type TrialRow,
  trialsOfLoop,
} from "./outer-loops.ts";
export {
  onSet,
  otherRelations,
  type PassageSet,
  type PassageSplit,
  plainEnglishSets,
  trapsOf,
} from "./passage-sets.ts";
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
export { ruleDocuments, sentencesOf, subjectOf, withName } from "./rule.ts";
export {
  recordFindings,
  runSinglePassage,
  runSinglePassageSets,
  type SeedArm,
  type SeedFindings,
  type SeedWriter,
  type SetFindings,
} from "./single-passage.ts";
export { tabulateSinglePassage } from "./single-passage-tables.ts";
export {
  type Cell,
  type Column,
  differenceOver,
  differenceOverSeeds,
  meanOfMeasured,
  meanOver,
  meanOverSeeds,
  type ResultTable,
  type SeedTable,
  type TableRow,
  twoIntervals,
  type Unit,
} from "./table.ts";
export { runVoices, type VoiceArm, type VoiceFindings, type VoiceSeed, voiceArms } from "./voices.ts";
export { tabulateVoices } from "./voices-tables.ts";

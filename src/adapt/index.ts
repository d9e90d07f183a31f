/** @file Door of `adapt`: self-edits from proposal to a kept or rejected change. */
export { type AdaptArgs, type AdaptOutcome, adapt } from "./adapt.ts";
export {
  type Canaries,
  loadCanaries,
  measureRetention,
  parseCanaries,
  type Retention,
  readCanaries,
  whichKept,
} from "./canaries.ts";
export {
  bestCandidate,
  type Candidate,
  type CandidateResult,
  trainCandidates,
  tryCandidates,
  type Workshop,
} from "./candidates.ts";
export { chunkPassages } from "./chunk.ts";
export {
  accuracy,
  type ExamAnswer,
  type ExamItem,
  type ExamRoom,
  type ExamTaker,
  examine,
  meanGoldLogprob,
} from "./exam.ts";
export {
  decideGate,
  defaultGate,
  type GateDecision,
  type GateInputs,
  type GatePolicy,
  harms,
  type Measurement,
  overruns,
  parseGate,
  shortfalls,
  suspicions,
  type TrainingUsage,
} from "./gate.ts";
export { createExaminer, type ExaminerArgs, scaleAdapter, shareLowerBound } from "./gate-measure.ts";
export { type ArmRow, type MainJobArgs, type MainJobTable, runMainJobTable } from "./main-job.ts";
export {
  almanacTemplates,
  type NanoRecipe,
  nanoRecipe,
  type PretrainArgs,
  type PretrainReport,
  pretrainNano,
} from "./nano.ts";
export { type KnowledgeReport, measureKnowledge } from "./nano-figures.ts";
export {
  defaultTemplates,
  fillTemplate,
  loadPrompts,
  type PromptTemplates,
  questionPrompt,
  type SelfEditKind,
  selfEditKinds,
} from "./prompts.ts";
export { proposeSelfEdits, type Source, sampleReplay, type Writer, writeExam } from "./propose.ts";
export type { AdaptReport, ArmReport, CandidateReport, PassageReport, QuestionReport } from "./report.ts";
export {
  type Faithfulness,
  findInjections,
  measureFaithfulness,
  type Screening,
  type SourceEdit,
  screenSources,
} from "./screen.ts";
export {
  parseOpenSelfEdit,
  parseQuestions,
  type SelfEdit,
  selfEditDocuments,
  type WrittenQuestion,
  withoutExamQuestions,
} from "./self-edit.ts";
export {
  type AdaptEvent,
  type AdaptSettings,
  defaultSettings,
  type InnerLoop,
  type StageStore,
  stage,
  stagesOf,
} from "./settings.ts";

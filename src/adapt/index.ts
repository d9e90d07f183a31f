/** @file Exports of `adapt`: self-edits from proposal to a kept or rejected change. */
export { type AdaptArgs, type AdaptOutcome, adapt } from "./adapt.ts";
export { almanacTemplates } from "./almanac-templates.ts";
export { fullStops } from "./breaks.ts";
export {
  answeredCanaries,
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
  type TrainContext,
  trainCandidates,
  tryCandidates,
} from "./candidates.ts";
export { chunkPassages } from "./chunk.ts";
export { checkExam, cutToContext, fitsContext, passageLimit, type Reader } from "./context-window.ts";
export * from "./continual/index.ts";
export {
  createGuard,
  type Domain,
  type DomainEdit,
  type DomainTask,
  type ExamUse,
  type Guard,
  type JobSettings,
  type PrepareContext,
  type PreparedTasks,
  type TaskExam,
  type TaskScore,
  type TrainingJob,
} from "./domain.ts";
export * from "./domains/index.ts";
export {
  type Agreement,
  canaryAgreement,
  type DrawOptions,
  drawCanaries,
  type KnownFact,
} from "./draw-canaries.ts";
export {
  accuracy,
  type ExamAnswer,
  type ExamContext,
  type ExamItem,
  type ExamTaker,
  examine,
  meanGoldLogprob,
} from "./exam.ts";
export {
  describeFamiliarity,
  type Familiarity,
  loadKnownWords,
  measureFamiliarity,
  wordsOf,
  writeKnownWords,
} from "./familiarity.ts";
export {
  compareFidelity,
  type Fidelity,
  heldOutTexts,
  type Predictions,
  predictTexts,
} from "./fidelity.ts";
export { finishedStages, finishedTrials, type LearningSize } from "./finished.ts";
export { askWithConfidence, type HeldAnswer } from "./gate/confidence.ts";
export { type TextConflict, textConflicts } from "./gate/conflicts.ts";
export {
  adapterContradictions,
  baseContradictions,
  type Contradiction,
  type ContradictionArgs,
  describeContradiction,
  type EarlierRecord,
  findContradictions,
  questionsIn,
  sourceContradictions,
} from "./gate/contradictions.ts";
export { evidenceGaps } from "./gate/evidence.ts";
export { checkGate, parseGate } from "./gate/file.ts";
export {
  decideGate,
  type GateDecision,
  type GateInputs,
  harms,
  inventions,
  orders,
  overruns,
  shortfalls,
  suspicions,
  type TrainingUsage,
} from "./gate/gate.ts";
export { loosenedThresholds } from "./gate/looseness.ts";
export {
  createExaminer,
  type ExaminerArgs,
  examinePolicy,
  type HeldOutGain,
  type PolicyExaminerArgs,
  type ServedAdapter,
  scaleAdapter,
  shareLowerBound,
} from "./gate/measure.ts";
export type { Measurement } from "./gate/measurement.ts";
export { decidePolicyGate, type PolicyGateInputs, policySuspicions } from "./gate/policy.ts";
export {
  type Doubt,
  type DoubtKind,
  findInjections,
  measureSupport,
  type Screening,
  type SourceEdit,
  type Support,
  screenSources,
} from "./gate/screen.ts";
export type { EvidenceThresholds, GatePolicy, HarmThresholds, PolicyThresholds } from "./gate/thresholds.ts";
export { defaultGate } from "./gate/thresholds.ts";
export * from "./learn/index.ts";
export { chooseNear, formatKnown, knownFile, loadKnown, parseKnown } from "./near.ts";
export {
  defaultTemplates,
  fillTemplate,
  loadPrompts,
  loadPromptsFile,
  type PromptTemplates,
  questionPrompt,
  type SelfEditKind,
  selfEditKinds,
} from "./prompts.ts";
export {
  editPrompt,
  proposeSelfEdits,
  type SampledEdit,
  type Source,
  sampleReplay,
  sampleSelfEdits,
  type Writer,
  writeExam,
} from "./propose.ts";
export { isAboutPassage } from "./relevance.ts";
export type { AdaptReport, ArmReport, CandidateReport, PassageReport, QuestionReport } from "./report.ts";
export * from "./retrieve/index.ts";
export { type ProxyParts, proxyParts } from "./rewards/proxy.ts";
export {
  measureReliability,
  measureValidity,
  type RewardReliability,
  type RewardValidity,
  trialTokens,
} from "./rewards/reliability.ts";
export {
  binaryReward,
  denseReward,
  designOf,
  lengthReward,
  type MeasuredReward,
  proxyReward,
  type Reward,
  retentionReward,
  rewardDesign,
  rewards,
  type ShrinkageOptions,
  sealReward,
  shrunkReward,
  type TrialMeasure,
} from "./rewards/rewards.ts";
export {
  advantages,
  type EditPair,
  type HalvingRound,
  halvingRounds,
  type PairOptions,
  preferencePairs,
  rankEdits,
  type Selection,
  selectAboveBase,
  selectBest,
  selectTop,
  survivors,
  type TrialPlace,
  trialSeed,
} from "./rewards/selection.ts";
export type { EditTrials, PassageTrials, TrialScore, WrittenEdit } from "./rewards/trials.ts";
export { type RefusedDocument, type ScreenedEdit, screenEdit } from "./screened.ts";
export {
  parseOpenSelfEdit,
  parseQuestions,
  redactExamQuestions,
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
  mlpTargets,
  type StageStore,
  stage,
  stagesOf,
} from "./settings.ts";

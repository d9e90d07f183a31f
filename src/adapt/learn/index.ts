/** @file Exports of the outer loop, through `adapt`. */
export { type LearnContext, type PrepareArgs, prepareLearning, rewardNamed } from "./context.ts";
export {
  type CandidateArgs,
  type EditCandidate,
  type Expectation,
  type ExpectationArgs,
  expectRewards,
  meanAccuracy,
  writeCandidates,
} from "./expectation.ts";
export { choose, type Kept, type KeptExample, type KeptPair, type LearnedEdit, type LearnedRound } from "./kept.ts";
export {
  askPolicy,
  checkDigest,
  type EditExamination,
  examineEdits,
  keptStage,
  type LearnArgs,
  learn,
  makePolicy,
  tryEdits,
  type UpdateContext,
} from "./learn.ts";
export {
  completionDocument,
  type MaximisationArgs,
  type MaximisationReport,
  maximise,
} from "./maximisation.ts";
export { createPace } from "./pace.ts";
export type { CandidateRecord, EvaluationReport, LearnReport, PolicyRecord, RoundReport } from "./report.ts";
export {
  checkLearnSettings,
  defaultLearnSettings,
  type LearnInnerLoop,
  type LearnSettings,
  type PolicyObjective,
  type PolicyUpdate,
  type TrialSchedule,
  trialsOfPassage,
  uniformSchedule,
} from "./settings.ts";
export { applyLearnSettings, loadLearnSettings } from "./settings-file.ts";
export {
  digestAdapter,
  type ExaminedTrial,
  type Examiner,
  examineTrials,
  plannedTokens,
  runTrials,
  settingsOfJob,
  type Trial,
  type TrialContext,
  type TrialRecord,
} from "./trials.ts";

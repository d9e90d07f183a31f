/** @file Door of the outer loop, through `adapt`. */
export {
  type EditCandidate,
  type Expectation,
  type ExpectationArgs,
  expectRewards,
  type Lesson,
} from "./expectation.ts";
export { choose, type Kept, type KeptExample, type KeptPair, type LearnedEdit, type LearnedRound } from "./kept.ts";
export { keptStage, type LearnArgs, learnKnowledge, rewardNamed } from "./learn.ts";
export {
  completionDocument,
  type MaximisationArgs,
  type MaximisationReport,
  maximise,
} from "./maximisation.ts";
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
  checkpointTeacher,
  type EditWriter,
  type EndpointOptions,
  endpointTeacher,
  policyWriter,
} from "./teacher.ts";
export { digestAdapter, runTrials, type Trial, type TrialRecord, type TrialRoom } from "./trials.ts";

/** @file Door of the outer loop, through `adapt`. */
export { type Course, type CourseArgs, prepareCourse, rewardNamed } from "./course.ts";
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
  examineEdits,
  keptStage,
  type LearnArgs,
  learnKnowledge,
  makePolicy,
  tryEdits,
} from "./learn.ts";
export { buildLessons, forbiddenQuestions, type Lesson, type LessonArgs, redactLessons } from "./lessons.ts";
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
  asPolicyEdit,
  checkpointTeacher,
  type EditWriter,
  type EndpointOptions,
  endpointTeacher,
  kindWriter,
  policyWriter,
} from "./teacher.ts";
export {
  digestAdapter,
  plannedTokens,
  runTrials,
  sitTrials,
  type Trial,
  type TrialRecord,
  type TrialRoom,
  type TrialSitting,
} from "./trials.ts";

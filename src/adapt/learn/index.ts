/** @file Door of the outer loop, through `adapt`. */
export { type CourseArgs, rewardNamed } from "./course.ts";
export {
  type CandidateArgs,
  type EditCandidate,
  type Expectation,
  type ExpectationArgs,
  expectRewards,
  writeCandidates,
} from "./expectation.ts";
export { choose, type Kept, type KeptExample, type KeptPair, type LearnedEdit, type LearnedRound } from "./kept.ts";
export { keptStage, type LearnArgs, learnKnowledge } from "./learn.ts";
export { buildLessons, forbiddenQuestions, type Lesson, type LessonArgs, redactLessons } from "./lessons.ts";
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
  kindWriter,
  policyWriter,
} from "./teacher.ts";
export {
  digestAdapter,
  runTrials,
  sitTrials,
  type Trial,
  type TrialRecord,
  type TrialRoom,
  type TrialSitting,
} from "./trials.ts";

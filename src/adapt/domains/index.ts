/** @file Exports of the domains, through `adapt`. */
export {
  type CurveEdit,
  type CurveOptions,
  type CurvePoint,
  type CurveSettings,
  type CurveTask,
  curveChoices,
  curveCompletion,
  curveDomain,
  curveEdit,
  curveLine,
  curvePrompt,
  drawCurve,
  readCurveSettings,
} from "./curve.ts";
export { type CurveBaseArgs, curveLearnSettings, curveText, pretrainCurve, randomCurveSettings } from "./curve-base.ts";
export {
  askQuestions,
  type KnowledgeCandidate,
  type KnowledgeContext,
  type KnowledgeDomain,
  type KnowledgeExpectation,
  type KnowledgeOptions,
  knowledgeDomain,
  type LearnKnowledgeArgs,
  learnKnowledge,
  proposedBy,
  type QuestionTrial,
  withKnowledge,
} from "./knowledge.ts";
export {
  buildKnowledgeTasks,
  forbiddenQuestions,
  type KnowledgeTask,
  type KnowledgeTaskArgs,
  redactTasks,
} from "./knowledge-tasks.ts";
export {
  asPolicyEdit,
  checkpointTeacher,
  type EditWriter,
  type EndpointOptions,
  endpointTeacher,
  kindWriter,
  policyWriter,
} from "./teacher.ts";

/**
 * @file The door of the package, `import { openModel } from "selkie"`: open a model, have it learn, ask, score, save and
 * register. What is below has doors of its own: `selkie/adapt`, `selkie/train`, … `selkie/util`.
 */
export type {
  AdaptEvent,
  AdaptReport,
  ArmReport,
  CandidateReport,
  Familiarity,
  GateDecision,
  PassageReport,
  QuestionReport,
} from "../adapt/index.ts";
export type { StoredRecord } from "../registry/index.ts";
export { SelkieError } from "../util/index.ts";
export type { Answer } from "./ask.ts";
export { type Adapter, Learned, type RegisterOptions } from "./learned.ts";
export { type AskOptions, type LearnOptions, Model, type OpenOptions, openModel, type UseOptions } from "./model.ts";
export type { Registered } from "./registration.ts";
export type { ScoredToken, TextScore } from "./score-text.ts";
export type { LearnDials } from "./settings.ts";
export type { PassageInput, QuestionInput } from "./sources.ts";

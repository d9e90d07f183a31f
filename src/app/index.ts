/** @file Exports of `app`: what a user asks for, beyond parsing a command line and printing. */

export { type AdaptationArgs, type AdaptationContext, type AdaptationResult, runAdaptation } from "./adaptation.ts";
export { openAdapter } from "./adapter.ts";
export { type Answer, answerQuestion, defaultMaxNewTokens } from "./ask.ts";
export { silentOutput, type WorkContext, type WorkOutput } from "./context.ts";
export { type DocumentsReport, readDocuments } from "./entrance.ts";
export {
  type AdaptationWork,
  type Estimate,
  type LearningWork,
  measureRates,
  predictAdaptation,
  predictLearning,
  type Rates,
  withoutFinished,
} from "./estimate.ts";
export {
  type Graded,
  type GradingOptions,
  gateDigest,
  gradeRecord,
  type Promotion,
  promoteRecord,
  type TrainingConfig,
} from "./grading.ts";
export { claimOutput, markFile, type OutputFolder, type OutputMark, readMark } from "./output-folder.ts";
export { requireDigest, resolveModel } from "./policies.ts";
export { describePolicies, type LearningToRegister, registerPolicies } from "./policy-registration.ts";
export { describeRegistered, type Registered, type Registration, registerAdaptation } from "./registration.ts";
export { encodePieces, type LongTextOptions, type LongTextScore, longTextLength, scoreLongText } from "./score-long.ts";
export { planWindows, type ScoredToken, scoreText, type TextScore } from "./score-text.ts";
export { checkSettings, type LearnDials, settingsOf } from "./settings.ts";
export { checkTarget, loadGate, openVerbStore, pinFolder, storeTrust } from "./store.ts";
export type { RegisterTarget, StoreVerbOptions } from "./store-options.ts";

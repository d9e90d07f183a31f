/** @file Door of `app`: what a user asks for, beyond parsing a command line and printing. */
export { type AdaptationArgs, type AdaptationContext, type AdaptationResult, runAdaptation } from "./adaptation.ts";
export { type OpenAdapter, openAdapter } from "./adapter.ts";
export { silentOutput, type WorkContext, type WorkOutput } from "./context.ts";
export {
  type AdaptationWork,
  type Estimate,
  type LearningWork,
  measureRates,
  predictAdaptation,
  predictLearning,
  type Rates,
} from "./estimate.ts";
export {
  type GradingOptions,
  gateDigest,
  gradeRecord,
  graderFlags,
  type Promotion,
  promoteRecord,
  type TrainingConfig,
  toVerdict,
} from "./grading.ts";
export { choosePrecision, type OpenModel, type OpenModelOptions, openModel, requireModel } from "./model.ts";
export { findPolicy, type PolicyOrigin, policyOrigin, requireDigest, resolveModel } from "./policies.ts";
export { describePolicies, type LearningToRegister, registerPolicies } from "./policy-registration.ts";
export { describeRegistered, type Registered, type Registration, registerAdaptation } from "./registration.ts";
export { planWindows, type ScoredToken, scoreText, type TextScore } from "./score-text.ts";
export { loadGate, openVerbStore } from "./store.ts";
export type { RegisterTarget, StoreVerbOptions } from "./store-options.ts";

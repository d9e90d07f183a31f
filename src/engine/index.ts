/** @file Exports of `engine`: a loaded model as a long-lived service, in this thread or in one of its own. */
export { digestAdapter } from "./adapter-digest.ts";
export type {
  AdapterId,
  Engine,
  EngineCall,
  EngineGeneration,
  EngineJob,
  EngineModel,
  EngineModelTraining,
  EngineProgress,
  EngineReading,
  EngineRequest,
  EngineStats,
  EngineStream,
  EngineTraining,
  TokenEvent,
  WeightsId,
} from "./engine.ts";
export type { EngineArithmetic, OpenEngineOptions } from "./load.ts";
export type { EngineLimits } from "./local.ts";
export { arithmeticOf, createEngine, loadEngine } from "./open.ts";
export { openEngine } from "./remote.ts";
export { withAdapter, withAdapters, withWeightsKept } from "./scoped.ts";

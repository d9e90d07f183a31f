/** @file Exports of `engine`: a loaded model as a long-lived service, in this thread or in one of its own. */
export { digestAdapter } from "./adapters.ts";
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
export { arithmeticOf, type EngineArithmetic, loadEngine, type OpenEngineOptions } from "./load.ts";
export { createEngine, type EngineLimits } from "./local.ts";
export { openEngine } from "./remote.ts";
export { withAdapter, withAdapters, withWeightsKept } from "./scoped.ts";

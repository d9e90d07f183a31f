/** @file Exports of `engine`: a loaded model as a long-lived service, in this thread or in one of its own. */
export { digestAdapter } from "./adapters.ts";
export type {
  AdapterId,
  Engine,
  EngineCall,
  EngineGeneration,
  EngineModel,
  EngineProgress,
  EngineReading,
  EngineRequest,
  EngineStats,
  EngineStream,
  EngineTraining,
  TokenEvent,
} from "./engine.ts";
export { createEngine, type EngineLimits } from "./local.ts";
export { type OpenEngineOptions, openEngine } from "./remote.ts";

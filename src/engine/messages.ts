/**
 * @file What an engine's worker and its client say to each other: plain data that `postMessage` can copy. Random streams
 * travel as where they stand, errors as their code and message.
 */

import type { Precision } from "../models/index.ts";
import type { LoraAdapter, LoraModules } from "../nn/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import type {
  AdapterResult,
  BankProgress,
  DatumLike,
  MeanLoss,
  PolicyProgress,
  SoftTargets,
  TaughtDocument,
  TrainingPlan,
} from "../train/index.ts";
import { type RngState, rngAt, SelkieError } from "../util/index.ts";
import type {
  AdapterId,
  EngineGeneration,
  EngineModel,
  EngineModelTraining,
  EngineProgress,
  EngineReading,
  EngineRequest,
  EngineStats,
  EngineTraining,
  TokenEvent,
  WeightsId,
} from "./engine.ts";
import type { EngineLimits } from "./local.ts";

/** What a worker loads. */
export interface WorkerData extends EngineLimits {
  readonly directory: string;
  readonly threads: number | undefined;
  readonly precision: string | Precision | undefined;
  readonly weights: QuantisedFormat | undefined;
  readonly instructionSet: string | undefined;
}

/** A request whose random stream is where it stands. */
export interface SentRequest extends Omit<EngineRequest, "rng"> {
  readonly rngState: RngState | null;
}

/** The calls: what each takes, reports on the way, and returns. */
export interface Calls {
  submit: { args: SentRequest; event: TokenEvent; result: EngineGeneration };
  generate: { args: readonly SentRequest[]; event: EngineProgress; result: EngineGeneration[] };
  score: { args: readonly EngineReading[]; event: never; result: Float32Array[] };
  embed: { args: readonly EngineReading[]; event: never; result: Float32Array[] };
  addAdapter: {
    args: { readonly adapter: LoraAdapter; readonly id: AdapterId | undefined };
    event: never;
    result: AdapterId;
  };
  removeAdapter: { args: AdapterId; event: never; result: undefined };
  trainAdapters: { args: EngineTraining; event: BankProgress; result: AdapterResult[] };
  divergence: { args: readonly EngineReading[]; event: never; result: Float64Array[] };
  predict: { args: readonly EngineReading[]; event: never; result: Float32Array[] };
  softTargets: {
    args: { readonly documents: readonly TaughtDocument[]; readonly topK: number };
    event: never;
    result: SoftTargets[];
  };
  fisher: {
    args: { readonly adapter: LoraAdapter; readonly documents: readonly DatumLike[] };
    event: never;
    result: LoraModules;
  };
  meanLoss: { args: readonly DatumLike[]; event: never; result: MeanLoss };
  trainModel: { args: TrainingPlan; event: PolicyProgress; result: EngineModelTraining };
  mergeAdapter: { args: { readonly adapter: LoraAdapter; readonly scale: number }; event: never; result: undefined };
  keepWeights: { args: null; event: never; result: WeightsId };
  restoreWeights: { args: WeightsId; event: never; result: undefined };
  forgetWeights: { args: WeightsId; event: never; result: undefined };
  digestWeights: { args: null; event: never; result: string };
  save: { args: string; event: never; result: string };
  stats: { args: null; event: never; result: EngineStats };
}

/** Name of a call. */
export type CallName = keyof Calls;

/** An error on its way to another thread. */
export interface SentError {
  readonly code: string | null;
  readonly message: string;
  readonly stack: string | undefined;
}

/** What the client says. */
export type ClientMessage =
  | { readonly type: "call"; readonly id: number; readonly name: CallName; readonly args: Calls[CallName]["args"] }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "close" };

/** What the worker says. */
export type WorkerMessage =
  | { readonly type: "ready"; readonly model: EngineModel }
  | { readonly type: "failed"; readonly error: SentError }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "event"; readonly id: number; readonly event: Calls[CallName]["event"] }
  | { readonly type: "result"; readonly id: number; readonly result: Calls[CallName]["result"] }
  | { readonly type: "error"; readonly id: number; readonly error: SentError }
  | { readonly type: "closed" };

export function sendRequest({ rng, promptIds, ...rest }: EngineRequest): SentRequest {
  return { ...rest, promptIds: Int32Array.from(promptIds), rngState: rng?.state() ?? null };
}

export function receiveRequest({ rngState, ...rest }: SentRequest): EngineRequest {
  return rngState === null ? rest : { ...rest, rng: rngAt(rngState) };
}

export function sendError(error: unknown): SentError {
  if (!(error instanceof Error)) return { code: null, message: String(error), stack: undefined };
  return { code: error instanceof SelkieError ? error.code : null, message: error.message, stack: error.stack };
}

export function receiveError({ code, message, stack }: SentError): Error {
  const error = code === null ? new Error(message) : new SelkieError(code, message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

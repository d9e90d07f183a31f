/** @file Loads a model into an engine: backend, number formats, weights, tokenizer. */
import { choosePrecision, loadCheckpoint, type Precision, requireModel } from "../models/index.ts";
import { type Backend, openBackend, type QuantisedFormat } from "../tensor/index.ts";
import type { Engine } from "./engine.ts";
import { type EngineLimits, LocalEngine } from "./local.ts";

/** How to open an engine. */
export interface OpenEngineOptions extends EngineLimits {
  /** Threads of the kernels. @defaultValue as many as the machine has cores */
  readonly threads?: number | undefined;
  /** `"f32"`, `"bf16"`, formats chosen one by one, or what suits the processor. */
  readonly precision?: string | Precision | undefined;
  /** Quantises the matrices while loading. */
  readonly weights?: QuantisedFormat | undefined;
  /** Holds the kernels to an instruction set. @defaultValue the best there is */
  readonly instructionSet?: string | undefined;
  readonly warn?: ((message: string) => void) | undefined;
}

/** How an engine computes: a part of what decides its results to the bit. */
export interface EngineArithmetic {
  readonly precision: Precision;
  readonly instructionSet: string;
  readonly numThreads: number;
}

function chooseArithmetic(options: OpenEngineOptions): { readonly backend: Backend; readonly precision: Precision } {
  const { threads, instructionSet, precision, weights, warn } = options;
  const backend = openBackend({
    ...(threads !== undefined && { threads }),
    ...(instructionSet !== undefined && { instructionSet }),
    ...(warn && { warn }),
  });
  const chosen = typeof precision === "object" ? precision : choosePrecision(backend, precision);
  return { backend, precision: { ...chosen, ...(weights !== undefined && { weights }) } };
}

/** See `open.ts`. */
export function arithmeticOf(options: OpenEngineOptions = {}): EngineArithmetic {
  const { backend, precision } = chooseArithmetic(options);
  return { precision, instructionSet: backend.instructionSet, numThreads: backend.numThreads };
}

/** See `open.ts`; the worker of an engine loads by it, too. */
export async function loadEngine(directory: string, options: OpenEngineOptions = {}): Promise<Engine> {
  requireModel(directory);
  const { backend, precision } = chooseArithmetic(options);
  const { maxBatch, maxBatchTokens, warn } = options;
  const checkpoint = await loadCheckpoint(backend, directory, { precision, warn });
  return new LocalEngine(checkpoint, { maxBatch, maxBatchTokens });
}

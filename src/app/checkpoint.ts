/** @file Opens a checkpoint for a verb: backend, precision, weights, tokenizer. */
import { type Checkpoint, choosePrecision, loadCheckpoint, requireModel } from "../models/index.ts";
import { type Backend, openBackend, type QuantisedFormat } from "../tensor/index.ts";

/** How to open a model. */
export interface OpenCheckpointOptions {
  readonly threads?: number | undefined;
  /** `"f32"`, `"bf16"`, or what suits the processor. */
  readonly precision?: string | undefined;
  /** Quantises the matrices while loading. */
  readonly weights?: QuantisedFormat | undefined;
  readonly warn?: (message: string) => void;
}

/** An open model; dispose of it to free its memory. */
export interface OpenCheckpoint extends Disposable {
  readonly checkpoint: Checkpoint;
  readonly backend: Backend;
}

/** What to do where a model is not the one that was expected and may be the same one, changed. */
export const changedModelHint = "if that model was changed in place, selkie registry verify names the file";

/** Loads the checkpoint in `directory` on the fastest backend there is. */
export async function openCheckpoint(directory: string, options: OpenCheckpointOptions = {}): Promise<OpenCheckpoint> {
  const { threads, warn, weights } = options;
  requireModel(directory);
  const backend = openBackend({ ...(threads !== undefined && { threads }), ...(warn && { warn }) });
  const checkpoint = await loadCheckpoint(backend, directory, {
    precision: { ...choosePrecision(backend, options.precision), ...(weights !== undefined && { weights }) },
    warn,
  });
  return { checkpoint, backend, [Symbol.dispose]: () => checkpoint.lm[Symbol.dispose]() };
}

/**
 * @file Engines in this thread. What they compute with is loaded when one is opened: whoever opens an engine in a worker
 * needs none of it, and the worker starts the sooner.
 */
import type { Checkpoint } from "../models/index.ts";
import type { Engine } from "./engine.ts";
import type { EngineArithmetic, OpenEngineOptions } from "./load.ts";
import type { EngineLimits } from "./local.ts";

/** An engine in this thread over a checkpoint that is loaded already; it owns the model from now on. */
export async function createEngine(checkpoint: Checkpoint, limits: EngineLimits = {}): Promise<Engine> {
  const { LocalEngine } = await import("./local.ts");
  return new LocalEngine(checkpoint, limits);
}

/** Loads the checkpoint in `directory` in this thread, which its computations then take up step by step. */
export async function loadEngine(directory: string, options: OpenEngineOptions = {}): Promise<Engine> {
  return (await import("./load.ts")).loadEngine(directory, options);
}

/** How an engine opened with these options would compute, without opening one. */
export async function arithmeticOf(options: OpenEngineOptions = {}): Promise<EngineArithmetic> {
  return (await import("./load.ts")).arithmeticOf(options);
}

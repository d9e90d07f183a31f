/** @file `selkie learn curve`: the outer loop on the domain whose edits are hyper-parameters, from a base that it trains itself. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  curveDomain,
  curveText,
  defaultTemplates,
  type LearnSettings,
  learn,
  pretrainCurve,
  stagesOf,
} from "../adapt/index.ts";
import { arithmeticOf, openEngine } from "../engine/index.ts";
import { digestCheckpoint, requireModel } from "../models/index.ts";
import { createRun, type Json } from "../registry/index.ts";
import { openBackend } from "../tensor/index.ts";
import { finish, type LearningResult, readResult } from "./learning.ts";
import { createProgressTeller } from "./progress.ts";
import type { VerbContext } from "./verb.ts";

/** What to learn from, and how. */
export interface CurveLearningArgs {
  /** `null` trains the base first, in `root`. */
  readonly modelDirectory: string | null;
  readonly settings: LearnSettings;
  readonly numHeldOut: number;
  readonly seed: number;
  /** Holds the base and the run's own directory. */
  readonly root: string;
  readonly isFresh: boolean;
  readonly threads: number | undefined;
}

/** Runs the outer loop on curves, or goes on with one that was interrupted. */
export async function runCurveLearning(args: CurveLearningArgs, context: VerbContext): Promise<LearningResult> {
  const began = performance.now();
  const { output, signal } = context;
  const { seed, numHeldOut, threads, settings } = args;
  if (args.modelDirectory !== null) requireModel(args.modelDirectory);
  const arithmetic = { threads, precision: "f32" };
  const { instructionSet } = await arithmeticOf({ ...arithmetic, warn: output.note });
  const onEvent = createProgressTeller(output);
  const modelDirectory = args.modelDirectory ?? join(args.root, "curve-base");
  // the last file of a base: a folder without it is what a kill left
  if (args.modelDirectory === null && !existsSync(join(modelDirectory, "selkie.json"))) {
    const tell = ({ step, steps }: { step: number; steps: number }) =>
      onEvent({ stage: "training the base", done: step, total: steps });
    const backend = openBackend({ ...(threads !== undefined && { threads }) });
    if (!(await pretrainCurve({ backend, directory: modelDirectory, seed: 0, signal, onProgress: tell })))
      signal.throwIfAborted();
  }
  const request = {
    kind: "learn-curve",
    config: { settings, numHeldOut, instructionSet } as unknown as Json,
    inputs: { base: await digestCheckpoint(modelDirectory) },
    seed,
  };
  using run = createRun(args.root, request, { clock: Date.now, isFresh: args.isFresh });
  if (run.status === "resumed") output.note(`going on with ${run.directory}`);
  if (run.status !== "finished") {
    const report = await learn({
      ...{ modelDirectory, settings, seed, signal, templates: defaultTemplates },
      domain: curveDomain({ numTasks: settings.numRounds * settings.passagesPerRound!, numHeldOut, seed }),
      canaries: { items: [], hasGold: true },
      openPolicy: (directory) => openEngine(directory, arithmetic),
      oldText: async (count, rng) => Array.from({ length: count }, (_, index) => curveText(rng.fork(index))),
      store: stagesOf(run),
      directoryOf: (name) => run.artifactPath(name),
      onEvent,
    });
    await finish(run, report, (performance.now() - began) / 1000);
  }
  return readResult(run);
}

/**
 * @file An adaptation from passages to an adapter, with or without a run on disk: what must hold is checked before the
 * work, the model learns, the result is saved, copied where it was asked for, and stored. Nothing is printed here.
 */

import { join } from "node:path";
import {
  type AdaptEvent,
  type AdaptOutcome,
  type AdaptReport,
  type AdaptSettings,
  adapt,
  type Familiarity,
  loadCanaries,
  loadPrompts,
  type PromptTemplates,
  type StageStore,
  stagesOf,
} from "../adapt/index.ts";
import { type Engine, type EngineModel, openEngine } from "../engine/index.ts";
import { type AdapterOrigin, requireModel, saveAdapter } from "../models/index.ts";
import { createRun, digestOf, type Json, type Run, type RunRequest } from "../registry/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { packageVersion } from "../util/index.ts";
import type { WorkContext } from "./context.ts";
import { cutPassages, tellFamiliarity } from "./entrance.ts";
import { type Estimate, estimateAdaptation } from "./estimate.ts";
import { claimOutput, type OutputFolder } from "./output-folder.ts";
import { type Registered, type Registration, registerAdaptation } from "./registration.ts";
import { checkSettings } from "./settings.ts";
import { checkTarget, loadGate, openVerbStore } from "./store.ts";
import type { RegisterTarget } from "./store-options.ts";

/** What an adaptation tells and heeds. */
export interface AdaptationContext extends WorkContext {
  /** Told how far each stage is. */
  readonly onEvent: (event: AdaptEvent) => void;
  /** Told before the work what it will take; measuring that costs a moment. @defaultValue nothing is measured */
  readonly onEstimate?: (estimate: Estimate) => void;
}

/** What to learn, and how. */
export interface LearnArgs {
  readonly modelDirectory: string;
  readonly passages: readonly SourcePassage[];
  /** Take on more passages than a person would wait for. */
  readonly isLarge: boolean;
  readonly settings: AdaptSettings;
  readonly seed: number | string;
}

/** Where a run is kept. */
export interface RunArgs extends LearnArgs {
  /** Folder that holds the folders of runs. */
  readonly runsRoot: string;
  /** Forget an earlier run of the same inputs. */
  readonly isFresh: boolean;
}

/** What to learn, with what, and where the result goes. */
export interface AdaptationArgs extends RunArgs {
  /** Receives a copy of adapter and report as a whole; `null` leaves them in the run's directory alone. */
  readonly outDirectory: string | null;
  readonly threads: number | undefined;
  readonly precision: string | undefined;
  readonly weights: QuantisedFormat | undefined;
  /** Store that receives the adapter as a candidate. @defaultValue it is not stored */
  readonly register?: RegisterTarget | null;
}

/** Where everything went, and the report. */
export interface AdaptationResult {
  readonly runDirectory: string;
  /** Of the kept adapter; `null` when the change was not kept. */
  readonly adapterDirectory: string | null;
  readonly report: AdaptReport;
  /** How well the documents suit the model, measured before the work. */
  readonly familiarity: Familiarity;
  readonly seconds: number;
  /** True when an earlier run of the same inputs had finished and its result is repeated here. */
  readonly isRepeated: boolean;
  /** Record and judgement, where the adapter was stored. */
  readonly registered?: Registered;
}

/** Name under which the adapter of a run is saved: only one that was kept is called `adapter`. */
export const adapterName = ({ decision }: Pick<AdaptReport, "decision">): string =>
  decision === "kept" ? "adapter" : "rejected-adapter";

/** Runs the adaptation, goes on with one that was interrupted, or repeats the result of one that finished; then stores it. */
export async function runAdaptation(args: AdaptationArgs, context: AdaptationContext): Promise<AdaptationResult> {
  requireModel(args.modelDirectory);
  using output = args.outDirectory === null ? null : claimOutput(args.outDirectory, "--out");
  const { result, registration } = await learnAndRelease(args, context);
  if (output !== null) copyResult(output, registration);
  const { register = null, threads, precision, weights } = args;
  const { report } = result;
  const adapterDirectory =
    report.decision === "kept" ? join(args.outDirectory ?? join(result.runDirectory, "artifacts"), "adapter") : null;
  if (register === null) return { ...result, adapterDirectory };
  context.output.progress("the gate examines the adapter", { isStage: true });
  using store = openVerbStore(register, { create: true });
  const policy = loadGate(register.store, register.gate);
  const options = { policy, threads, precision, weights, signal: context.signal };
  return { ...result, adapterDirectory, registered: await registerAdaptation(store, registration, options) };
}

/** Opens the model for the time of the learning alone, so that the grader has the memory afterwards. */
async function learnAndRelease(args: AdaptationArgs, context: AdaptationContext): Promise<LearnedRun> {
  const { threads, precision, weights } = args;
  await using engine = await openEngine(args.modelDirectory, {
    threads,
    precision,
    weights,
    warn: context.output.note,
  });
  const settings = checkSettings(args.settings, engine.model.linearLayers);
  if (args.register) checkTarget(args.register);
  return await learnInRun(engine, { ...args, settings }, context);
}

/** A finished run. */
export interface LearnedRun {
  readonly result: Omit<AdaptationResult, "adapterDirectory">;
  /** What it takes to put the adapter into a store. */
  readonly registration: Registration;
}

/** What is known of the documents before they are learned. */
interface Prepared {
  readonly templates: PromptTemplates;
  readonly passages: readonly SourcePassage[];
  readonly familiarity: Familiarity;
}

/** Checks the dials, cuts the documents to size, and says how well they suit the model. */
async function prepare(engine: Engine, args: LearnArgs, context: AdaptationContext): Promise<Prepared> {
  checkSettings(args.settings, engine.model.linearLayers);
  context.signal.throwIfAborted();
  const templates = await loadPrompts(args.modelDirectory);
  const reader = { engine, templates };
  const passages = cutPassages(args, reader, context.output);
  const familiarity = await tellFamiliarity(engine, args.modelDirectory, passages, context);
  return { templates, passages, familiarity };
}

async function learnPassages(
  engine: Engine,
  { modelDirectory, settings, seed }: LearnArgs,
  { templates, passages }: Prepared,
  store: StageStore,
  { signal, onEvent, onEstimate }: AdaptationContext,
): Promise<AdaptOutcome> {
  const canaries = await loadCanaries(modelDirectory);
  const numCanaries = canaries.items.length;
  if (onEstimate) onEstimate(await estimateAdaptation(engine, { passages, settings, numCanaries, store, signal }));
  return adapt({ engine, templates, canaries, passages, settings, seed, store, signal, onEvent });
}

/** Learns in a directory of its own, named by the inputs; the same inputs find it again. */
export async function learnInRun(engine: Engine, args: RunArgs, context: AdaptationContext): Promise<LearnedRun> {
  const began = performance.now();
  const prepared = await prepare(engine, args, context);
  const { passages, familiarity } = prepared;
  const request = describeRun(args, passages, engine);
  using run = createRun(args.runsRoot, request, { clock: Date.now, isFresh: args.isFresh });
  if (run.status === "resumed") context.output.note(`going on with ${run.directory}`);
  if (run.status !== "finished") {
    const outcome = await learnPassages(engine, args, prepared, stagesOf(run), context);
    await save(args, run, outcome, { base: engine.model, familiarity, seconds: (performance.now() - began) / 1000 });
  }
  const stored = JSON.parse(run.readArtifact("report.json")!.toString("utf8")) as SavedReport;
  const { seconds, familiarity: _, ...report } = stored;
  const { modelDirectory, settings, seed } = args;
  return {
    result: { runDirectory: run.directory, report, familiarity, seconds, isRepeated: run.status === "finished" },
    registration: {
      adapterDirectory: checked(run, adapterName(report)),
      modelDirectory,
      base: engine.model.digest,
      passages,
      report,
      settings,
      seed,
      run: run.manifest.runId,
    },
  };
}

/** Folder of the adapter; it and what is copied beside it are what the run's log says was written. */
function checked(run: Run, name: string): string {
  run.checkArtifact("raw-adapter");
  return run.checkArtifact(name);
}

/** Contents of `report.json`. */
interface SavedReport extends AdaptReport {
  readonly familiarity: Familiarity;
  readonly seconds: number;
}

/** Learns and leaves nothing on disk; also returns the passages as they were cut. */
export async function learnInMemory(
  engine: Engine,
  args: LearnArgs,
  context: AdaptationContext,
): Promise<AdaptOutcome & Prepared> {
  const prepared = await prepare(engine, args, context);
  const nothingKept: StageStore = { read: async () => null, write: async () => {} };
  return { ...prepared, ...(await learnPassages(engine, args, prepared, nothingKept, context)) };
}

/** Everything that decides the result, down to the arithmetic: equal requests share a directory, others never do. */
function describeRun(args: LearnArgs, passages: readonly SourcePassage[], { model }: Engine): RunRequest {
  const content = passages.map(({ id, title, context, questions }) => ({ id, title, context, questions }));
  const { instructionSet, precision } = model;
  const config = {
    settings: args.settings,
    control: "raw, equal updates",
    precision,
    instructionSet,
  } as unknown as Json;
  return {
    kind: "adapt",
    config,
    inputs: { base: model.digest, passages: digestOf(JSON.stringify(content)) },
    seed: args.seed,
  };
}

/** Puts copies of adapters and report where they were asked for. */
function copyResult(output: OutputFolder, { run, report, adapterDirectory }: Registration): void {
  const artifacts = join(adapterDirectory, "..");
  const names = [adapterName(report), "raw-adapter", "report.json"];
  const { decision, reasons } = report;
  output.replace({ run, decision, reasons: [...reasons] }, new Map(names.map((name) => [name, join(artifacts, name)])));
}

/** What is written beside an adapter about where it comes from. */
export function originOf(
  { modelDirectory, seed }: Pick<LearnArgs, "modelDirectory" | "seed">,
  { decision }: Pick<AdaptReport, "decision">,
  { digest, parts }: Pick<EngineModel, "digest" | "parts">,
  about: { readonly run: string | null; readonly trainedOn: string },
): AdapterOrigin {
  const { run, trainedOn } = about;
  return {
    baseModelNameOrPath: modelDirectory,
    baseDigest: digest,
    baseParts: parts,
    lineage: { run, seed, selkie: packageVersion(), decision, trainedOn },
  };
}

/** Writes adapters and report into the run and marks it finished. */
async function save(
  args: LearnArgs,
  run: Run,
  { report, adapter, rawAdapter }: AdaptOutcome,
  { base, ...about }: Pick<SavedReport, "familiarity" | "seconds"> & { readonly base: EngineModel },
): Promise<void> {
  const origin = (trainedOn: string) => originOf(args, report, base, { run: run.manifest.runId, trainedOn });
  const name = adapterName(report);
  await saveAdapter(run.artifactPath(name), adapter, origin("self-edits"));
  await saveAdapter(run.artifactPath("raw-adapter"), rawAdapter, origin("raw text"));
  for (const artifact of [name, "raw-adapter"]) run.sealArtifact(artifact);
  run.writeArtifact("report.json", `${JSON.stringify({ ...report, ...about }, null, 1)}\n`);
  run.finish({ decision: report.decision, reasons: report.reasons, adapter: name });
}

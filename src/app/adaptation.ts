/** @file An adaptation from passages to a run on disk: opening the model, running, saving, storing. Nothing is printed here. */
import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type AdaptEvent,
  type AdaptOutcome,
  type AdaptReport,
  type AdaptSettings,
  adapt,
  chunkPassages,
  loadCanaries,
  loadPrompts,
  stagesOf,
} from "../adapt/index.ts";
import { type Checkpoint, saveAdapter } from "../models/index.ts";
import { createRun, digestOf, type Json, type Run, type RunRequest, runDirectory } from "../registry/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { packageVersion, SelkieError } from "../util/index.ts";
import type { WorkContext } from "./context.ts";
import { type Estimate, measureRates, predictAdaptation } from "./estimate.ts";
import { type OpenModel, openModel } from "./model.ts";
import { type Registered, type Registration, registerAdaptation } from "./registration.ts";
import { loadGate, openVerbStore } from "./store.ts";
import type { RegisterTarget } from "./store-options.ts";

/** What an adaptation tells and heeds. */
export interface AdaptationContext extends WorkContext {
  /** Told how far each stage is. */
  readonly onEvent: (event: AdaptEvent) => void;
  /** Told before the work what it will take; measuring that costs a moment. @defaultValue nothing is measured */
  readonly onEstimate?: (estimate: Estimate) => void;
}

/** What to learn, with what, and where the result goes. */
export interface AdaptationArgs {
  readonly modelDirectory: string;
  readonly passages: readonly SourcePassage[];
  /** Take on more passages than a person would wait for. */
  readonly isLarge: boolean;
  readonly settings: AdaptSettings;
  readonly seed: number | string;
  /** Receives a copy of adapter and report; `null` leaves them in the run's directory alone. */
  readonly outDirectory: string | null;
  /** Forget an earlier run of the same inputs. */
  readonly isFresh: boolean;
  readonly threads: number | undefined;
  readonly precision: string | undefined;
  readonly weights: QuantisedFormat | undefined;
  /** Store that receives the adapter as a candidate. @defaultValue it is not stored */
  readonly register?: RegisterTarget | null;
}

/** Where everything went, and the report. */
export interface AdaptationResult {
  readonly runDirectory: string;
  /** Of the kept adapter; `null` when the change was rejected. */
  readonly adapterDirectory: string | null;
  readonly report: AdaptReport;
  readonly seconds: number;
  /** True when an earlier run of the same inputs had finished and its result is repeated here. */
  readonly isRepeated: boolean;
  /** Record and judgement, where the adapter was stored. */
  readonly registered?: Registered;
}

const maxPassages = 200;

/** The passages cut to size; more than a person would wait for are refused unless asked for. */
function cutPassages({ passages, isLarge, settings }: AdaptationArgs, { tokenizer }: Checkpoint): SourcePassage[] {
  const most = isLarge ? Number.POSITIVE_INFINITY : maxPassages + 1;
  const pieces = chunkPassages(passages, tokenizer, settings.maxPassageTokens, most);
  if (pieces.length < most) return pieces;
  throw new SelkieError(
    "bad-option",
    `adapt: expected at most ${maxPassages} passages of ${settings.maxPassageTokens} tokens, got more; take a part of the text, fewer documents (--limit), or pass --large to do them all`,
  );
}

/** Runs the adaptation, goes on with one that was interrupted, or repeats the result of one that finished; then stores it. */
export async function runAdaptation(args: AdaptationArgs, context: AdaptationContext): Promise<AdaptationResult> {
  const { result, registration } = await learn(args, context);
  const { register = null, threads, precision, weights } = args;
  if (register === null) return result;
  context.output.progress("the gate examines the adapter", { isStage: true });
  using store = openVerbStore(register, { create: true });
  const policy = loadGate(register.store, register.gate);
  const options = { policy, threads, precision, weights, signal: context.signal };
  return { ...result, registered: await registerAdaptation(store, registration, options) };
}

/** What this adaptation will take on this machine. */
async function estimate(
  { settings }: AdaptationArgs,
  passages: readonly SourcePassage[],
  { checkpoint, numCanaries, signal }: { checkpoint: Checkpoint; numCanaries: number; signal: AbortSignal },
): Promise<Estimate> {
  const counted = passages.map(({ questions }) => {
    const count = (use: "selection" | "report") =>
      questions.filter((question) => question.use === use || question.use === "both").length || questions.length;
    return { selection: count("selection"), report: count("report") };
  });
  const rates = await measureRates(checkpoint, settings.innerLoop.lora, signal);
  const work = {
    passageTokens: passages.map(({ context }) => checkpoint.tokenizer.encode(context).length),
    numSelection: counted.reduce((sum, { selection }) => sum + selection, 0),
    numReported: counted.reduce((sum, { report }) => sum + report, 0),
    numWithoutQuestions: passages.filter(({ questions }) => questions.length === 0).length,
    ...{ numCanaries, settings, layers: checkpoint.lm.linearLayers },
  };
  return predictAdaptation(work, rates, process.memoryUsage.rss());
}

interface Learned {
  readonly result: AdaptationResult;
  readonly registration: Registration;
}

/** The adaptation itself; the model is closed again when it returns. */
async function learn(args: AdaptationArgs, context: AdaptationContext): Promise<Learned> {
  const { output, signal, onEvent, onEstimate } = context;
  const began = performance.now();
  using model = await openModel(args.modelDirectory, { ...args, warn: output.note });
  const { checkpoint } = model;
  const passages = cutPassages(args, checkpoint);
  const request = describeRun(args, passages, model);
  if (args.isFresh) await rm(runDirectory(runsRoot, request), { recursive: true, force: true });
  using run = createRun(runsRoot, request, { clock: Date.now });
  if (run.status === "resumed") output.note(`going on with ${run.directory}`);
  if (run.status !== "finished") {
    const canaries = await loadCanaries(args.modelDirectory);
    onEstimate?.(await estimate(args, passages, { checkpoint, numCanaries: canaries.items.length, signal }));
    const outcome = await adapt({
      checkpoint,
      templates: await loadPrompts(args.modelDirectory),
      canaries,
      passages,
      settings: args.settings,
      seed: args.seed,
      store: stagesOf(run),
      signal,
      onEvent,
    });
    await save(args, run, outcome, { baseDigest: checkpoint.digest, seconds: (performance.now() - began) / 1000 });
  }
  const { seconds, ...report } = JSON.parse(run.readArtifact("report.json")!.toString("utf8")) as AdaptReport & {
    seconds: number;
  };
  const name = report.decision === "kept" ? "adapter" : "rejected-adapter";
  if (args.outDirectory !== null)
    for (const artifact of [name, "raw-adapter", "report.json"])
      await copyInto(run.artifactPath(artifact), args.outDirectory, artifact);
  const place = args.outDirectory === null ? run.artifactPath(name) : join(args.outDirectory, name);
  const { modelDirectory, settings, seed } = args;
  return {
    result: {
      runDirectory: run.directory,
      adapterDirectory: report.decision === "kept" ? place : null,
      report,
      seconds,
      isRepeated: run.status === "finished",
    },
    registration: {
      adapterDirectory: run.artifactPath(name),
      modelDirectory,
      base: checkpoint.digest,
      passages,
      report,
      settings,
      seed,
      run: run.manifest.runId,
    },
  };
}

const runsRoot = "runs";

/** Everything that decides the result, down to the arithmetic: equal requests share a directory, others never do. */
function describeRun(args: AdaptationArgs, passages: readonly SourcePassage[], model: OpenModel): RunRequest {
  const { checkpoint, backend } = model;
  const content = passages.map(({ id, title, context, questions }) => ({ id, title, context, questions }));
  const { instructionSet } = backend;
  const { precision } = checkpoint.lm;
  const config = {
    settings: args.settings,
    control: "raw, equal updates",
    precision,
    instructionSet,
  } as unknown as Json;
  return {
    kind: "adapt",
    config,
    inputs: { base: checkpoint.digest, passages: digestOf(JSON.stringify(content)) },
    seed: args.seed,
  };
}

async function copyInto(from: string, directory: string, name: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
    await cp(from, join(directory, name), { recursive: true, force: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SelkieError(
      "write-failed",
      `--out ${directory}: could not be written (${code}); the result is in ${from}`,
      { cause },
    );
  }
}

/** Writes adapters and report into the run and marks it finished. */
async function save(
  args: AdaptationArgs,
  run: Run,
  outcome: AdaptOutcome,
  about: { baseDigest: string; seconds: number },
): Promise<void> {
  const { report, adapter, rawAdapter } = outcome;
  const lineage = { run: run.manifest.runId, seed: args.seed, selkie: packageVersion(), decision: report.decision };
  const base = { baseModelNameOrPath: args.modelDirectory, baseDigest: about.baseDigest };
  const name = report.decision === "kept" ? "adapter" : "rejected-adapter";
  await saveAdapter(run.artifactPath(name), adapter, { ...base, lineage: { ...lineage, trainedOn: "self-edits" } });
  await saveAdapter(run.artifactPath("raw-adapter"), rawAdapter, {
    ...base,
    lineage: { ...lineage, trainedOn: "raw text" },
  });
  run.writeArtifact("report.json", `${JSON.stringify({ ...report, seconds: about.seconds }, null, 1)}\n`);
  run.finish({ decision: report.decision, reasons: report.reasons, adapter: name });
}

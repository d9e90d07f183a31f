/** @file Has a stored candidate examined by the grader in its own process, and acts on the decision. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type GateDecision, type GatePolicy, readCanaries, scaleAdapter, type TrainingUsage } from "../adapt/index.ts";
import { loadAdapter, saveAdapter } from "../models/index.ts";
import {
  canonicalJson,
  digestOf,
  type FileContent,
  type Json,
  lineageFile,
  type Store,
  type StoredRecord,
  type Verdict,
  verifyStore,
} from "../registry/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import type { GraderReply, GraderRequest } from "./grader.ts";

/** How to examine. */
export interface GradingOptions {
  readonly policy: GatePolicy;
  /** Base model; `undefined` takes the directory that the record names. */
  readonly modelDirectory?: string | undefined;
  readonly threads?: number | undefined;
  readonly precision?: string | undefined;
  readonly weights?: QuantisedFormat | undefined;
  readonly signal: AbortSignal;
}

/** Part of a record's lineage that the budgets are about; the rest of `config` is for people. */
export interface TrainingConfig {
  readonly numSteps: number;
  readonly learningRate: number;
  readonly loraRank: number;
}

const dayMs = 24 * 60 * 60 * 1000;

function usageOf(store: Store, record: StoredRecord): TrainingUsage {
  const { numSteps, learningRate, loraRank } = store.lineage(record.id).config as unknown as TrainingConfig;
  const sinceMs = Date.now() - dayMs;
  const adaptersToday = store.list().filter(({ kind, time }) => kind === "adapter" && time > sinceMs).length;
  return { numSteps, learningRate, loraRank, adaptersToday };
}

/** Nothing is judged on the word of a store whose log and database disagree. */
function requireSound(store: Store): void {
  const { isSound, problems } = verifyStore(store, { skipRecords: true });
  if (!isSound)
    throw new SelkieError(
      "store-unsound",
      `store: expected one that verifies, got ${problems.join("; ")}; see selkie registry verify`,
    );
}

/** Seals the canaries of the model if none are yet, has the candidate examined, and returns the decision. */
export async function gradeRecord(store: Store, record: StoredRecord, options: GradingOptions): Promise<GateDecision> {
  if (record.kind !== "adapter" || record.base === null)
    throw new SelkieError(
      "bad-input",
      `gate: expected an adapter, got ${record.kind} ${record.id.slice(0, 12)}; only adapters can be examined`,
    );
  requireSound(store);
  store.verifyRecord(record.id);
  const origin = store.lineage(record.id).origin as { readonly model?: string } | null;
  const modelDirectory = options.modelDirectory ?? origin?.model;
  if (modelDirectory === undefined)
    throw new SelkieError("bad-option", "gate: the record names no base model; pass it with --model");
  const canariesDigest =
    store.sealOf(record.base) ?? store.sealCanaries(record.base, await readCanaries(modelDirectory));
  return runGrader(
    {
      recordId: record.id,
      objectDirectory: store.objectPath(record.id),
      modelDirectory,
      base: record.base,
      canariesPath: store.canariesPath(canariesDigest),
      canariesDigest,
      policy: options.policy,
      usage: usageOf(store, record),
      threads: options.threads,
      precision: options.precision,
      weights: options.weights,
    },
    options.signal,
  );
}

/** Node's permission model takes every right to write from the process; native kernels need leave to load. */
export const graderFlags: readonly string[] = [
  "--permission",
  "--allow-fs-read=*",
  "--allow-addons",
  "--disable-warning=ExperimentalWarning",
  "--disable-warning=SecurityWarning",
];

async function runGrader(request: GraderRequest, signal: AbortSignal): Promise<GateDecision> {
  const program = fileURLToPath(new URL(`grader${extname(import.meta.filename)}`, import.meta.url));
  const { NODE_OPTIONS: _, ...env } = process.env; // it could load code into the grader
  const child = spawn(process.execPath, [...graderFlags, program], { stdio: ["pipe", "pipe", "pipe"], env, signal });
  const exit = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  child.stdin.end(JSON.stringify(request));
  const [reply, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  let parsed: GraderReply;
  try {
    parsed = JSON.parse(reply) as GraderReply;
  } catch (cause) {
    throw new SelkieError(
      "grader-failed",
      `grader: ended with ${code} and no answer: ${complaint.trim() || "no message"}`,
      { cause },
    );
  }
  if ("error" in parsed) throw new SelkieError(parsed.error.code, parsed.error.message);
  return parsed.decision;
}

/** The decision as it goes into the store: figures and thresholds, not the texts. */
export function toVerdict(decision: GateDecision): Verdict {
  const { outcome, reasons, scale, examinations, policy, usage, examSource, screenings } = decision;
  const measured = examinations.map(({ broken, criticalBroken, ...figures }) => ({
    ...figures,
    numBroken: broken.length,
    numCriticalBroken: criticalBroken.length,
  }));
  const sources = screenings.map(({ id, faithfulness, injections }) => ({
    id,
    faithfulness: faithfulness.share,
    numClaims: faithfulness.numClaims,
    numUnsupported: faithfulness.unsupported.length,
    numInjections: injections.length,
  }));
  const details = { scale, examinations: measured, sources, usage, examSource, policy } as unknown as Json;
  return { outcome, reasons, details };
}

/** What {@link promoteRecord} did. */
export interface Promotion {
  /** Record served now; `null` when the gate refused. */
  readonly promoted: StoredRecord | null;
  readonly examined: StoredRecord;
  readonly decision: GateDecision;
}

/** Examines a record and points the alias to it, or to a copy scaled down, if the gate lets it through. */
export async function promoteRecord(
  store: Store,
  id: string,
  alias: string,
  options: GradingOptions,
): Promise<Promotion> {
  const record = store.get(id);
  const freeze = store.tables.freeze();
  if (freeze !== null)
    throw new SelkieError(
      "frozen",
      `promote: promotions are frozen (${freeze.reason}); selkie registry unfreeze --key <file> lifts it`,
    );
  const expected = store.tables.alias(alias) ?? null;
  const decision = await gradeRecord(store, record, options);
  const verdict = toVerdict(decision);
  if (decision.outcome === "quarantine" || decision.outcome === "reject")
    return { promoted: null, examined: store.judge(record.id, verdict), decision };
  const passed: Verdict = { ...verdict, outcome: "promote" };
  if (decision.outcome === "promote") {
    const promoted = store.promote({ id: record.id, alias, expected, verdict: passed });
    return { promoted, examined: promoted, decision };
  }
  const scaled = await putScaled(store, record, decision.scale!);
  const promoted = store.promote({ id: scaled.id, alias, expected, verdict: passed });
  return { promoted, examined: store.judge(record.id, verdict), decision };
}

/** A copy of the adapter with its effect scaled down, as a record of its own. */
async function putScaled(store: Store, record: StoredRecord, scale: number): Promise<StoredRecord> {
  const directory = store.objectPath(record.id);
  const saved = await loadAdapter(directory);
  const staging = mkdtempSync(join(tmpdir(), "selkie-scaled-"));
  try {
    await saveAdapter(staging, scaleAdapter(saved.adapter, scale), {
      baseModelNameOrPath: saved.baseModelNameOrPath ?? "",
      baseDigest: record.base!,
      lineage: { ...saved.lineage, scaledFrom: record.id, scale },
    });
    const files = new Map<string, FileContent>();
    for (const { name } of store.verifyRecord(record.id))
      if (name !== lineageFile) files.set(name, { path: join(directory, name) });
    for (const name of ["adapter_config.json", "adapter_model.safetensors", "selkie_adapter.json"])
      files.set(name, readFileSync(join(staging, name)));
    const lineage = store.lineage(record.id);
    const config = { ...(lineage.config as { readonly [key: string]: Json }), scale };
    return store.put({ lineage: { ...lineage, parents: [record.id], config }, files });
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Digest of a gate, to see at a glance whether two verdicts were given under the same one. */
export const gateDigest = (policy: GatePolicy): string => digestOf(canonicalJson(policy as unknown as Json));

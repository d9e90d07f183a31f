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
  defaultAliases,
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
import type { GradedFiles, GraderReply, GraderRequest } from "./grader.ts";
import { findPolicy, requireDigest } from "./policies.ts";

/** How to examine. */
export interface GradingOptions {
  readonly policy: GatePolicy;
  /** Base model; `undefined` takes the directory that the record names. */
  readonly modelDirectory?: string | undefined;
  readonly threads?: number | undefined;
  readonly precision?: string | undefined;
  readonly weights?: QuantisedFormat | undefined;
  /** What serves now is compared with the candidate. @defaultValue the alias of its kind */
  readonly alias?: string;
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
  const sinceMs = store.now() - dayMs; // the store's time, which does not go back when the clock does
  const adaptersToday = store.list().filter(({ kind, time }) => kind === record.kind && time > sinceMs).length;
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

/**
 * Digest of the canaries for a model, sealed before its first examination. A policy of the store is held to what its own
 * base was held to: a policy that chose the canaries of the adapters trained over it would choose their exam.
 */
async function canariesFor(store: Store, base: string, modelDirectory: string): Promise<string> {
  const known = store.sealOf(base);
  if (known !== null) return known;
  await requireDigest(modelDirectory, base, "gate");
  const origin = findPolicy(store, base)?.base ?? null;
  const inherited = origin === null ? null : store.sealOf(origin);
  const content =
    inherited === null ? await readCanaries(modelDirectory) : readFileSync(store.canariesPath(inherited), "utf8");
  return store.sealCanaries(base, content);
}

/** The adapter that the candidate would replace, verified, where it is another one of the same base. */
function servedBefore(store: Store, { id, kind, base }: StoredRecord, alias: string): GradedFiles | null {
  const served = kind === "adapter" ? (store.tables.alias(alias) ?? null) : null;
  if (served === null || served === id || store.get(served).base !== base) return null;
  store.verifyRecord(served);
  return { recordId: served, objectDirectory: store.objectPath(served) };
}

/** Adapters of the same base that were promoted before, verified; the passages of one served now among them. */
function earlierRecords(store: Store, { id, kind, base }: StoredRecord): GradedFiles[] {
  if (kind !== "adapter") return [];
  const promoted = store
    .list()
    .filter(
      (record) => record.id !== id && record.kind === "adapter" && record.base === base && record.state === "promoted",
    );
  return promoted.map((record) => {
    store.verifyRecord(record.id);
    return { recordId: record.id, objectDirectory: store.objectPath(record.id) };
  });
}

const suspectParents = (store: Store, { id }: StoredRecord): string[] =>
  store.lineage(id).parents.filter((parent) => store.tables.record(parent)?.state === "quarantined");

/** Seals the canaries of the model if none are yet, has the candidate examined, and returns the decision. */
export async function gradeRecord(store: Store, record: StoredRecord, options: GradingOptions): Promise<GateDecision> {
  const { kind, base } = record;
  if (kind === "base" || base === null)
    throw new SelkieError(
      "bad-input",
      `gate: expected an adapter or a policy, got ${kind} ${record.id.slice(0, 12)}; only those can be examined`,
    );
  requireSound(store);
  store.verifyRecord(record.id);
  const origin = store.lineage(record.id).origin as { readonly model?: string } | null;
  const modelDirectory = options.modelDirectory ?? origin?.model;
  if (modelDirectory === undefined)
    throw new SelkieError("bad-option", "gate: the record names no base model; pass it with --model");
  const canariesDigest = await canariesFor(store, base, modelDirectory);
  return runGrader(
    {
      kind,
      recordId: record.id,
      objectDirectory: store.objectPath(record.id),
      modelDirectory,
      base,
      canariesPath: store.canariesPath(canariesDigest),
      canariesDigest,
      policy: options.policy,
      usage: usageOf(store, record),
      served: servedBefore(store, record, options.alias ?? defaultAliases[kind]),
      earlier: earlierRecords(store, record),
      suspectParents: kind === "policy" ? suspectParents(store, record) : [],
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
  // Node's own variables could load code into the grader, or make it write its coverage or its code cache
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("NODE_")));
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
  const {
    outcome,
    reasons,
    scale,
    examinations,
    policy,
    usage,
    examSource,
    screenings,
    contradictions = [],
  } = decision;
  const measured = examinations.map(({ broken, criticalBroken, served, ...figures }) => ({
    ...figures,
    ...(served !== undefined && {
      served: { record: served.record, numRight: served.numRight, numLost: served.lost.length },
    }),
    numBroken: broken.length,
    numCriticalBroken: criticalBroken.length,
  }));
  const sources = screenings.map(({ id, support, injections }) => ({
    id,
    support: support.share,
    numClaims: support.numClaims,
    numUnsupported: support.unsupported.length,
    numInjections: injections.length,
  }));
  const details = {
    scale,
    examinations: measured,
    sources,
    contradictions,
    usage,
    examSource,
    policy,
  } as unknown as Json;
  return { outcome, reasons, details };
}

/** What {@link promoteRecord} did. */
export interface Promotion {
  /** Alias that was to be moved. */
  readonly alias: string;
  /** Record served now; `null` when the gate refused. */
  readonly promoted: StoredRecord | null;
  readonly examined: StoredRecord;
  readonly decision: GateDecision;
}

/** An adapter is as trustworthy as the policy it was trained over. */
function requireTrustedBase(store: Store, { id, kind, base }: StoredRecord): void {
  const policy = kind === "adapter" && base !== null ? findPolicy(store, base) : null;
  if (policy === null) return;
  store.verifyRecord(policy.id);
  if (policy.state === "quarantined" || policy.state === "rejected")
    throw new SelkieError(
      "gate-closed",
      `promote ${id.slice(0, 12)}: it was trained over policy ${policy.id.slice(0, 12)}, which is ${policy.state}: ${policy.reasons.join("; ")}`,
    );
}

/** Examines a record and points the alias to it, or to a copy scaled down, if the gate lets it through. */
export async function promoteRecord(store: Store, id: string, options: GradingOptions): Promise<Promotion> {
  const record = store.get(id);
  const alias = options.alias ?? defaultAliases[record.kind];
  const freeze = store.tables.freeze();
  if (freeze !== null)
    throw new SelkieError(
      "frozen",
      `promote: promotions are frozen (${freeze.reason}); selkie registry unfreeze --key <file> lifts it`,
    );
  requireTrustedBase(store, record);
  const expected = store.tables.alias(alias) ?? null;
  const decision = await gradeRecord(store, record, options);
  const verdict = toVerdict(decision);
  if (decision.outcome === "quarantine" || decision.outcome === "reject")
    return { alias, promoted: null, examined: store.judge(record.id, verdict), decision };
  const passed: Verdict = { ...verdict, outcome: "promote" };
  if (decision.outcome === "promote") {
    const promoted = store.promote({ id: record.id, alias, expected, verdict: passed });
    return { alias, promoted, examined: promoted, decision };
  }
  const scaled = await putScaled(store, record, decision.scale!);
  const promoted = store.promote({ id: scaled.id, alias, expected, verdict: passed });
  return { alias, promoted, examined: store.judge(record.id, verdict), decision };
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
      ...(saved.baseParts && { baseParts: saved.baseParts }),
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

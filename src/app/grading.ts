/** @file Has a stored candidate examined by the store's grader, and serves it, or a copy scaled down, if the gate lets it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GateDecision, type GatePolicy, readCanaries, scaleAdapter } from "../adapt/index.ts";
import { loadAdapter, saveAdapter } from "../models/index.ts";
import {
  canonicalJson,
  closedStates,
  digestOf,
  type ExamineOptions,
  type FileContent,
  findPolicy,
  type Json,
  lineageFile,
  type Store,
  type StoredRecord,
} from "../registry/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { requireDigest } from "./policies.ts";

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

/**
 * Seals canaries for the model of a record before its first examination. A policy of the store is held to what its own
 * base was held to: a policy that chose the canaries of the adapters trained over it would choose their exam.
 */
async function sealCanariesFor(store: Store, { id, base }: StoredRecord, given: string | undefined): Promise<void> {
  if (base === null || store.sealOf(base) !== null) return;
  const modelDirectory = given ?? (store.lineage(id).origin as { readonly model?: string } | null)?.model;
  if (modelDirectory === undefined) return; // the store says what is missing
  await requireDigest(modelDirectory, base, "gate");
  const origin = findPolicy(store, base)?.base ?? null;
  const inherited = origin === null ? null : store.sealOf(origin);
  const content =
    inherited === null ? await readCanaries(modelDirectory) : readFileSync(store.canariesPath(inherited), "utf8");
  store.sealCanaries(base, content);
}

const examineOptions = ({ policy, ...options }: GradingOptions): ExamineOptions => ({
  ...options,
  gate: policy as unknown as Json,
});

/** A record as it is after its examination, and the decision. */
export interface Graded {
  readonly record: StoredRecord;
  readonly decision: GateDecision;
}

/** Seals the canaries of the model if none are yet, and has the candidate examined; the verdict is written down. */
export async function gradeRecord(store: Store, record: StoredRecord, options: GradingOptions): Promise<Graded> {
  await sealCanariesFor(store, record, options.modelDirectory);
  const { record: examined, examination } = await store.examine(record.id, examineOptions(options));
  return { record: examined, decision: examination.decision as unknown as GateDecision };
}

/** What {@link promoteRecord} did. */
export interface Promotion {
  /** Alias that was to be moved. */
  readonly alias: string;
  /** Record served now; `null` when the gate refused. */
  readonly promoted: StoredRecord | null;
  readonly examined: StoredRecord;
  /** The last one given; `null` where the record served already and nothing was asked. */
  readonly decision: GateDecision | null;
}

/**
 * Examines a record and points the alias to it if the gate lets it through. Where it would at a smaller scale, a copy at
 * that scale is stored, and examined and promoted as a record of its own.
 */
export async function promoteRecord(store: Store, id: string, options: GradingOptions): Promise<Promotion> {
  const record = store.get(id);
  if (!closedStates.includes(record.state)) await sealCanariesFor(store, record, options.modelDirectory);
  const first = await store.promote(record.id, examineOptions(options));
  const decision = first.examination as { readonly decision: Json } | null;
  const found = (decision?.decision ?? null) as unknown as GateDecision | null;
  const { alias } = first;
  if (first.isServed) return { alias, promoted: first.record, examined: first.record, decision: found };
  if (found?.outcome !== "rescale") return { alias, promoted: null, examined: first.record, decision: found };
  const scaled = await putScaled(store, record, found.scale!);
  const second = await store.promote(scaled.id, examineOptions(options));
  const own = second.examination?.decision as unknown as GateDecision | undefined;
  return own === undefined || own.outcome === "promote"
    ? { alias, promoted: second.record, examined: first.record, decision: found }
    : { alias, promoted: null, examined: second.record, decision: own };
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

/** @file What the store asks the grader about a record, gathered from the store itself and not from whoever wants it served. */
import { SelkieError } from "../util/index.ts";
import type { GradedFiles, GraderRequest } from "./grader-process.ts";
import type { Json } from "./json.ts";
import { closedStates, defaultAliases, describeReasons, type StoredRecord } from "./record.ts";
import { shortId } from "./store-aliases.ts";
import type { ExamineOptions } from "./store-types.ts";
import { verifyStore } from "./store-verify.ts";
import type { StoreView } from "./store-view.ts";

/** Part of a policy's lineage that programs read. */
export interface PolicyOrigin {
  readonly run: string;
  readonly round: number;
  /** Digest of the checkpoint: what adapters trained over it are bound to. */
  readonly digest: string;
  /** Directory of the base, when the policy was stored. */
  readonly model: string;
}

/** Where a policy comes from. */
export const policyOrigin = (store: StoreView, { id }: StoredRecord): PolicyOrigin =>
  store.lineage(id).origin as unknown as PolicyOrigin;

/** The policy whose checkpoint has this digest; `null` where the digest is of a model that is no policy of the store. */
export const findPolicy = (store: StoreView, digest: string): StoredRecord | null =>
  store.list().find((record) => record.kind === "policy" && policyOrigin(store, record)?.digest === digest) ?? null;

const dayMs = 24 * 60 * 60 * 1000;

function usageOf(store: StoreView, record: StoredRecord): Json {
  const config = (store.lineage(record.id).config ?? {}) as { readonly [name: string]: Json };
  const sinceMs = store.now() - dayMs; // the store's time, which does not go back when the clock does
  const adaptersToday = store.list().filter(({ kind, time }) => kind === record.kind && time > sinceMs).length;
  const { numSteps = null, learningRate = null, loraRank = null } = config;
  return { numSteps, learningRate, loraRank, adaptersToday };
}

/** Nothing is judged on the word of a store whose log and database disagree. */
function requireSound(store: StoreView): void {
  const { isSound, problems } = verifyStore(store, { skipRecords: true });
  if (!isSound)
    throw new SelkieError(
      "store-unsound",
      `store: expected one that verifies, got ${problems.join("; ")}; see selkie registry verify`,
    );
}

/** The adapter that the candidate would replace, verified, where it is another one of the same base. */
function replacedBy(store: StoreView, { id, kind, base }: StoredRecord, alias: string): GradedFiles | null {
  const served = kind === "adapter" ? (store.alias(alias) ?? null) : null;
  if (served === null || served === id || store.get(served).base !== base) return null;
  store.verifyRecord(served);
  return { recordId: served, objectDirectory: store.objectPath(served) };
}

/** Adapters of the same base that were promoted before, verified; the passages of one served now among them. */
function earlierRecords(store: StoreView, { id, kind, base }: StoredRecord): GradedFiles[] {
  if (kind !== "adapter") return [];
  const promoted = store
    .list()
    .filter((known) => known.id !== id && known.kind === kind && known.base === base && known.state === "promoted");
  return promoted.map((known) => {
    store.verifyRecord(known.id);
    return { recordId: known.id, objectDirectory: store.objectPath(known.id) };
  });
}

const suspectParents = (store: StoreView, { id }: StoredRecord): string[] =>
  store
    .lineage(id)
    .parents.filter((parent) => store.list().find((known) => known.id === parent)?.state === "quarantined");

/** An adapter is as trustworthy as the policy it was trained over. */
export function requireTrustedBase(store: StoreView, { id, kind, base }: StoredRecord): void {
  const policy = kind === "adapter" && base !== null ? findPolicy(store, base) : null;
  if (policy === null) return;
  store.verifyRecord(policy.id);
  if (closedStates.includes(policy.state))
    throw new SelkieError(
      "gate-closed",
      `promote ${shortId(id)}: it was trained over policy ${shortId(policy.id)}, which is ${policy.state}: ${describeReasons(policy.reasons, policy.id)}`,
    );
}

/** What to ask about a record; the store and the record are verified first. */
export function requestFor(store: StoreView, record: StoredRecord, options: ExamineOptions): GraderRequest {
  const { kind, base, id } = record;
  if (kind === "base" || base === null)
    throw new SelkieError(
      "bad-input",
      `gate: expected an adapter or a policy, got ${kind} ${shortId(id)}; only those can be examined`,
    );
  requireSound(store);
  store.verifyRecord(id);
  const origin = store.lineage(id).origin as { readonly model?: string } | null;
  const modelDirectory = options.modelDirectory ?? origin?.model;
  if (modelDirectory === undefined)
    throw new SelkieError("bad-option", "gate: the record names no base model; pass it with --model");
  const canariesDigest = store.sealOf(base);
  if (canariesDigest === null)
    throw new SelkieError(
      "bad-input",
      `gate: expected canaries sealed for base ${shortId(base)}, got none; seal some first: selkie registry seal <file> --model <dir>`,
    );
  const { gate, threads, precision, weights, alias = defaultAliases[kind] } = options;
  return {
    kind,
    recordId: id,
    objectDirectory: store.objectPath(id),
    modelDirectory,
    base,
    canariesPath: store.canariesPath(canariesDigest),
    canariesDigest,
    policy: gate,
    usage: usageOf(store, record),
    served: replacedBy(store, record, alias),
    earlier: earlierRecords(store, record),
    suspectParents: kind === "policy" ? suspectParents(store, record) : [],
    accepted: record.accepted,
    threads,
    precision,
    weights,
  };
}

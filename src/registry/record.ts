/** @file What the store keeps: immutable records named by their content, and what has been decided about them. */
import { SelkieError } from "../util/index.ts";
import { digestOf } from "./digests.ts";
import type { Json } from "./json.ts";
import { canonicalJson } from "./json.ts";
import { type SignedFile, unsignedNames } from "./signing.ts";

/** `base` is a checkpoint, `policy` a checkpoint or adapter that writes self-edits, `adapter` what an edit trained. */
export type RecordKind = "adapter" | "policy" | "base";

/** What has been decided about a record; its content never changes. */
export type RecordState = "candidate" | "promoted" | "quarantined" | "rejected" | "rolled-back";

/** Where a record comes from: kept as `record.json` among its files, so that the id covers it. */
export interface RecordLineage {
  readonly kind: RecordKind;
  /** Digest of the base checkpoint; `null` for a base itself. */
  readonly base: string | null;
  /** Records this one was made from. */
  readonly parents: readonly string[];
  /** Passages learned, by name, with the SHA-256 of their text. */
  readonly data: readonly NamedDigest[];
  /** Self-edits trained on, by passage, with the SHA-256 of their text; the texts are among the files. */
  readonly selfEdits: readonly NamedDigest[];
  readonly config: Json;
  readonly seed: number | string;
  readonly metrics: { readonly [name: string]: number | null };
  /** Run that made it, versions, and whatever else should be known. */
  readonly origin: Json;
}

/** A text and its SHA-256, hex. */
export interface NamedDigest {
  readonly name: string;
  readonly sha256: string;
}

/** A judgement about a record, with its grounds. */
export interface Verdict {
  readonly outcome: "promote" | "rescale" | "quarantine" | "reject";
  readonly reasons: readonly string[];
  /** Measurements and thresholds behind it. */
  readonly details: Json;
}

/** A row of the store. */
export interface StoredRecord {
  /** SHA-256 over sorted file names and their digests, hex. */
  readonly id: string;
  readonly kind: RecordKind;
  readonly base: string | null;
  /** When it was stored, milliseconds since 1970. */
  readonly time: number;
  readonly state: RecordState;
  readonly reasons: readonly string[];
  /** Last judgement; `null` before the first. */
  readonly verdict: Verdict | null;
  /** Reasons of quarantines that a person has lifted; the grader does not put it aside for these again. */
  readonly accepted: readonly string[];
}

/** Name of the lineage among a record's files. */
export const lineageFile = "record.json";

/** Id of a record with these files. */
export function recordId(files: readonly SignedFile[]): string {
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return digestOf(canonicalJson(sorted.map(({ name, digest }) => [name, digest])));
}

/** States that only a person's release ends; see `Store.release`. */
export const closedStates: readonly RecordState[] = ["quarantined", "rejected"];

/**
 * State of a record after a verdict other than a promotion. A promoted one stays so: only a rollback takes it out of
 * service. One that was put aside is not let out by another verdict, which another gate may have given.
 */
export function stateAfter(state: RecordState, { outcome }: Verdict): RecordState {
  if (state === "promoted" || state === "quarantined") return state;
  if (outcome === "quarantine") return "quarantined";
  return outcome === "reject" || state === "rejected" ? "rejected" : "candidate";
}

/** Reasons of a record after a verdict: those of its state. */
export const reasonsAfter = (state: RecordState, reasons: readonly string[], verdict: Verdict): readonly string[] =>
  closedStates.includes(state) && stateAfter(state, verdict) === state ? reasons : verdict.reasons;

/** Reason that a release leaves with a record; `verify` derives the same from the log. */
export const releaseReason = (reason: string): string => `released by a person: ${reason}`;

/** Reason that a rollback leaves with the record that it serves again. */
export const returnReason = (from: string | null): string =>
  `rolled back to from ${from === null ? "the base model" : from.slice(0, 12)}`;

/** Of many reasons messages name the first; all of them are for `registry show`. */
const mostReasons = 4;

/** Reasons of a record, or of a verdict on it, for a message: the first few, and where the others are. */
export function describeReasons(reasons: readonly string[], id: string): string {
  const more = reasons.length - mostReasons;
  const shown = reasons.slice(0, mostReasons).join("; ");
  return more > 0 ? `${shown}; and ${more} more, see selkie registry show ${id.slice(0, 12)}` : shown;
}

/** Alias that a record of each kind is promoted to where none is named; these names are for that kind alone. */
export const defaultAliases: Readonly<Record<RecordKind, string>> = {
  adapter: "current",
  policy: "policy",
  base: "base",
};

/** Kind that a name is for; `null` where it is free. */
export const kindOfAlias = (alias: string): RecordKind | null =>
  (Object.keys(defaultAliases) as RecordKind[]).find((kind) => defaultAliases[kind] === alias) ?? null;

/** Refuses names of aliases that would not be told from ids, or not from options. */
export function checkAlias(alias: string): void {
  if (!/^[a-z][a-z0-9-]*$/.test(alias))
    throw new SelkieError("bad-option", `alias: expected lower-case letters, digits and dashes, got "${alias}"`);
}

/** Refuses file names that leave the record's folder. */
export function checkFileName(name: string): void {
  const parts = name.split("/");
  if (unsignedNames.includes(parts[0]!))
    throw new SelkieError("bad-option", `record: "${name}" could not be signed; leave it out`);
  if (name === "" || name.includes("\\") || parts.some((part) => part === "" || part === "." || part === ".."))
    throw new SelkieError("bad-option", `record: expected relative file names inside it, got "${name}"`);
}

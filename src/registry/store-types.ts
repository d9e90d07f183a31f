/** @file What is passed to a store, and what it answers. */
import type { FileContent, WriteHook } from "./disk.ts";
import type { Examination } from "./grader-process.ts";
import type { Json } from "./json.ts";
import type { RecordLineage, StoredRecord } from "./record.ts";
import type { StoreTrust } from "./store-pins.ts";

/** Options of `openStore`. */
export interface StoreOptions {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Private key in PEM, kept elsewhere. @defaultValue a key of the store's own, made with it */
  readonly signingKey?: string | undefined;
  /** Make the store where there is none. @defaultValue false */
  readonly create?: boolean;
  /** What is known of the store from outside. @defaultValue nothing; the store is taken at its word */
  readonly trust?: StoreTrust;
  /** Open a store that does not fit `trust`, for verbs that say what is wrong with it: `verifyStore` lists it. */
  readonly isReporting?: boolean;
  /** For tests: told before every write. */
  readonly onWrite?: WriteHook;
}

/** A record to be stored. */
export interface PutRequest {
  readonly lineage: RecordLineage;
  /** By relative name; `record.json` is added. */
  readonly files: ReadonlyMap<string, FileContent>;
}

/** How to examine a record. */
export interface ExamineOptions {
  /** Thresholds and budgets; what was used is part of the verdict, signed and logged. */
  readonly gate: Json;
  /** Directory of the base model, held to its digest. @defaultValue the one that the record names */
  readonly modelDirectory?: string | undefined;
  readonly threads?: number | undefined;
  readonly precision?: string | undefined;
  readonly weights?: string | undefined;
  /** What serves now is compared with the candidate. @defaultValue the alias of its kind */
  readonly alias?: string | undefined;
  readonly signal: AbortSignal;
}

/** How `Store.promote` examines, and what it moves. */
export interface PromoteOptions extends ExamineOptions {
  /** @defaultValue the alias of the record's kind */
  readonly alias?: string | undefined;
}

/** A record, and what the grader said of it. */
export interface Examined {
  readonly record: StoredRecord;
  readonly examination: Examination;
}

/** What `Store.promote` did. */
export interface Promoted {
  readonly alias: string;
  /** As it is now. */
  readonly record: StoredRecord;
  /** True when the alias points to the record. */
  readonly isServed: boolean;
  /** `null` where it served already and nothing was asked. */
  readonly examination: Examination | null;
}

/** What an alias serves. */
export interface Served {
  /** `null`: the base model alone. */
  readonly record: StoredRecord | null;
  /** Of the verified files; `null` with the record. */
  readonly directory: string | null;
}

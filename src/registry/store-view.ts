/** @file What can be read of an open store: all that examining and verifying it need, and nothing that changes it. */
import type { KeyObject } from "node:crypto";
import type { RecordLineage, StoredRecord } from "./record.ts";
import type { SignedFile } from "./signing.ts";
import type { RecordedHead } from "./store-database.ts";

/** An open store, to be read. */
export interface StoreView {
  readonly directory: string;
  /** Verifies records and the head of the log. */
  readonly publicKey: KeyObject;
  /** What did not fit what is known of the store from outside, when it was opened. */
  readonly trustProblems: readonly string[];
  /** End of the log. */
  readonly head: RecordedHead;
  readonly logPath: string;
  /** Folder of a record's files. */
  objectPath(id: string): string;
  /** Sealed canaries with this digest. */
  canariesPath(digest: string): string;
  /** Record of an alias: `undefined` where there is no such alias, `null` for the base model alone. */
  alias(name: string): string | null | undefined;
  /** The record with this id, or the only one whose id begins so. */
  get(idOrPrefix: string): StoredRecord;
  /** All records, oldest first. */
  list(): StoredRecord[];
  /** Lineage of a record; its files are not verified by this. */
  lineage(id: string): RecordLineage;
  /** Checks signature and content of a record; every load goes through here. */
  verifyRecord(id: string): SignedFile[];
  /** Digest of the canaries sealed for a base model; `null` before the first seal. */
  sealOf(base: string): string | null;
  /** Digests of the canaries in force, by base model. */
  seals(): { readonly base: string; readonly digest: string }[];
  /** The time that the next change will carry: the clock's, but never before the last change. */
  now(): number;
  /** Runs `work` while nobody else changes the store. */
  quietly<T>(work: () => T): T;
}

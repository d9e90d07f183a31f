/**
 * @file The store of adapters and policies: immutable records named by their content, movable aliases, an audit log.
 *
 *     <store>/store.sqlite       records, states, aliases, seals, the freeze, the head of the log
 *             objects/<id>/…     files of a record, record.json (its lineage) among them; read-only
 *             signatures/<id>.sig
 *             canaries/<digest>.jsonl
 *             audit.ndjson       what happened, hash-chained
 *             keys/              signing.pem (its owner alone), public.pem
 *
 * Files come first, under a name that nothing refers to; then one transaction refers to them. A kill at any moment
 * leaves at worst files that `gc` removes.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { makeDirectory, SelkieError } from "../util/index.ts";
import { digestOf } from "./atomic-file.ts";
import type { AuditEvent } from "./audit.ts";
import { Disk, type FileContent, type WriteHook } from "./disk.ts";
import { Journal } from "./journal.ts";
import { digestContent, ObjectFolder } from "./object-folder.ts";
import {
  checkAlias,
  checkFileName,
  lineageFile,
  type RecordKind,
  type RecordLineage,
  recordId,
  type StoredRecord,
  stateAfter,
  type Verdict,
} from "./record.ts";
import { canonicalJson, type Json } from "./runs.ts";
import { keyFingerprint, loadSigningKey, publicKeyPem, type SignedFile } from "./signing.ts";
import { checkAliasOf, checkServedOnce, servedBefore, shortId } from "./store-aliases.ts";
import { type AliasMove, type Freeze, openDatabase, Tables } from "./store-database.ts";
import { establishKeys, isUnfreezeSignedBy, signUnfreeze } from "./store-keys.ts";

/** Options of {@link openStore}. */
export interface StoreOptions {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Private key in PEM, kept elsewhere. @defaultValue a key of the store's own, made with it */
  readonly signingKey?: string | undefined;
  /** Make the store where there is none. @defaultValue false */
  readonly create?: boolean;
  /** For tests: told before every write. */
  readonly onWrite?: WriteHook;
}

/** A record to be stored. */
export interface PutRequest {
  readonly lineage: RecordLineage;
  /** By relative name; `record.json` is added. */
  readonly files: ReadonlyMap<string, FileContent>;
}

/** A move of an alias to a record that passed the gate. */
export interface PromoteRequest {
  readonly id: string;
  readonly alias: string;
  /** What the alias pointed to when the record was examined; `null` for the base alone or no alias. */
  readonly expected: string | null;
  readonly verdict: Verdict;
}

/** What an alias serves. */
export interface Served {
  /** `null`: the base model alone. */
  readonly record: StoredRecord | null;
  /** Of the verified files; `null` with the record. */
  readonly directory: string | null;
}

/** Opens the store in `directory`. */
export function openStore(directory: string, options: StoreOptions): Store {
  const path = join(directory, "store.sqlite");
  if (!existsSync(path)) {
    if (options.create !== true)
      throw new SelkieError(
        "missing-file",
        `store: expected one at ${directory}, found none; selkie adapt … --register makes it`,
      );
    makeDirectory(directory);
  }
  const tables = new Tables(openDatabase(path));
  try {
    const disk = new Disk(options.onWrite);
    const publicKey = establishKeys(directory, tables, disk, options.signingKey);
    return new Store({ directory: realpathSync(directory), tables, disk, publicKey, options });
  } catch (error) {
    tables.database.close();
    throw error;
  }
}

interface StoreParts {
  readonly directory: string;
  readonly tables: Tables;
  readonly disk: Disk;
  readonly publicKey: KeyObject;
  readonly options: StoreOptions;
}

/** An open store; dispose of it to close its files. Use {@link openStore}. */
export class Store implements Disposable {
  readonly directory: string;
  /** Verifies records and the head of the log. */
  readonly publicKey: KeyObject;
  readonly tables: Tables;
  readonly #disk: Disk;
  readonly #objects: ObjectFolder;
  readonly #journal: Journal;
  readonly #options: StoreOptions;
  #signingKey: KeyObject | null = null;

  constructor({ directory, tables, disk, publicKey, options }: StoreParts) {
    this.directory = directory;
    this.publicKey = publicKey;
    this.tables = tables;
    this.#disk = disk;
    this.#objects = new ObjectFolder(directory, disk);
    this.#options = options;
    this.#journal = new Journal({
      tables,
      disk,
      path: this.logPath,
      clock: options.clock,
      signingKey: () => this.#key(),
    });
    this.#journal.settle();
  }

  get logPath(): string {
    return join(this.directory, "audit.ndjson");
  }

  /** Folder of a record's files. */
  objectPath(id: string): string {
    return this.#objects.objectPath(id);
  }

  /** Signature of a record. */
  signaturePath(id: string): string {
    return this.#objects.signaturePath(id);
  }

  /** Sealed canaries with this digest. */
  canariesPath(digest: string): string {
    return this.#objects.canariesPath(digest);
  }

  #key(): KeyObject {
    if (this.#signingKey !== null) return this.#signingKey;
    const key = loadSigningKey(this.#options.signingKey ?? join(this.directory, "keys", "signing.pem"));
    if (keyFingerprint(key) !== keyFingerprint(this.publicKey))
      throw new SelkieError(
        "bad-option",
        `store: expected signing key ${keyFingerprint(this.publicKey)}, got ${keyFingerprint(key)}; pass the key the store was made with`,
      );
    this.#signingKey = key;
    return key;
  }

  /** Stores a record as a candidate; one with the same content is returned as it is. */
  put({ lineage, files }: PutRequest): StoredRecord {
    const all = new Map<string, FileContent>(files).set(lineageFile, `${canonicalJson(lineage as unknown as Json)}\n`);
    for (const name of all.keys()) checkFileName(name);
    const id = recordId([...all].map(([name, content]) => ({ name, digest: digestContent(content) })));
    const known = this.tables.record(id);
    if (known !== null) return known;
    const incoming = this.#objects.receive(id, all);
    return this.#journal.change((time) => {
      const earlier = this.tables.record(id); // another process may have been faster
      this.#objects.place(incoming, id);
      if (earlier !== null) return { event: null, value: earlier };
      const { kind, base } = lineage;
      const record: StoredRecord = { id, kind, base, time, state: "candidate", reasons: [], verdict: null };
      this.#objects.sign(id, `${kind}-${id.slice(0, 12)}`, this.#key());
      this.tables.addRecord(record);
      return { event: { type: "record-put", record: id, kind, base }, value: record };
    });
  }

  /** The record with this id, or the only one whose id begins so. */
  get(idOrPrefix: string): StoredRecord {
    const ids = /^[0-9a-f]{6,64}$/.test(idOrPrefix) ? this.tables.idsLike(idOrPrefix) : [];
    if (ids.length === 1) return this.tables.record(ids[0]!)!;
    throw new SelkieError(
      "unknown-name",
      ids.length === 0
        ? `store: expected the id of a record, or at least its first 6 characters, got "${idOrPrefix}"; selkie registry list shows them`
        : `store: ${ids.length} records begin with "${idOrPrefix}"; give more characters`,
    );
  }

  /** All records, oldest first. */
  list(): StoredRecord[] {
    return this.tables.records();
  }

  /** Lineage of a record; its files are not verified by this. */
  lineage(id: string): RecordLineage {
    return JSON.parse(readFileSync(join(this.objectPath(id), lineageFile), "utf8")) as RecordLineage;
  }

  /** Checks signature and content of a record; every load goes through here. */
  verifyRecord(id: string): SignedFile[] {
    return this.#objects.verify(id, this.publicKey);
  }

  /**
   * What an alias serves, verified.
   *
   * @param kind - What the caller can use; an alias of records of another kind is refused.
   */
  serve(alias: string, kind?: RecordKind): Served {
    const id = this.tables.alias(alias);
    if (id === undefined)
      throw new SelkieError(
        "unknown-name",
        `store: no alias "${alias}"; promote a record first: selkie registry promote <id> --alias ${alias}`,
      );
    const served = id ?? this.tables.moves(alias).findLast((move) => move.record !== null)?.record ?? null;
    const record = served === null ? null : this.tables.record(served);
    if (kind !== undefined && record !== null && record.kind !== kind)
      throw new SelkieError(
        "bad-option",
        `store: expected an alias of kind ${kind}, got "${alias}", which serves the ${record.kind} ${shortId(served)}; ${record.kind === "policy" ? "use it with --model" : "use it with --adapter"}`,
      );
    if (id === null) return { record: null, directory: null };
    this.verifyRecord(id);
    return { record, directory: this.objectPath(id) };
  }

  /** The time that the next change will carry: the clock's, but never before the last change. */
  now(): number {
    return this.#journal.now();
  }

  /** Writes a judgement down. A promoted record stays promoted: only a rollback takes it out of service. */
  judge(id: string, verdict: Verdict): StoredRecord {
    return this.#journal.change(() => {
      const record = this.get(id);
      const state = record.state === "promoted" ? "promoted" : stateAfter(verdict);
      this.tables.setState(id, state, verdict.reasons, verdict);
      const { outcome, reasons } = verdict;
      return { event: { type: "record-judge", record: id, outcome, state, reasons }, value: this.get(id) };
    });
  }

  /**
   * Points an alias to a record.
   *
   * @throws {@link SelkieError} `"promotion-conflict"` when the alias moved since the record was examined, `"frozen"`
   * while promotions are frozen, `"gate-closed"` when the verdict is another than promote.
   */
  promote({ id, alias, expected, verdict }: PromoteRequest): StoredRecord {
    checkAlias(alias);
    if (verdict.outcome !== "promote")
      throw new SelkieError(
        "gate-closed",
        `promote ${id.slice(0, 12)}: the gate says ${verdict.outcome}: ${verdict.reasons.join("; ")}`,
      );
    return this.#journal.change((time) => {
      const freeze = this.tables.freeze();
      if (freeze !== null)
        throw new SelkieError(
          "frozen",
          `promote: promotions are frozen (${freeze.reason}); the holder of key ${keyFingerprint(createPublicKey(freeze.holder))} can lift it: selkie registry unfreeze --key <file>`,
        );
      const record = this.get(id);
      checkAliasOf(this.tables, alias, record);
      const previous = this.tables.alias(alias) ?? null;
      if (previous !== expected)
        throw new SelkieError(
          "promotion-conflict",
          `promote: "${alias}" pointed to ${shortId(expected)} when ${shortId(id)} was examined and points to ${shortId(previous)} now; another process was faster; promote again to have it examined against that`,
        );
      this.verifyRecord(record.id);
      this.tables.moveAlias({ alias, record: record.id, previous, cause: "promote", time });
      this.tables.setState(record.id, "promoted", verdict.reasons, verdict);
      const event = {
        type: "promote",
        alias,
        record: record.id,
        from: previous,
        reasons: verdict.reasons,
        details: verdict.details,
      };
      return { event, value: this.get(record.id) };
    });
  }

  /** Points an alias back to what it served before, or to a record named that it served once; allowed while frozen. */
  rollback(alias: string, reason: string, to?: string): Served {
    const id = this.#journal.change((time) => {
      const current = this.tables.alias(alias);
      if (current === undefined || current === null)
        throw new SelkieError(
          "unknown-name",
          `rollback: "${alias}" serves the base model alone; there is nothing to roll back`,
        );
      const target =
        to === undefined
          ? servedBefore(this.tables, alias, current)
          : checkServedOnce(this.tables, alias, this.get(to).id);
      if (target !== null) this.verifyRecord(target);
      this.tables.moveAlias({ alias, record: target, previous: current, cause: "rollback", time });
      this.tables.setState(current, "rolled-back", [reason]);
      if (target !== null) this.tables.setState(target, "promoted", [`rolled back to from ${shortId(current)}`]);
      return { event: { type: "rollback", alias, record: target, from: current, reason }, value: target };
    });
    return id === null ? { record: null, directory: null } : this.serve(alias);
  }

  /** Moves of an alias, oldest first. */
  history(alias: string): AliasMove[] {
    return this.tables.moves(alias);
  }

  /** Stops all promotions until the holder of the key lifts it. */
  freeze(holder: KeyObject, reason: string): Freeze {
    return this.#journal.change(() => {
      const earlier = this.tables.freeze();
      if (earlier !== null)
        throw new SelkieError("frozen", `freeze: promotions are frozen already (${earlier.reason})`);
      const freeze: Freeze = { holder: publicKeyPem(holder), sequence: this.tables.head().length + 1, reason };
      this.tables.setFreeze(freeze);
      return { event: { type: "freeze", holder: freeze.holder, reason }, value: freeze };
    });
  }

  /** Lifts the freeze with the private key whose public half set it. */
  unfreeze(key: KeyObject): void {
    this.#journal.change(() => {
      const freeze = this.tables.freeze();
      if (freeze === null) throw new SelkieError("bad-option", "unfreeze: promotions are not frozen");
      const store = keyFingerprint(this.publicKey);
      const signature = key.type === "private" ? signUnfreeze(store, freeze.sequence, key) : "";
      if (!isUnfreezeSignedBy(store, freeze.sequence, signature, freeze.holder))
        throw new SelkieError(
          "bad-option",
          `unfreeze: expected the private key ${keyFingerprint(createPublicKey(freeze.holder))}, got ${keyFingerprint(key)}; only its holder can lift the freeze`,
        );
      this.tables.setFreeze(null);
      return { event: { type: "unfreeze", freeze: freeze.sequence, signature }, value: undefined };
    });
  }

  /** Keeps a copy of the canaries of a base model, by digest; the first ones stay unless `replace`. Returns the digest. */
  sealCanaries(base: string, content: string, replace = false): string {
    const known = this.sealOf(base);
    const digest = digestOf(content);
    if (known === digest || (known !== null && !replace)) return known;
    return this.#journal.change(() => {
      this.#disk.writeAtomic(this.canariesPath(digest), content);
      this.tables.setSeal(base, digest);
      return { event: { type: "canaries-seal", base, digest }, value: digest };
    });
  }

  /** Digest of the canaries sealed for a base model; `null` before the first seal. */
  sealOf(base: string): string | null {
    return this.tables.seals().find((seal) => seal.base === base)?.digest ?? null;
  }

  /** Removes files that nothing refers to, as attempts that were cut short leave them. Records are never removed. */
  gc(): string[] {
    return this.#journal.change(() => {
      const ids = new Set(this.list().map(({ id }) => id));
      const seals = new Set(this.tables.seals().map(({ digest }) => digest));
      const removed = this.#objects.unreferenced(ids, seals);
      for (const path of removed) this.#disk.remove(path);
      const names = removed.map((path) => path.slice(this.directory.length + 1));
      const event: AuditEvent | null = names.length === 0 ? null : { type: "gc", removed: names };
      return { event, value: names };
    });
  }

  /** Runs `work` while nobody else changes the store. */
  quietly<T>(work: () => T): T {
    return this.#journal.quietly(work);
  }

  [Symbol.dispose](): void {
    this.tables.database.close();
  }
}

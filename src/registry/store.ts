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
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SelkieError } from "../util/index.ts";
import { type AuditEvent, isHeadSignedBy } from "./audit.ts";
import { digestOf } from "./digests.ts";
import type { Disk, FileContent } from "./disk.ts";
import { requestFor, requireTrustedBase } from "./examination.ts";
import type { Grader } from "./grader-process.ts";
import { Journal } from "./journal.ts";
import { canonicalJson, type Json } from "./json.ts";
import { digestContent, ObjectFolder } from "./object-folder.ts";
import {
  checkAlias,
  checkFileName,
  closedStates,
  defaultAliases,
  describeReasons,
  lineageFile,
  type RecordKind,
  type RecordLineage,
  reasonsAfter,
  recordId,
  releaseReason,
  returnReason,
  type StoredRecord,
  stateAfter,
  type Verdict,
} from "./record.ts";
import { keyFingerprint, loadSigningKey, publicKeyPem, type SignedFile } from "./signing.ts";
import { baseName, checkAliasOf, chosenBefore, servedBefore, shortId } from "./store-aliases.ts";
import type { AliasMove, Freeze, RecordedHead, Tables } from "./store-database.ts";
import { setTables } from "./store-internals.ts";
import { isUnfreezeSignedBy, signUnfreeze } from "./store-keys.ts";
import { hasLine, type PinFile, trustProblems } from "./store-pins.ts";
import type {
  Examined,
  ExamineOptions,
  Promoted,
  PromoteOptions,
  PutRequest,
  Served,
  StoreOptions,
} from "./store-types.ts";
import type { StoreView } from "./store-view.ts";

/** Parts that {@link Store} is made of. */
export interface StoreParts {
  readonly directory: string;
  readonly tables: Tables;
  readonly disk: Disk;
  readonly publicKey: KeyObject;
  readonly options: StoreOptions;
  readonly pins: PinFile | null;
  readonly grader: Grader;
}

const asJson = (verdict: Verdict): Json => verdict as unknown as Json;

/** An open store; dispose of it to close its files. Use `openStore`. */
export class Store implements StoreView, Disposable {
  readonly directory: string;
  /** Verifies records and the head of the log. */
  readonly publicKey: KeyObject;
  /** What did not fit what is known of the store from outside, when it was opened. */
  readonly trustProblems: readonly string[];
  readonly #tables: Tables;
  readonly #disk: Disk;
  readonly #objects: ObjectFolder;
  readonly #journal: Journal;
  readonly #options: StoreOptions;
  readonly #pins: PinFile | null;
  readonly #grader: Grader;
  #signingKey: KeyObject | null = null;

  constructor({ directory, tables, disk, publicKey, options, pins, grader }: StoreParts) {
    this.directory = directory;
    this.publicKey = publicKey;
    this.#tables = tables;
    setTables(this, tables);
    this.#disk = disk;
    this.#objects = new ObjectFolder(directory, disk);
    this.#options = options;
    this.#pins = pins;
    this.#grader = grader;
    this.#journal = new Journal({
      tables,
      disk,
      path: this.logPath,
      clock: options.clock,
      signingKey: () => this.#key(),
      onChange: () => this.#remember(),
    });
    this.#journal.settle();
    this.trustProblems = trustProblems(options.trust ?? {}, pins, {
      publicKey,
      head: this.head,
      logPath: this.logPath,
    });
    this.#remember();
  }

  /** Notes the end of the log in the person's own folder; not of a store that does not fit what is noted there. */
  #remember(): void {
    const { head } = this;
    if (this.trustProblems.length > 0 || head.pending !== null || !hasLine(this.logPath, head)) return;
    this.#pins?.write(this.publicKey, head);
  }

  /** End of the log. */
  get head(): RecordedHead {
    return this.#tables.head();
  }

  /** What each alias points to, by name. */
  aliases(): { readonly name: string; readonly record: string | null }[] {
    return this.#tables.aliases();
  }

  /** Record of an alias: `undefined` where there is no such alias, `null` for the base model alone. */
  alias(name: string): string | null | undefined {
    return this.#tables.alias(name);
  }

  /** The freeze in force; `null` while promotions are allowed. */
  frozen(): Freeze | null {
    return this.#tables.freeze();
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
    const known = this.#tables.record(id);
    if (known !== null) return known;
    const incoming = this.#objects.receive(id, all);
    return this.#journal.change((time) => {
      const earlier = this.#tables.record(id); // another process may have been faster
      this.#objects.place(incoming, id);
      if (earlier !== null) return { event: null, value: earlier };
      const { kind, base } = lineage;
      const record: StoredRecord = {
        id,
        kind,
        base,
        time,
        state: "candidate",
        reasons: [],
        verdict: null,
        accepted: [],
      };
      this.#objects.sign(id, `${kind}-${id.slice(0, 12)}`, this.#key());
      this.#tables.addRecord(record);
      return { event: { type: "record-put", record: id, kind, base }, value: record };
    });
  }

  /** The record with this id, or the only one whose id begins so. */
  get(idOrPrefix: string): StoredRecord {
    const ids = /^[0-9a-f]{6,64}$/.test(idOrPrefix) ? this.#tables.idsLike(idOrPrefix) : [];
    if (ids.length === 1) return this.#tables.record(ids[0]!)!;
    throw new SelkieError(
      "unknown-name",
      ids.length === 0
        ? `store: expected the id of a record, or at least its first 6 characters, got "${idOrPrefix}"; selkie registry list shows them`
        : `store: ${ids.length} records begin with "${idOrPrefix}"; give more characters`,
    );
  }

  /** All records, oldest first. */
  list(): StoredRecord[] {
    return this.#tables.records();
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
    this.#journal.quietly(() => this.#requireEnd());
    const id = this.#tables.alias(alias);
    if (id === undefined)
      throw new SelkieError(
        "unknown-name",
        `store: no alias "${alias}"; promote a record first: selkie registry promote <id> --alias ${alias}`,
      );
    const served = id ?? this.#tables.moves(alias).findLast((move) => move.record !== null)?.record ?? null;
    const record = served === null ? null : this.#tables.record(served);
    if (kind !== undefined && record !== null && record.kind !== kind)
      throw new SelkieError(
        "bad-option",
        `store: expected an alias of kind ${kind}, got "${alias}", which serves the ${record.kind} ${shortId(served)}; ${record.kind === "policy" ? "use it with --model" : "use it with --adapter"}`,
      );
    if (id === null) return { record: null, directory: null };
    this.verifyRecord(id);
    return { record, directory: this.objectPath(id) };
  }

  /** The log ends as was signed, and with it what the aliases serve: one signature, and one line of the log. */
  #requireEnd(): void {
    const { head } = this;
    const served = this.#tables.served();
    const isSigned =
      head.length === 0 ? this.aliases().length === 0 : isHeadSignedBy(head, served, head.signature, this.publicKey);
    if (isSigned && hasLine(this.logPath, head)) return;
    throw new SelkieError(
      "store-unsound",
      `store: ${isSigned ? "the log does not end as was signed" : "what the aliases serve is not what was signed with the end of the log"}; it was changed from outside, so nothing is served from it; see selkie registry verify`,
    );
  }

  /** The time that the next change will carry: the clock's, but never before the last change. */
  now(): number {
    return this.#journal.now();
  }

  /**
   * Has the grader examine a record and writes its verdict down. A promoted record stays promoted: only a rollback takes
   * it out of service. One that was put aside stays so, whatever gate the verdict was given under.
   */
  async examine(id: string, options: ExamineOptions): Promise<Examined> {
    const request = requestFor(this, this.get(id), options);
    const examination = await this.#grader(request, options.signal);
    return { record: this.#judge(request.recordId, examination.verdict), examination };
  }

  #judge(id: string, verdict: Verdict): StoredRecord {
    return this.#journal.change(() => {
      const record = this.get(id);
      const state = stateAfter(record.state, verdict);
      this.#tables.setState(id, state, reasonsAfter(record.state, record.reasons, verdict), verdict);
      return { event: { type: "record-judge", record: id, verdict: asJson(verdict) }, value: this.get(id) };
    });
  }

  /**
   * Has the grader examine a record and, if it passes as it is, points an alias to it. What serves already is left as it is.
   *
   * @throws {@link SelkieError} `"promotion-conflict"` when the alias or the canaries changed while the record was
   * examined, `"frozen"` while promotions are frozen, `"gate-closed"` for a record that is quarantined or rejected, or
   * whose policy is.
   */
  async promote(id: string, options: PromoteOptions): Promise<Promoted> {
    const record = this.get(id);
    const alias = options.alias ?? defaultAliases[record.kind];
    checkAlias(alias);
    this.#requirePromotable(record, alias);
    const expected = this.#tables.alias(alias) ?? null;
    if (expected === record.id) {
      this.serve(alias); // said of what verifies only
      return { alias, record, isServed: true, examination: null };
    }
    const request = requestFor(this, record, { ...options, alias });
    const examination = await this.#grader(request, options.signal);
    const { verdict } = examination;
    if (verdict.outcome !== "promote")
      return { alias, record: this.#judge(record.id, verdict), isServed: false, examination };
    const promoted = this.#journal.change((time) => {
      const current = this.get(record.id);
      this.#requirePromotable(current, alias);
      const previous = this.#tables.alias(alias) ?? null;
      if (previous !== expected)
        throw new SelkieError(
          "promotion-conflict",
          `promote: "${alias}" pointed to ${shortId(expected)} when ${shortId(record.id)} was examined and points to ${shortId(previous)} now; another process was faster; promote again to have it examined against that`,
        );
      if (this.sealOf(request.base) !== request.canariesDigest)
        throw new SelkieError("promotion-conflict", "promote: other canaries were sealed meanwhile; promote again");
      this.verifyRecord(record.id);
      this.#tables.moveAlias({ alias, record: record.id, previous, cause: "promote", time });
      this.#tables.setState(record.id, "promoted", verdict.reasons, verdict);
      const evidence = { canaries: request.canariesDigest, compared: request.served?.recordId ?? null };
      const event = { type: "promote", alias, record: record.id, from: previous, verdict: asJson(verdict), evidence };
      return { event, value: this.get(record.id) };
    });
    return { alias, record: promoted, isServed: true, examination };
  }

  #requirePromotable(record: StoredRecord, alias: string): void {
    const freeze = this.#tables.freeze();
    if (freeze !== null)
      throw new SelkieError(
        "frozen",
        `promote: promotions are frozen (${freeze.reason}); the holder of key ${keyFingerprint(createPublicKey(freeze.holder))} can lift it: selkie registry unfreeze --key <file>`,
      );
    if (closedStates.includes(record.state))
      throw new SelkieError(
        "gate-closed",
        `promote: ${shortId(record.id)} is ${record.state}: ${describeReasons(record.reasons, record.id)}; a person who has looked at it can let it be examined again: selkie registry release ${shortId(record.id)} --reason <text>`,
      );
    checkAliasOf(this.#tables, alias, record);
    requireTrustedBase(this, record);
  }

  /**
   * A person's word that a record which was put aside may be examined again. The reasons of a quarantine are accepted with
   * it: the grader does not put the record aside for these again, only for others. Signed and logged like every change.
   */
  release(id: string, reason: string): StoredRecord {
    if (reason.trim() === "")
      throw new SelkieError("bad-option", "release: expected a reason, got none; it goes into the log");
    return this.#journal.change(() => {
      const record = this.get(id);
      if (!closedStates.includes(record.state))
        throw new SelkieError(
          "bad-option",
          `release: expected a record that is quarantined or rejected, got ${shortId(record.id)}, which is ${record.state}`,
        );
      const lifted = record.state === "quarantined" ? record.reasons : [];
      this.#tables.setState(record.id, "candidate", [releaseReason(reason)]);
      this.#tables.setAccepted(record.id, [...record.accepted, ...lifted]);
      const event = { type: "record-release", record: record.id, from: record.state, accepted: lifted, reason };
      return { event, value: this.get(record.id) };
    });
  }

  /**
   * Points an alias back to what it served before, down to the base model; allowed while frozen.
   *
   * @param to - A record that it served once, or `"base"`. @defaultValue what served before
   */
  rollback(alias: string, reason: string, to?: string): Served {
    const id = this.#journal.change((time) => {
      const current = this.#tables.alias(alias);
      if (current === undefined || (current === null && to === undefined))
        throw new SelkieError(
          "unknown-name",
          `rollback: "${alias}" serves the base model alone; there is nothing to roll back`,
        );
      const target =
        to === undefined
          ? servedBefore(this.#tables, alias)
          : chosenBefore(this.#tables, alias, to === baseName ? null : this.get(to));
      if (target !== null) this.verifyRecord(target);
      this.#tables.moveAlias({ alias, record: target, previous: current, cause: "rollback", time });
      if (current !== null) this.#tables.setState(current, "rolled-back", [reason]);
      if (target !== null) this.#tables.setState(target, "promoted", [returnReason(current)]);
      return { event: { type: "rollback", alias, record: target, from: current, reason }, value: target };
    });
    return id === null ? { record: null, directory: null } : this.serve(alias);
  }

  /** Moves of an alias, oldest first. */
  history(alias: string): AliasMove[] {
    return this.#tables.moves(alias);
  }

  /** Stops all promotions until the holder of the key lifts it. */
  freeze(holder: KeyObject, reason: string): Freeze {
    return this.#journal.change(() => {
      const earlier = this.#tables.freeze();
      if (earlier !== null)
        throw new SelkieError("frozen", `freeze: promotions are frozen already (${earlier.reason})`);
      const freeze: Freeze = { holder: publicKeyPem(holder), sequence: this.#tables.head().length + 1, reason };
      this.#tables.setFreeze(freeze);
      return { event: { type: "freeze", holder: freeze.holder, reason }, value: freeze };
    });
  }

  /** Lifts the freeze with the private key whose public half set it. */
  unfreeze(key: KeyObject): void {
    this.#journal.change(() => {
      const freeze = this.#tables.freeze();
      if (freeze === null) throw new SelkieError("bad-option", "unfreeze: promotions are not frozen");
      const store = keyFingerprint(this.publicKey);
      const signature = key.type === "private" ? signUnfreeze(store, freeze.sequence, key) : "";
      if (!isUnfreezeSignedBy(store, freeze.sequence, signature, freeze.holder))
        throw new SelkieError(
          "bad-option",
          `unfreeze: expected the private key ${keyFingerprint(createPublicKey(freeze.holder))}, got ${keyFingerprint(key)}; only its holder can lift the freeze`,
        );
      this.#tables.setFreeze(null);
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
      this.#tables.setSeal(base, digest);
      return { event: { type: "canaries-seal", base, digest }, value: digest };
    });
  }

  /** Digest of the canaries sealed for a base model; `null` before the first seal. */
  sealOf(base: string): string | null {
    return this.seals().find((seal) => seal.base === base)?.digest ?? null;
  }

  /** Digests of the canaries in force, by base model. */
  seals(): { readonly base: string; readonly digest: string }[] {
    return this.#tables.seals();
  }

  /** Removes files that nothing refers to, as attempts that were cut short leave them. Records are never removed. */
  gc(): string[] {
    return this.#journal.change(() => {
      const ids = new Set(this.list().map(({ id }) => id));
      const seals = new Set(this.#tables.seals().map(({ digest }) => digest));
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
    this.#tables.database.close();
  }
}

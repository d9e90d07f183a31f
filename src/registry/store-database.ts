/** @file The store's SQLite file: tables, rows, and what each question to them is. Write-ahead log, one writer at a time. */
import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { guardWrite, SelkieError, systemErrorCode, writeFailure } from "../util/index.ts";
import { type AuditHead, emptyHead, type ServedAliases } from "./audit.ts";
import type { RecordKind, RecordState, StoredRecord, Verdict } from "./record.ts";

const formatVersion = 2;
const busyMs = 20_000;

const tables = `
CREATE TABLE IF NOT EXISTS records (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, base TEXT, time INTEGER NOT NULL,
  state TEXT NOT NULL, reasons TEXT NOT NULL, verdict TEXT, accepted TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS moves (
  number INTEGER PRIMARY KEY AUTOINCREMENT, alias TEXT NOT NULL, record TEXT, previous TEXT,
  cause TEXT NOT NULL, time INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS aliases (name TEXT PRIMARY KEY, record TEXT) STRICT;
CREATE TABLE IF NOT EXISTS seals (base TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS freezes (one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, sequence INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS head (
  one INTEGER PRIMARY KEY CHECK (one = 1), length INTEGER NOT NULL, hash TEXT NOT NULL, signature TEXT NOT NULL,
  start INTEGER NOT NULL, bytes INTEGER NOT NULL, pending TEXT) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
`;

/** A move of an alias. */
export interface AliasMove {
  readonly alias: string;
  /** `null` is the base model alone. */
  readonly record: string | null;
  readonly previous: string | null;
  readonly cause: "promote" | "rollback";
  readonly time: number;
}

/** Head of the log as recorded; `pending` is a line that may not have reached the file yet. */
export interface RecordedHead extends AuditHead {
  /** Of the head and of what the aliases serve. */
  readonly signature: string;
  /** Where the last line begins in the file, without the pending one. */
  readonly start: number;
  /** Length of the file without the pending line. */
  readonly bytes: number;
  readonly pending: string | null;
}

/** A freeze in force. */
export interface Freeze {
  /** Public key, PEM, whose owner alone can lift it. */
  readonly holder: string;
  /** Entry of the log that set it. */
  readonly sequence: number;
  readonly reason: string;
}

type Value = string | number | null;
type Row = Readonly<Record<string, Value>>;

/** Opens the file, creating its tables where they are missing. */
export function openDatabase(path: string): DatabaseSync {
  // loaded here, not imported: Node announces sqlite as experimental wherever it is loaded, used or not
  const { DatabaseSync: Database } = process.getBuiltinModule("node:sqlite");
  const database = guardWrite(path, () => new Database(path, { timeout: busyMs }));
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
    if (version !== formatVersion && version !== 0)
      throw new SelkieError(
        "bad-file",
        `${path}: expected format ${formatVersion}, got ${version}; ${version > formatVersion ? "use a newer Selkie" : "an older Selkie made it, whose log does not sign its verdicts: begin a new store with --store, and register again"}`,
      );
    if (version === 0) database.exec(`BEGIN IMMEDIATE; ${tables} PRAGMA user_version = ${formatVersion}; COMMIT`);
    return database;
  } catch (cause) {
    database.close();
    if (cause instanceof SelkieError) throw cause;
    if (systemErrorCode(cause) !== null) throw writeFailure(path, cause);
    throw new SelkieError("bad-file", `${path}: expected the database of a store, got ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Questions to the tables, and changes to them; whoever changes holds a transaction. */
export class Tables {
  readonly database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  #get(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.database.prepare(sql).get(...values) as Row | undefined;
  }

  #all(sql: string, ...values: readonly Value[]): Row[] {
    return this.database.prepare(sql).all(...values) as Row[];
  }

  #run(sql: string, ...values: readonly Value[]): void {
    this.database.prepare(sql).run(...values);
  }

  fact(name: string): string | null {
    return (this.#get("SELECT value FROM facts WHERE name = ?", name)?.["value"] as string | undefined) ?? null;
  }

  setFact(name: string, value: string): void {
    this.#run("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, value);
  }

  record(id: string): StoredRecord | null {
    const row = this.#get("SELECT * FROM records WHERE id = ?", id);
    return row === undefined ? null : toRecord(row);
  }

  /** All records, oldest first. */
  records(): StoredRecord[] {
    return this.#all("SELECT * FROM records ORDER BY time, id").map(toRecord);
  }

  /** Ids that begin with `prefix`. */
  idsLike(prefix: string): string[] {
    return this.#all("SELECT id FROM records WHERE substr(id, 1, ?) = ?", prefix.length, prefix).map(
      (row) => row["id"] as string,
    );
  }

  addRecord({ id, kind, base, time, state, reasons, verdict, accepted }: StoredRecord): void {
    const judged = verdict === null ? null : JSON.stringify(verdict);
    this.#run(
      "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      id,
      kind,
      base,
      time,
      state,
      JSON.stringify(reasons),
      judged,
      JSON.stringify(accepted),
    );
  }

  setAccepted(id: string, accepted: readonly string[]): void {
    this.#run("UPDATE records SET accepted = ? WHERE id = ?", JSON.stringify(accepted), id);
  }

  setState(id: string, state: RecordState, reasons: readonly string[], verdict?: Verdict): void {
    this.#run("UPDATE records SET state = ?, reasons = ? WHERE id = ?", state, JSON.stringify(reasons), id);
    if (verdict !== undefined) this.#run("UPDATE records SET verdict = ? WHERE id = ?", JSON.stringify(verdict), id);
  }

  /** Record of an alias: `undefined` where there is no such alias, `null` for the base alone. */
  alias(name: string): string | null | undefined {
    return this.#get("SELECT record FROM aliases WHERE name = ?", name)?.["record"] as string | null | undefined;
  }

  aliases(): { readonly name: string; readonly record: string | null }[] {
    return this.#all("SELECT name, record FROM aliases ORDER BY name") as unknown as {
      name: string;
      record: string | null;
    }[];
  }

  /** What each alias serves, as it is signed. */
  served(): ServedAliases {
    return Object.fromEntries(this.aliases().map(({ name, record }) => [name, record]));
  }

  moveAlias({ alias, record, previous, cause, time }: AliasMove): void {
    this.#run("INSERT OR REPLACE INTO aliases VALUES (?, ?)", alias, record);
    this.#run(
      "INSERT INTO moves (alias, record, previous, cause, time) VALUES (?, ?, ?, ?, ?)",
      alias,
      record,
      previous,
      cause,
      time,
    );
  }

  /** Moves of an alias, oldest first. */
  moves(alias: string): AliasMove[] {
    return this.#all(
      "SELECT alias, record, previous, cause, time FROM moves WHERE alias = ? ORDER BY number",
      alias,
    ) as unknown as AliasMove[];
  }

  /** Moves of all aliases, oldest first. */
  allMoves(): AliasMove[] {
    return this.#all(
      "SELECT alias, record, previous, cause, time FROM moves ORDER BY number",
    ) as unknown as AliasMove[];
  }

  seals(): { readonly base: string; readonly digest: string }[] {
    return this.#all("SELECT base, digest FROM seals ORDER BY base") as unknown as { base: string; digest: string }[];
  }

  setSeal(base: string, digest: string): void {
    this.#run("INSERT OR REPLACE INTO seals VALUES (?, ?)", base, digest);
  }

  freeze(): Freeze | null {
    return (this.#get("SELECT holder, sequence, reason FROM freezes") as unknown as Freeze | undefined) ?? null;
  }

  setFreeze(freeze: Freeze | null): void {
    this.#run("DELETE FROM freezes");
    if (freeze !== null)
      this.#run("INSERT INTO freezes VALUES (1, ?, ?, ?)", freeze.holder, freeze.sequence, freeze.reason);
  }

  head(): RecordedHead {
    const row = this.#get("SELECT length, hash, signature, start, bytes, pending FROM head");
    return (
      (row as unknown as RecordedHead | undefined) ?? { ...emptyHead, signature: "", start: 0, bytes: 0, pending: null }
    );
  }

  setHead({ length, hash, signature, start, bytes, pending }: RecordedHead): void {
    this.#run(
      "INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?, ?, ?, ?)",
      length,
      hash,
      signature,
      start,
      bytes,
      pending,
    );
  }
}

function toRecord(row: Row): StoredRecord {
  return {
    id: row["id"] as string,
    kind: row["kind"] as RecordKind,
    base: row["base"] as string | null,
    time: row["time"] as number,
    state: row["state"] as RecordState,
    reasons: toTexts(row["reasons"] as string),
    verdict: row["verdict"] === null ? null : toVerdict(row["verdict"] as string),
    accepted: toTexts(row["accepted"] as string),
  };
}

/** A column that somebody else wrote may hold anything: then it is kept as text, which is not what the log says. */
function parseColumn<S extends z.ZodType>(schema: S, text: string): z.output<S> | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

const texts = z.array(z.string());
const judgement = z.looseObject({ outcome: z.enum(["promote", "rescale", "quarantine", "reject"]), reasons: texts });

const toTexts = (text: string): string[] => parseColumn(texts, text) ?? [`not a list: ${text}`];
const toVerdict = (text: string): Verdict =>
  (parseColumn(judgement, text) as Verdict | null) ?? {
    outcome: "reject",
    reasons: [`not a verdict: ${text}`],
    details: null,
  };

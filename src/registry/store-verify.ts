/**
 * @file Whether a store is what it says it is: the log's chain and its signed end, every record's signature and content,
 * and that the database holds exactly what the log, replayed from its first line, leads to.
 */

import type { KeyObject } from "node:crypto";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SelkieError } from "../util/index.ts";
import { type AuditEntry, checkHead, isHeadSignedBy, readAuditLog } from "./audit.ts";
import { digestFile, digestOf } from "./digests.ts";
import { latestTime } from "./journal.ts";
import { canonicalJson, type Json } from "./json.ts";
import {
  closedStates,
  type RecordState,
  reasonsAfter,
  releaseReason,
  returnReason,
  type StoredRecord,
  stateAfter,
  type Verdict,
} from "./record.ts";
import { keyFingerprint, publicKeyPem } from "./signing.ts";
import type { Tables } from "./store-database.ts";
import { tablesOf } from "./store-internals.ts";
import { isUnfreezeSignedBy } from "./store-keys.ts";
import { refuseLinks } from "./store-pins.ts";
import type { StoreView } from "./store-view.ts";

/** What {@link verifyStore} found. */
export interface StoreReport {
  readonly isSound: boolean;
  /** One sentence each; empty when sound. */
  readonly problems: readonly string[];
  /** Ids of records whose row in the database is not what the log leads to: nothing it says can be believed. */
  readonly changedRecords: readonly string[];
  readonly numRecords: number;
  readonly numEntries: number;
  /** Hash of the log's last line; note it elsewhere to detect a store put back to an earlier state. */
  readonly head: string;
}

/** Options of {@link verifyStore}. */
export interface VerifyOptions {
  /** A key from outside the store that must be the store's own. */
  readonly publicKey?: KeyObject;
  /** A head noted earlier, hex; the log must still contain it. */
  readonly expectedHead?: string;
  /** Leave the files of the records unread, whose size may be large; they are verified on load in any case. */
  readonly skipRecords?: boolean;
}

/** Checks everything; problems are collected, not thrown. */
export function verifyStore(store: StoreView, options: VerifyOptions = {}): StoreReport {
  const problems: string[] = [];
  const attempt = <T>(work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof SelkieError)) throw error;
      problems.push(error.message);
      return null;
    }
  };
  problems.push(...store.trustProblems);
  attempt(() => refuseLinks(store.directory));
  const text = attempt(() => store.quietly(() => readLog(store))) ?? readLog(store);
  const { head } = store;
  const tables = tablesOf(store);
  if (options.publicKey !== undefined && keyFingerprint(options.publicKey) !== keyFingerprint(store.publicKey))
    problems.push(
      `store: expected key ${keyFingerprint(options.publicKey)}, got ${keyFingerprint(store.publicKey)}; it was signed anew by somebody else`,
    );
  problems.push(...checkKeyFile(store));
  attempt(() => checkHead(text, head));
  if (head.length > 0 && !isHeadSignedBy(head, tables.served(), head.signature, store.publicKey))
    problems.push(
      "audit log: the signature of its end does not fit, or what the aliases serve is not what was signed with it; the database was changed",
    );
  if (options.expectedHead !== undefined && !text.split("\n").some((line) => digestOf(line) === options.expectedHead))
    problems.push(
      `audit log: no line has the hash ${options.expectedHead}; the store was put back to an earlier state, or written anew`,
    );
  const entries = attempt(() => readAuditLog(text));
  const compared = entries === null ? { problems: [], changed: [] } : compareState(store, tables, entries);
  problems.push(...compared.problems);
  if (options.skipRecords !== true) for (const { id } of store.list()) attempt(() => store.verifyRecord(id));
  for (const { base, digest } of store.seals()) attempt(() => checkSeal(store, base, digest));
  return {
    isSound: problems.length === 0,
    problems,
    changedRecords: entries === null ? store.list().map(({ id }) => id) : compared.changed,
    numRecords: store.list().length,
    numEntries: head.length,
    head: head.hash,
  };
}

/** The copy of the public key that people take from the store must be the key that the store uses. */
function checkKeyFile(store: StoreView): string[] {
  const path = join(store.directory, "keys", "public.pem");
  const text = existsSync(path) ? readFileSync(path, "utf8") : "nothing";
  return text.trim() === publicKeyPem(store.publicKey).trim()
    ? []
    : [
        `${path}: expected the store's public key, got ${text === "nothing" ? text : "another one"}; somebody replaced the file or the key in the database`,
      ];
}

const readLog = (store: StoreView): string => (existsSync(store.logPath) ? readFileSync(store.logPath, "utf8") : "");

/** Throws unless the sealed canaries are the ones that were sealed. */
export function checkSeal(store: StoreView, base: string, digest: string): void {
  const path = store.canariesPath(digest);
  const isFile = lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? false; // and no link to one
  const actual = isFile ? digestFile(path) : "nothing";
  if (actual !== digest)
    throw new SelkieError(
      "canaries-changed",
      `${path}: expected sha256 ${digest}, got ${actual}; the canaries of base ${base.slice(0, 12)} were changed after they were sealed`,
    );
}

/** What the log leads to. */
interface Replayed {
  readonly records: Map<string, StoredRecord>;
  readonly aliases: Map<string, string | null>;
  readonly seals: Map<string, string>;
  /** Moves of aliases: what, to where, from where, when. */
  readonly moves: string[];
  freeze: AuditEntry | null;
  readonly problems: string[];
}

type Replay = (entry: AuditEntry, state: Replayed, store: string) => void;
const text = (entry: AuditEntry, field: string): string => String(entry[field]);
const idOf = (entry: AuditEntry, field: string): string | null => entry[field] as string | null;
const verdictOf = (entry: AuditEntry): Verdict => entry["verdict"] as unknown as Verdict;

/** One move as text, to compare the log's with the database's. */
const describeMove = (...parts: readonly unknown[]): string => parts.join(" ");

function replayMove(entry: AuditEntry, { aliases, moves }: Replayed): void {
  aliases.set(text(entry, "alias"), idOf(entry, "record"));
  moves.push(describeMove(entry.type, entry["alias"], entry["record"], entry["from"], entry.time));
}

function change({ records }: Replayed, id: string | null, changes: Partial<StoredRecord>): void {
  const record = id === null ? undefined : records.get(id);
  if (record !== undefined) records.set(record.id, { ...record, ...changes });
}

const replays: Readonly<Record<string, Replay>> = {
  "record-put": (entry, { records }) => {
    const { time } = entry;
    const [id, kind] = [text(entry, "record"), text(entry, "kind") as StoredRecord["kind"]];
    const fresh = { state: "candidate" as RecordState, reasons: [], verdict: null, accepted: [] };
    records.set(id, { id, kind, base: idOf(entry, "base"), time, ...fresh });
  },
  "record-judge": (entry, state) => {
    const verdict = verdictOf(entry);
    const before = state.records.get(text(entry, "record"));
    if (before === undefined) return;
    const reasons = reasonsAfter(before.state, before.reasons, verdict);
    change(state, before.id, { state: stateAfter(before.state, verdict), reasons, verdict });
  },
  "record-release": (entry, state) => {
    const before = state.records.get(text(entry, "record"));
    const accepted = [...(before?.accepted ?? []), ...(entry["accepted"] as readonly string[])];
    change(state, text(entry, "record"), {
      state: "candidate",
      reasons: [releaseReason(text(entry, "reason"))],
      accepted,
    });
  },
  promote(entry, state) {
    const { records, freeze, problems } = state;
    const verdict = verdictOf(entry);
    const before = records.get(text(entry, "record"))?.state;
    if (before === undefined || closedStates.includes(before) || verdict.outcome !== "promote")
      problems.push(
        `audit log: entry ${entry.sequence} promotes a record that is ${before ?? "unknown"}, with the verdict ${verdict.outcome}`,
      );
    change(state, text(entry, "record"), { state: "promoted", reasons: verdict.reasons, verdict });
    replayMove(entry, state);
    if (freeze !== null)
      problems.push(`audit log: entry ${entry.sequence} promotes while frozen by entry ${freeze.sequence}`);
  },
  rollback(entry, state) {
    const from = idOf(entry, "from");
    change(state, from, { state: "rolled-back", reasons: [text(entry, "reason")] });
    change(state, idOf(entry, "record"), { state: "promoted", reasons: [returnReason(from)] });
    replayMove(entry, state);
  },
  freeze(entry, state) {
    state.freeze = entry;
  },
  unfreeze(entry, state, store) {
    const { freeze, problems } = state;
    const isLifted =
      freeze !== null && isUnfreezeSignedBy(store, freeze.sequence, text(entry, "signature"), text(freeze, "holder"));
    if (!isLifted)
      problems.push(`audit log: entry ${entry.sequence} lifts a freeze without the signature of its holder`);
    state.freeze = null;
  },
  "canaries-seal": (entry, { seals }) => seals.set(text(entry, "base"), text(entry, "digest")),
  gc() {},
};

function replay(entries: readonly AuditEntry[], key: string): Replayed {
  const state: Replayed = {
    records: new Map(),
    aliases: new Map(),
    seals: new Map(),
    moves: [],
    freeze: null,
    problems: [],
  };
  for (const [index, entry] of entries.entries()) {
    const step = replays[entry.type];
    if (entry.time < (entries[index - 1]?.time ?? 0))
      state.problems.push(`audit log: entry ${entry.sequence} is older than the one before it; the clock was put back`);
    if (step === undefined)
      state.problems.push(`audit log: entry ${entry.sequence} has the unknown type "${entry.type}"`);
    else step(entry, state, key);
  }
  return state;
}

/** Each part of a record's row, as problems name it; texts that may be long are told apart by their digest. */
const parts: readonly (readonly [what: string, of: (record: StoredRecord) => string])[] = [
  ["record", ({ state }) => state],
  ["kind and base of record", ({ kind, base }) => `${kind} of ${base ?? "nothing"}`],
  ["time of record", ({ time }) => `${time}`],
  ["reasons of record", ({ reasons }) => describeJson(reasons as Json)],
  ["verdict of record", ({ verdict }) => describeJson(verdict as unknown as Json)],
  ["accepted reasons of record", ({ accepted }) => describeJson(accepted as Json)],
];

function describeJson(value: Json): string {
  const whole = canonicalJson(value);
  return whole.length <= 80 ? whole : `${whole.slice(0, 60)}… (sha256 ${digestOf(whole).slice(0, 12)})`;
}

interface Comparison {
  readonly problems: readonly string[];
  readonly changed: readonly string[];
}

function compareRecords(logged: ReadonlyMap<string, StoredRecord>, found: readonly StoredRecord[]): Comparison {
  const rows = new Map(found.map((record) => [record.id, record]));
  const ids = [...new Set([...logged.keys(), ...rows.keys()])];
  const problems = new Map(
    ids.map((id) => {
      const [before, now] = [logged.get(id), rows.get(id)];
      const isAbsent = before === undefined || now === undefined;
      return [
        id,
        parts
          .slice(0, isAbsent ? 1 : parts.length)
          .flatMap(([what, of]) =>
            compareMaps(what, new Map(before && [[id, of(before)]]), new Map(now && [[id, of(now)]])),
          ),
      ];
    }),
  );
  return { problems: [...problems.values()].flat(), changed: ids.filter((id) => problems.get(id)!.length > 0) };
}

function compareState(store: StoreView, tables: Tables, entries: readonly AuditEntry[]): Comparison {
  const state = replay(entries, keyFingerprint(store.publicKey));
  const moves = tables
    .allMoves()
    .map(({ cause, alias, record, previous, time }) => describeMove(cause, alias, record, previous, time));
  const isSameHistory =
    moves.length === state.moves.length && moves.every((move, index) => move === state.moves[index]);
  const records = compareRecords(state.records, store.list());
  const problems = [
    ...state.problems,
    ...(isSameHistory ? [] : ["aliases: their history in the database is not the one in the log"]),
    ...records.problems,
    ...compareMaps(
      "time of the",
      new Map(entries.slice(-1).map(({ time }) => ["last change", `${time}`])),
      latestOf(tables),
    ),
    ...compareMaps("alias", state.aliases, new Map(tables.aliases().map(({ name, record }) => [name, record]))),
    ...compareMaps("canaries of base", state.seals, new Map(tables.seals().map(({ base, digest }) => [base, digest]))),
    ...compareMaps("freeze", freezeOf(state.freeze), freezeOf(tables.freeze())),
  ];
  return { problems, changed: records.changed };
}

function latestOf(tables: Tables): Map<string, string> {
  const time = tables.fact(latestTime);
  return new Map(time === null ? [] : [["last change", time]]);
}

/** The holder too: whoever put a key of his own there could lift the freeze. */
const freezeOf = (freeze: { readonly sequence: number; readonly holder?: unknown } | null): Map<string, string> =>
  new Map(
    freeze === null
      ? []
      : [["set by entry", `${freeze.sequence}, key ${digestOf(String(freeze.holder)).slice(0, 12)}`]],
  );

function compareMaps(
  what: string,
  logged: ReadonlyMap<string, string | null>,
  found: ReadonlyMap<string, string | null>,
): string[] {
  const describe = (map: ReadonlyMap<string, string | null>, key: string) =>
    map.has(key) ? (map.get(key) ?? "the base model") : "nothing";
  return [...new Set([...logged.keys(), ...found.keys()])]
    .filter((key) => describe(logged, key) !== describe(found, key))
    .map(
      (key) =>
        `${what} ${key.slice(0, 12)}: the log leads to ${describe(logged, key)}, the database says ${describe(found, key)}`,
    );
}

/**
 * @file Whether a store is what it says it is: the log's chain and its signed end, every record's signature and content,
 * and that the database holds exactly what the log, replayed from its first line, leads to.
 */

import type { KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { SelkieError } from "../util/index.ts";
import { digestFile, digestOf } from "./atomic-file.ts";
import { type AuditEntry, checkHead, isHeadSignedBy, readAuditLog } from "./audit.ts";
import { latestTime } from "./journal.ts";
import { keyFingerprint } from "./signing.ts";
import type { Store } from "./store.ts";
import { isUnfreezeSignedBy } from "./store-keys.ts";

/** What {@link verifyStore} found. */
export interface StoreReport {
  readonly isSound: boolean;
  /** One sentence each; empty when sound. */
  readonly problems: readonly string[];
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
export function verifyStore(store: Store, options: VerifyOptions = {}): StoreReport {
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
  const text = attempt(() => store.quietly(() => readLog(store))) ?? readLog(store);
  const head = store.tables.head();
  if (options.publicKey !== undefined && keyFingerprint(options.publicKey) !== keyFingerprint(store.publicKey))
    problems.push(
      `store: expected key ${keyFingerprint(options.publicKey)}, got ${keyFingerprint(store.publicKey)}; it was signed anew by somebody else`,
    );
  attempt(() => checkHead(text, head));
  if (head.length > 0 && !isHeadSignedBy(head, head.signature, store.publicKey))
    problems.push("audit log: the signature of its end does not fit; the database was changed");
  if (options.expectedHead !== undefined && !text.split("\n").some((line) => digestOf(line) === options.expectedHead))
    problems.push(
      `audit log: no line has the hash ${options.expectedHead}; the store was put back to an earlier state, or written anew`,
    );
  const entries = attempt(() => readAuditLog(text));
  if (entries !== null) problems.push(...compareState(store, entries));
  if (options.skipRecords !== true) for (const { id } of store.list()) attempt(() => store.verifyRecord(id));
  for (const { base, digest } of store.tables.seals()) attempt(() => checkSeal(store, base, digest));
  return {
    isSound: problems.length === 0,
    problems,
    numRecords: store.list().length,
    numEntries: head.length,
    head: head.hash,
  };
}

const readLog = (store: Store): string => (existsSync(store.logPath) ? readFileSync(store.logPath, "utf8") : "");

/** Throws unless the sealed canaries are the ones that were sealed. */
export function checkSeal(store: Store, base: string, digest: string): void {
  const path = store.canariesPath(digest);
  const actual = existsSync(path) ? digestFile(path) : "nothing";
  if (actual !== digest)
    throw new SelkieError(
      "canaries-changed",
      `${path}: expected sha256 ${digest}, got ${actual}; the canaries of base ${base.slice(0, 12)} were changed after they were sealed`,
    );
}

/** What the log leads to. */
interface Replayed {
  readonly states: Map<string, string>;
  /** Kind and base of each record, which decide what it may be used with. */
  readonly origins: Map<string, string>;
  /** When each record was stored. */
  readonly times: Map<string, string>;
  readonly aliases: Map<string, string | null>;
  readonly seals: Map<string, string>;
  /** Moves of aliases: what, to where, from where. */
  readonly moves: string[];
  freeze: AuditEntry | null;
  readonly problems: string[];
}

type Replay = (entry: AuditEntry, state: Replayed, store: string) => void;
const text = (entry: AuditEntry, field: string): string => String(entry[field]);

/** One move as text, to compare the log's with the database's. */
const describeMove = (type: string, alias: unknown, record: unknown, previous: unknown): string =>
  [type, alias, record, previous].join(" ");

const describeOrigin = (kind: unknown, base: unknown): string => `${kind} of ${base ?? "nothing"}`;

function replayMove(entry: AuditEntry, { aliases, moves }: Replayed): void {
  aliases.set(text(entry, "alias"), entry["record"] as string | null);
  moves.push(describeMove(entry.type, entry["alias"], entry["record"], entry["from"]));
}

const replays: Readonly<Record<string, Replay>> = {
  "record-put": (entry, { states, times, origins }) => {
    origins.set(text(entry, "record"), describeOrigin(entry["kind"], entry["base"]));
    states.set(text(entry, "record"), "candidate");
    times.set(text(entry, "record"), `${entry.time}`);
  },
  "record-judge": (entry, { states }) => states.set(text(entry, "record"), text(entry, "state")),
  promote(entry, state) {
    const { states, freeze, problems } = state;
    states.set(text(entry, "record"), "promoted");
    replayMove(entry, state);
    if (freeze !== null)
      problems.push(`audit log: entry ${entry.sequence} promotes while frozen by entry ${freeze.sequence}`);
  },
  rollback(entry, state) {
    state.states.set(text(entry, "from"), "rolled-back");
    if (entry["record"] !== null) state.states.set(text(entry, "record"), "promoted");
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

function compareState(store: Store, entries: readonly AuditEntry[]): string[] {
  const state: Replayed = {
    states: new Map(),
    origins: new Map(),
    times: new Map(),
    aliases: new Map(),
    seals: new Map(),
    moves: [],
    freeze: null,
    problems: [],
  };
  for (const [index, entry] of entries.entries()) {
    const replay = replays[entry.type];
    if (entry.time < (entries[index - 1]?.time ?? 0))
      state.problems.push(`audit log: entry ${entry.sequence} is older than the one before it; the clock was put back`);
    if (replay === undefined)
      state.problems.push(`audit log: entry ${entry.sequence} has the unknown type "${entry.type}"`);
    else replay(entry, state, keyFingerprint(store.publicKey));
  }
  const { tables } = store;
  const moves = tables
    .allMoves()
    .map(({ cause, alias, record, previous }) => describeMove(cause, alias, record, previous));
  const isSameHistory =
    moves.length === state.moves.length && moves.every((move, index) => move === state.moves[index]);
  return [
    ...state.problems,
    ...(isSameHistory ? [] : ["aliases: their history in the database is not the one in the log"]),
    ...compareMaps("record", state.states, new Map(store.list().map((record) => [record.id, record.state]))),
    ...compareMaps(
      "kind and base of record",
      state.origins,
      new Map(store.list().map(({ id, kind, base }) => [id, describeOrigin(kind, base)])),
    ),
    ...compareMaps("time of record", state.times, new Map(store.list().map(({ id, time }) => [id, `${time}`]))),
    ...compareMaps(
      "time of the",
      new Map(entries.slice(-1).map(({ time }) => ["last change", `${time}`])),
      latestOf(tables),
    ),
    ...compareMaps("alias", state.aliases, new Map(tables.aliases().map(({ name, record }) => [name, record]))),
    ...compareMaps("canaries of base", state.seals, new Map(tables.seals().map(({ base, digest }) => [base, digest]))),
    ...compareMaps("freeze", freezeOf(state.freeze), freezeOf(tables.freeze())),
  ];
}

function latestOf(tables: Store["tables"]): Map<string, string> {
  const time = tables.fact(latestTime);
  return new Map(time === null ? [] : [["last change", time]]);
}

const freezeOf = (freeze: { readonly sequence: number } | null): Map<string, string> =>
  new Map(freeze === null ? [] : [["set by entry", String(freeze.sequence)]]);

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

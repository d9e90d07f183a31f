/** @file What the parts of `selkie registry` do; `commands/registry.ts` names them. */
import { existsSync, readFileSync } from "node:fs";
import { type GateDecision, type GatePolicy, loosenedThresholds, parseCanaries } from "../adapt/index.ts";
import { gateDigest, loadGate, openVerbStore, pinFolder, promoteRecord } from "../app/index.ts";
import { digestCheckpoint } from "../models/index.ts";
import {
  type AuditEntry,
  createSigningKey,
  describeReasons,
  digestOf,
  keyFingerprint,
  type listFiles,
  loadPublicKey,
  loadSigningKey,
  PinFile,
  type RecordLineage,
  readAuditLog,
  type Store,
  type StoredRecord,
  type Verdict,
  verifyStore,
  writeNewKey,
} from "../registry/index.ts";
import type { QuantisedFormat } from "../tensor/index.ts";
import { countOf, SelkieError } from "../util/index.ts";
import { formatTable, shorten, wrapProse } from "./format.ts";
import { asStarted } from "./invocation.ts";
import { badNews, checkBases, checkGates, describeProblems, loosenedFor, reportStore } from "./store-checks.ts";
import type { StoreVerbOptions } from "./store-options.ts";
import type { VerbContext } from "./verb.ts";

const short = (id: string | null): string => (id === null ? "the base model" : id.slice(0, 12));
/** Sentences with the commands in them as this user has to type them, no wider than the terminal. */
const say = (text: string): string => wrapProse(asStarted(text));
const formatTime = (time: number): string => new Date(time).toISOString().replace("T", " ").slice(0, 19);

const aliasesOf = (store: Store, id: string): string[] =>
  store
    .aliases()
    .filter(({ record }) => record === id)
    .map(({ name }) => `@${name}`);

/** Why a record is in its state; a row that the log does not lead to cannot be believed. */
const why = (record: StoredRecord, changed: readonly string[]): string =>
  changed.includes(record.id) ? "TAMPERED: this row is not what the log says" : record.reasons.join("; ");

/** `selkie registry list`. */
export async function list(_: readonly string[], options: StoreVerbOptions, { output }: VerbContext): Promise<void> {
  using store = openVerbStore(options, { isReporting: true });
  const report = reportStore(store);
  const records = store.list().map((record) => ({ ...record, aliases: aliasesOf(store, record.id) }));
  const frozen = store.frozen();
  const rows = records.map((record) => [
    short(record.id),
    record.kind,
    record.state,
    formatTime(record.time),
    record.aliases.join(" "),
    shorten(why(record, report.changedRecords), 120),
  ]);
  const gates = checkGates(store, report);
  const problems = [...report.problems, ...gates.problems];
  if (problems.length > 0) process.exitCode = badNews;
  const table = formatTable([["id", "kind", "state", "stored (UTC)", "alias", "why"], ...rows]);
  const lines = [
    ...describeProblems({ problems }),
    ...(records.length > 0 ? [table] : report.isSound ? ["The store is empty."] : []),
    ...(gates.loosened.length > 0 ? [say(gates.loosened.join("\n"))] : []),
    ...(frozen === null ? [] : [say(`Promotions are frozen: ${frozen.reason}.`)]),
  ];
  output.result(
    {
      records: records.map(({ verdict: _verdict, ...record }) => ({
        ...record,
        isTampered: report.changedRecords.includes(record.id),
      })),
      aliases: store.aliases(),
      frozen,
      problems,
      loosened: gates.loosened,
    },
    lines.join("\n\n"),
  );
}

/** `selkie registry show`. */
export async function show([id]: readonly string[], options: StoreVerbOptions, { output }: VerbContext): Promise<void> {
  using store = openVerbStore(options, { isReporting: true });
  const report = reportStore(store);
  const record = store.get(id!);
  const files = store.verifyRecord(record.id);
  const lineage = store.lineage(record.id);
  const aliases = aliasesOf(store, record.id);
  const isTampered = report.changedRecords.includes(record.id);
  const loosened = isTampered ? [] : loosenedFor(record); // of a verdict that does not verify nothing is known
  const shown = isTampered ? { ...record, reasons: [why(record, report.changedRecords)] } : record;
  output.result(
    {
      record,
      isTampered,
      problems: report.problems,
      loosened,
      aliases,
      lineage,
      files,
      directory: store.objectPath(record.id),
    },
    [...describeProblems(report), describeRecord(store, shown, { lineage, files, isTampered })].join("\n\n"),
  );
}

function describeGate(record: StoredRecord, isTampered: boolean): string {
  if (isTampered) return "the verdict does not verify: this row is not what the log says; see selkie registry verify";
  const policy = (record.verdict?.details as { readonly policy?: GatePolicy } | null | undefined)?.policy;
  if (record.verdict === null || policy === undefined) return "not judged yet";
  const loosened = loosenedFor(record);
  const kind = loosened.length === 0 ? "no looser than the default" : `LOOSER than the default: ${loosened.join(", ")}`;
  return `${record.verdict.outcome} under gate ${gateDigest(policy).slice(0, 12)}, ${kind}`;
}

interface ShownParts {
  readonly lineage: RecordLineage;
  readonly files: ReturnType<typeof listFiles>;
  /** True where the row is not what the log leads to. */
  readonly isTampered: boolean;
}

function describeRecord(store: Store, record: StoredRecord, { lineage, files, isTampered }: ShownParts): string {
  const { config, origin, ...rest } = lineage;
  const facts = [
    ["id", record.id],
    ["kind", record.kind],
    ["state", `${record.state}${record.reasons.length === 0 ? "" : `: ${record.reasons.join("; ")}`}`],
    ["gate", asStarted(describeGate(record, isTampered))],
    ["alias", aliasesOf(store, record.id).join(" ") || "none"],
    ["stored", `${formatTime(record.time)} UTC`],
    ["base", rest.base ?? "none"],
    ["parents", rest.parents.map(short).join(" ") || "none"],
    ["data", rest.data.map(({ name, sha256 }) => `${name} (${short(sha256)})`).join(", ")],
    ["self-edits", rest.selfEdits.map(({ name, sha256 }) => `${name} (${short(sha256)})`).join(", ")],
    ["seed", String(rest.seed)],
    [
      "metrics",
      Object.entries(rest.metrics)
        .map(([name, value]) => `${name} ${value?.toFixed(3) ?? "–"}`)
        .join(", "),
    ],
    ["config", describeFields(config)],
    ["origin", describeFields(origin)],
    ["files", files.map(({ name, digest }) => `${name} (${short(digest)})`).join(", ")],
    ["signature", "valid, all files as signed"],
  ];
  return `${formatTable(facts, [], { hasHead: false })}\n\n${store.objectPath(record.id)}`;
}

/** Plain fields of a JSON object; what is nested is in `--json`. */
function describeFields(value: unknown): string {
  const fields = Object.entries(value ?? {});
  const plain = fields.filter(([, inner]) => inner === null || typeof inner !== "object");
  const rest = fields.length === plain.length ? "" : "; the rest with --json";
  return `${plain.map(([name, inner]) => `${name} ${shorten(String(inner), 80)}`).join(", ")}${rest}`;
}

/** Leaves of a JSON value by their path. */
function* leaves(value: unknown, path = ""): Generator<readonly [path: string, text: string]> {
  if (value === null || typeof value !== "object") yield [path, JSON.stringify(value)];
  else for (const [key, inner] of Object.entries(value)) yield* leaves(inner, path === "" ? key : `${path}.${key}`);
}

/** `selkie registry diff`. */
export async function diff(
  [id, other]: readonly string[],
  options: StoreVerbOptions,
  { output }: VerbContext,
): Promise<void> {
  using store = openVerbStore(options);
  const describe = (key: string) => {
    const record = store.get(key);
    const files = Object.fromEntries(store.verifyRecord(record.id).map(({ name, digest }) => [name, digest]));
    const { data, selfEdits, ...lineage } = store.lineage(record.id);
    const named = (items: RecordLineage["data"]) => Object.fromEntries(items.map(({ name, sha256 }) => [name, sha256]));
    return { record, values: new Map(leaves({ ...lineage, data: named(data), selfEdits: named(selfEdits), files })) };
  };
  const [a, b] = [describe(id!), describe(other!)];
  const paths = [...new Set([...a.values.keys(), ...b.values.keys()])].toSorted();
  const differences = paths
    .map((path) => ({ path, a: a.values.get(path) ?? null, b: b.values.get(path) ?? null }))
    .filter((difference) => difference.a !== difference.b);
  const rows = differences.map(({ path, a: left, b: right }) => [
    path,
    shorten(left ?? "–", 40),
    shorten(right ?? "–", 40),
  ]);
  const table = formatTable([["", short(a.record.id), short(b.record.id)], ...rows]);
  output.result(
    { a: a.record.id, b: b.record.id, differences },
    differences.length === 0 ? "They are the same record." : table,
  );
}

interface PromoteOptions extends StoreVerbOptions {
  readonly alias?: string;
  readonly model?: string;
  readonly gate?: string;
  readonly precision?: string;
  readonly weights?: QuantisedFormat;
  readonly threads?: number;
}

/** `selkie registry promote`. */
export async function promote(
  [id]: readonly string[],
  options: PromoteOptions,
  { output, signal }: VerbContext,
): Promise<void> {
  using store = openVerbStore(options);
  const policy = loadGate(options.store, options.gate);
  output.progress("the grader examines the record", { isStage: true });
  const { model: modelDirectory, threads, precision, weights } = options;
  const { alias, promoted, examined, decision } = await promoteRecord(store, id!, {
    ...(options.alias !== undefined && { alias: options.alias }),
    policy,
    modelDirectory,
    threads,
    precision,
    weights,
    signal,
  });
  const value = {
    outcome: decision?.outcome ?? "served-already",
    alias,
    promoted: promoted?.id ?? null,
    examined: examined.id,
    gate: gateDigest(policy),
    loosened: loosenedThresholds(policy),
    decision,
  };
  if (promoted === null) process.exitCode = badNews;
  output.result(value, say(describePromotion(alias, promoted, examined, decision)));
}

function describePromotion(
  alias: string,
  promoted: StoredRecord | null,
  examined: StoredRecord,
  decision: GateDecision | null,
): string {
  if (decision === null) return `@${alias} serves ${short(examined.id)} already; nothing was changed.`;
  if (promoted === null)
    return `${short(examined.id)} is not promoted. The gate says ${decision.outcome}: ${describeReasons(decision.reasons, examined.id)}.`;
  const scaled = promoted.id === examined.id ? "" : `, which is ${short(examined.id)} at scale ${decision.scale}`;
  return `@${alias} serves ${short(promoted.id)}${scaled}: ${decision.reasons.join("; ")}.`;
}

interface RollbackOptions extends StoreVerbOptions {
  readonly alias: string;
  readonly reason: string;
  readonly to?: string;
}

/** `selkie registry rollback`. */
export async function rollback(_: readonly string[], options: RollbackOptions, { output }: VerbContext): Promise<void> {
  using store = openVerbStore(options);
  const { record } = store.rollback(options.alias, options.reason, options.to);
  const serves = record?.id ?? null;
  output.result({ alias: options.alias, serves }, say(`@${options.alias} serves ${short(serves)} again.`));
}

interface VerifyVerbOptions extends StoreVerbOptions {
  readonly expect?: string;
}

/** `selkie registry verify`. */
export async function verify(_: readonly string[], options: VerifyVerbOptions, { output }: VerbContext): Promise<void> {
  using store = openVerbStore(options, { isReporting: true });
  const report = verifyStore(store, { ...(options.expect !== undefined && { expectedHead: options.expect }) });
  const bases = await checkBases(store);
  const gates = checkGates(store, report);
  const problems = [...report.problems, ...gates.problems, ...bases.problems];
  const isSound = problems.length === 0;
  const notes = [...gates.loosened, ...bases.notes];
  if (!isSound) process.exitCode = badNews;
  const sound = `Sound: ${countOf(report.numRecords, "record")}, ${countOf(report.numEntries, "log entry", "log entries")}, key ${short(keyFingerprint(store.publicKey))}.\nHead of the log, to be noted elsewhere: ${report.head}`;
  output.result(
    { ...report, isSound, problems, notes, key: keyFingerprint(store.publicKey) },
    say([isSound ? sound : problems.join("\n"), ...notes].join("\n")),
  );
}

/** `selkie registry log`. */
export async function log(
  _: readonly string[],
  options: StoreVerbOptions & { readonly limit?: number },
  { output }: VerbContext,
): Promise<void> {
  using store = openVerbStore(options, { isReporting: true });
  const report = reportStore(store);
  const text = existsSync(store.logPath) ? readFileSync(store.logPath, "utf8") : "";
  const entries = readEntries(text).slice(-(options.limit ?? Number.POSITIVE_INFINITY));
  const nothing = report.isSound ? ["Nothing has happened yet."] : [];
  const lines = entries.length === 0 ? nothing : [describeLog(entries)];
  output.result({ entries, problems: report.problems }, [...describeProblems(report), ...lines].join("\n\n"));
}

/** Entries of a log whose chain holds; of one that does not, none: the problems say where it breaks. */
function readEntries(text: string): AuditEntry[] {
  try {
    return readAuditLog(text);
  } catch (error) {
    if (error instanceof SelkieError) return [];
    throw error;
  }
}

const describeLog = (entries: readonly AuditEntry[]): string =>
  formatTable([["entry", "time (UTC)", "what", "about"], ...entries.map(describeEntry)], [0]);

const describeVerdict = ({ outcome, reasons }: Verdict): string => `${outcome}: ${shorten(reasons.join("; "), 80)}`;

/** A field of an entry as people read it: nothing where a record could be is the base model, which is no record. */
function describeField(name: string, value: unknown): string {
  if (name === "verdict") return describeVerdict(value as Verdict);
  if (name === "holder") return `holder's key ${short(digestOf(String(value)))}`;
  if (value === null) return `${name} ${name === "base" ? "none" : short(null)}`;
  if (Array.isArray(value)) return `${name} ${value.length === 0 ? "nothing" : shorten(value.join("; "), 80)}`;
  if (typeof value !== "string") return `${name} ${shorten(JSON.stringify(value), 80)}`;
  return `${name} ${/^[0-9a-f]{64}$/.test(value) ? short(value) : shorten(value, 60)}`;
}

function describeEntry({ sequence, time, type, previous: _, ...fields }: AuditEntry): string[] {
  const shown = Object.entries(fields)
    .filter(([name]) => name !== "evidence")
    .map(([name, value]) => describeField(name, value));
  return [`${sequence}`, formatTime(time), type, shown.join(", ")];
}

/** `selkie registry gc`. */
export async function gc(_: readonly string[], options: StoreVerbOptions, { output }: VerbContext): Promise<void> {
  using store = openVerbStore(options);
  const removed = store.gc();
  output.result({ removed }, say(removed.length === 0 ? "Nothing to remove." : `Removed ${removed.join(", ")}.`));
}

interface FreezeOptions extends StoreVerbOptions {
  readonly key: string;
  readonly reason: string;
}

/** `selkie registry freeze`. */
export async function freeze(_: readonly string[], options: FreezeOptions, { output }: VerbContext): Promise<void> {
  using store = openVerbStore(options);
  if (!existsSync(options.key)) {
    writeNewKey(options.key, createSigningKey().privateKey);
    output.note(`a new key was written to ${options.key}; keep it away from whatever adapts the model`);
  }
  const { reason, holder } = store.freeze(loadPublicKey(options.key), options.reason);
  output.result(
    { frozen: true, reason, holder },
    say(`Promotions are frozen (${reason}). Lift it with: selkie registry unfreeze --key ${options.key}`),
  );
}

/** `selkie registry unfreeze`. */
export async function unfreeze(_: readonly string[], options: FreezeOptions, { output }: VerbContext): Promise<void> {
  using store = openVerbStore(options);
  store.unfreeze(loadSigningKey(options.key));
  output.result({ frozen: false }, "Promotions are allowed again.");
}

/** `selkie registry release`. */
export async function release(
  [id]: readonly string[],
  options: StoreVerbOptions & { readonly reason: string },
  { output }: VerbContext,
): Promise<void> {
  using store = openVerbStore(options);
  const record = store.release(id!, options.reason);
  output.result(
    { record },
    say(
      `${short(record.id)} may be examined again${record.accepted.length === 0 ? "" : `; accepted: ${record.accepted.join("; ")}`}. Serve it with: selkie registry promote ${short(record.id)}`,
    ),
  );
}

/** `selkie registry forget`. */
export async function forget(
  _: readonly string[],
  { store }: StoreVerbOptions,
  { output }: VerbContext,
): Promise<void> {
  const pins = new PinFile(pinFolder(), store);
  const isKnown = existsSync(pins.path);
  pins.remove();
  output.result(
    { store: pins.store, isKnown },
    say(
      isKnown
        ? `What was remembered of ${pins.store} is forgotten; its next use is taken for the first.`
        : `Nothing was remembered of ${pins.store}.`,
    ),
  );
}

interface SealOptions extends StoreVerbOptions {
  /** Required by the command line. */
  readonly model?: string;
  readonly replace?: boolean;
}

/** `selkie registry seal`. */
export async function seal([path]: readonly string[], options: SealOptions, { output }: VerbContext): Promise<void> {
  if (!existsSync(path!))
    throw new SelkieError("missing-file", `seal: expected a file of canaries, found nothing at ${path}`);
  const content = readFileSync(path!, "utf8");
  if (parseCanaries(content).items.length === 0)
    throw new SelkieError("bad-file", `${path}: expected at least one canary, got none`);
  const base = await digestCheckpoint(options.model!); // before a store is made for it
  using store = openVerbStore(options, { create: true });
  const digest = store.sealCanaries(base, content, options.replace ?? false);
  const { items } = parseCanaries(readFileSync(store.canariesPath(digest), "utf8"));
  const sealed = { base, digest, numCanaries: items.length };
  output.result(sealed, say(`Canaries of base ${short(base)}: ${items.length}, sha256 ${digest}.`));
}

/** `selkie registry gate`. */
export async function gate(
  _: readonly string[],
  options: StoreVerbOptions & { readonly gate?: string },
  { output }: VerbContext,
): Promise<void> {
  const policy = loadGate(options.store, options.gate);
  output.result(policy, JSON.stringify(policy, null, 2));
}

/** @file What verbs say about the state of a store beside its records: what does not verify, which bases changed, which gates are loose. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type GatePolicy, loosenedThresholds } from "../adapt/index.ts";
import { loadGate } from "../app/index.ts";
import { changedParts, combineDigests, type DigestPart, digestParts } from "../models/index.ts";
import { type Store, type StoredRecord, type StoreReport, verifyStore } from "../registry/index.ts";
import { SelkieError } from "../util/index.ts";
import { wrapProse } from "./format.ts";
import { asStarted } from "./invocation.ts";

/** Exit code of a verb that did its work and has bad news. */
export const badNews = 1;

/** Checks log, database, key and pins, without reading the records' files; problems set the exit code. */
export function reportStore(store: Store): StoreReport {
  const report = verifyStore(store, { skipRecords: true });
  if (!report.isSound) process.exitCode = badNews;
  return report;
}

/** Problems as people read them, before what the verb was asked for; nothing where there are none. */
export const describeProblems = ({ problems }: Pick<StoreReport, "problems">): string[] =>
  problems.length === 0
    ? []
    : [
        wrapProse(
          asStarted(`NOT SOUND, see selkie registry verify:\n${problems.map((text) => `  ${text}`).join("\n")}`),
        ),
      ];

/** Thresholds looser than the default that a record was judged under; empty without a verdict. */
export function loosenedFor({ verdict }: StoredRecord): string[] {
  const details = (verdict?.details ?? null) as { readonly policy?: unknown } | null;
  return details?.policy === undefined ? [] : loosenedThresholds(details.policy as GatePolicy);
}

/** What {@link checkGates} found. */
export interface GateChecks {
  /** One sentence where the store's own gate cannot be read, so that nothing is promoted under it. */
  readonly problems: readonly string[];
  /** One line for each record that passed a gate looser than the default, and for such a gate in the store. */
  readonly loosened: readonly string[];
}

/** Reads the store's own gate and those of its verdicts; of a row that is not what the log says nothing is told here. */
export function checkGates(store: Store, { changedRecords }: Pick<StoreReport, "changedRecords">): GateChecks {
  const passed = store
    .list()
    .filter(({ id }) => !changedRecords.includes(id))
    .filter(({ verdict }) => verdict?.outcome === "promote" || verdict?.outcome === "rescale")
    .map((record) => ({ id: record.id, loosened: loosenedFor(record) }))
    .filter(({ loosened }) => loosened.length > 0)
    .map(({ id, loosened }) => `${id.slice(0, 12)} passed a gate looser than the default: ${loosened.join(", ")}`);
  const path = join(store.directory, "gate.json");
  try {
    const own = existsSync(path) ? loosenedThresholds(loadGate(store.directory, undefined)) : [];
    const loose = own.length === 0 ? [] : [`${path} is looser than the default: ${own.join(", ")}`];
    return { problems: [], loosened: [...passed, ...loose] };
  } catch (error) {
    if (!(error instanceof SelkieError)) throw error;
    return { problems: [`${error.message}; until then nothing is promoted`], loosened: passed };
  }
}

/** What {@link checkBases} found. */
export interface BaseChecks {
  /** One sentence for each base that is not what records were made from. */
  readonly problems: readonly string[];
  /** One for each that is not where it was, so that nothing is known of it. */
  readonly notes: readonly string[];
}

/** Files of the base, as the record noted them: in its lineage, or beside the adapter. */
function notedParts(store: Store, id: string): readonly DigestPart[] {
  const origin = store.lineage(id).origin as { readonly baseParts?: readonly DigestPart[] } | null;
  if (origin?.baseParts !== undefined) return origin.baseParts;
  const side = join(store.objectPath(id), "selkie_adapter.json");
  const content = existsSync(side) ? (JSON.parse(readFileSync(side, "utf8")) as { baseParts?: DigestPart[] }) : {};
  return content.baseParts ?? [];
}

/** Reads the base models of the store's records again, where they are known, and says which file changed. */
export async function checkBases(store: Store): Promise<BaseChecks> {
  const problems: string[] = [];
  const notes: string[] = [];
  const seen = new Set<string>();
  for (const { id, base } of store.list()) {
    const directory = (store.lineage(id).origin as { readonly model?: string } | null)?.model;
    const place = `${base} ${directory}`;
    if (base === null || directory === undefined || seen.has(place)) continue;
    seen.add(place);
    const found = await partsOf(directory);
    if (found === null) {
      notes.push(
        `base model ${base.slice(0, 12)}: is not at ${directory} any more, so that it could not be read again`,
      );
      continue;
    }
    const digest = combineDigests(found);
    if (digest === base) continue;
    const noted = notedParts(store, id);
    const names = combineDigests(noted) === base ? changedParts(noted, found) : [];
    problems.push(
      `base model ${directory}: expected digest ${base.slice(0, 12)}, which ${id.slice(0, 12)} is of, got ${digest.slice(0, 12)}; ${names.length === 0 ? "its files were" : `${names.join(", ")} ${names.length === 1 ? "was" : "were"}`} changed`,
    );
  }
  return { problems, notes };
}

async function partsOf(directory: string): Promise<DigestPart[] | null> {
  if (!existsSync(directory)) return null;
  try {
    return await digestParts(directory);
  } catch (error) {
    if (error instanceof SelkieError) return [{ name: error.message, sha256: "" }]; // no model any more
    throw error;
  }
}

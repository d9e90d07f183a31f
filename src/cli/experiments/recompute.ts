/**
 * @file Every figure of a table again, from what was measured and kept beside it: `<name>.trials.json` holds the record of an
 * experiment in columns, `<name>.rewards.json` the trials of its outer loops. Tables are computed from the record as it is
 * kept, in the run itself as later, so that they cannot differ.
 */
import { join } from "node:path";
import { compact, expand, type JsonValue, type ResultTable, roundNumbers } from "../../lab/index.ts";
import { SelkieError } from "../../util/index.ts";
import type { Experiment, ExperimentFindings, ExperimentOptions, ExperimentReport, Origin } from "./experiment.ts";
import { findResult, readResult, writeResult } from "./result-file.ts";
import { formatExactJson, formatJson, writeReport } from "./write.ts";

/** Digits of what is no share; shares are kept exactly. */
const numDigits = 6;
const version = 1;

/** What a record file holds. */
interface RecordFile {
  readonly experiment: string;
  readonly version: number;
  readonly origin: Origin;
  readonly record: JsonValue;
}

const shorten = (value: object): JsonValue => roundNumbers(JSON.parse(JSON.stringify(value)) as JsonValue, numDigits);

/** Findings with their tables; where they are a record, the tables of the record as it is kept. */
export async function complete<Options extends ExperimentOptions>(
  { name, tabulate }: Experiment<Options>,
  findings: ExperimentFindings,
): Promise<ExperimentReport> {
  if (!("record" in findings)) return findings;
  if (tabulate === undefined) throw new SelkieError("bad-input", `${name}: expected tables, got a record alone`);
  const record = shorten(findings.record);
  const { data, rewards } = findings;
  return { ...(await tabulate(record as never)), data, record: record as object, ...(rewards && { rewards }) };
}

const placeOf = (directory: string, name: string, kind: "trials" | "rewards"): string =>
  join(directory, `${name}.${kind}.json`);

/** Writes `<name>.trials.json`, and `<name>.rewards.json` where there were trials of rewards. */
export function recordFile(
  directory: string,
  name: string,
  experiment: string,
  origin: Origin,
  { record, rewards }: ExperimentReport,
): void {
  const kept = { experiment, version, origin, record: compact(record as JsonValue) };
  writeResult(placeOf(directory, name, "trials"), formatExactJson(kept));
  if (rewards === undefined) return;
  const trials = { experiment, version, record: compact(shorten(rewards)) };
  writeResult(placeOf(directory, name, "rewards"), formatExactJson(trials));
}

/** Reads a record file. */
export function readRecord(file: string): RecordFile & { readonly record: JsonValue } {
  if (findResult(file) === null)
    throw new SelkieError(
      "bad-input",
      `${file}: expected the record of an experiment, got no such file; run the experiment first, or name its folder with --out`,
    );
  try {
    const found = JSON.parse(readResult(file)) as RecordFile;
    if (found.version === version && typeof found.experiment === "string" && found.origin !== undefined)
      return { ...found, record: expand(found.record) };
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw new SelkieError(
    "bad-input",
    `${file}: expected the record of an experiment, version ${version}, got something else; run the experiment again`,
  );
}

/** What came of {@link recompute}. */
export interface Recomputed {
  readonly file: string;
  /** Whether the tables beside the record were the same to the digit. */
  readonly isSame: boolean;
  readonly tables: readonly ResultTable[];
  readonly text: string;
}

/** Writes tables and pictures anew from the record beside them; figures of the JSON file that no table shows stay. */
export async function recompute<Options extends ExperimentOptions>(
  experiment: Experiment<Options>,
  directory: string,
  name: string,
): Promise<Recomputed> {
  const file = placeOf(directory, name, "trials");
  const { experiment: kind, origin, record } = readRecord(file);
  if (kind !== experiment.name || experiment.tabulate === undefined)
    throw new SelkieError("bad-input", `${file}: expected a record of ${experiment.name}, got one of ${kind}`);
  const tabulation = await experiment.tabulate(record as never);
  const known = join(directory, `${name}.json`);
  const before = findResult(known) === null ? { tables: [] } : (JSON.parse(readResult(known)) as { tables: object });
  const { tables: old, ...rest } = before;
  const isSame = formatJson(old) === formatJson(tabulation.tables);
  const data = Object.fromEntries(Object.entries(rest).filter(([key]) => !(key in origin)));
  const text = writeReport(directory, name, origin, { ...tabulation, data }, experiment.draw);
  const verdict = isSame ? "every figure is what it was" : "the tables beside it were others, and are replaced";
  return { file, isSame, tables: tabulation.tables, text: `${text}\n\nRecomputed from ${file}: ${verdict}` };
}

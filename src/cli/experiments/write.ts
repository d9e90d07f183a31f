/** @file Results of an experiment on disk: `<name>.json` with every figure, `<name>.md` with the tables, `<name>.svg`. */
import { join } from "node:path";
import type { Cell, Column, ResultTable } from "../../adapt/index.ts";
import { writeFileAtomic } from "../../registry/index.ts";
import type { Interval } from "../../util/index.ts";
import { drawBars } from "../chart.ts";
import { formatSeconds } from "../format.ts";
import type { ExperimentReport } from "./frame.ts";

/** Where figures come from. */
export interface Origin {
  readonly command: string;
  readonly machine: string;
  readonly seconds: number;
  /** Seconds by part of the work. */
  readonly stages?: Readonly<Record<string, number>>;
  /** SHA-256 of the model. */
  readonly model?: string;
  /** Of which split the people are. */
  readonly split?: string;
}

const isInterval = (cell: Cell): cell is Interval => typeof cell === "object" && cell !== null;

function formatNumber(value: number, { unit, digits = unit === "number" ? 0 : 1 }: Column): string {
  const scaled = unit === "number" ? value : 100 * value;
  const text = scaled.toFixed(digits);
  return unit === "points" && value >= 0 ? `+${text}` : text;
}

/** A cell as text. */
export function formatCell(cell: Cell, column: Column): string {
  if (cell === null) return "–";
  if (typeof cell === "string") return cell;
  if (!isInterval(cell)) return formatNumber(cell, column);
  const unsigned: Column = column.unit === "points" ? { ...column, unit: "percent" } : column;
  return `${formatNumber(cell.mean, column)} [${formatNumber(cell.low, unsigned)}, ${formatNumber(cell.high, unsigned)}]`;
}

const units = { percent: ", %", points: ", points", number: "" } as const;

/** A table in Markdown. */
export function describeResultTable({ title, caption, columns, rows, notes = [] }: ResultTable): string {
  const head = columns.map(({ name, unit }) => `${name}${units[unit]}`);
  const lines = [
    ["", ...head],
    ["---", ...columns.map(() => "---:")],
    ...rows.map(({ name, cells }) => [name, ...cells.map((cell, index) => formatCell(cell, columns[index]!))]),
  ];
  const table = lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
  return [`## ${title}`, caption, table, ...notes].join("\n\n");
}

/** The drawn column of a table as bars; `null` when it draws nothing. */
export function drawResultTable({ title, caption, columns, rows, drawn }: ResultTable): string | null {
  const at = columns.findIndex(({ name }) => name === drawn);
  if (at < 0) return null;
  const bars = rows.flatMap(({ name, cells }) => {
    const cell = cells[at]!;
    const value = typeof cell === "number" ? { mean: cell, low: cell, high: cell } : cell;
    if (value === null || typeof value === "string") return [];
    return [{ name, value, note: `${(100 * value.mean).toFixed(1)} %` }];
  });
  return drawBars(title, caption, bars);
}

function picturesOf({ tables, pictures }: ExperimentReport): Readonly<Record<string, string>> {
  if (pictures !== undefined) return pictures;
  const [first] = tables.flatMap((table) => drawResultTable(table) ?? []);
  return first === undefined ? {} : { "": first };
}

/** JSON for a file that people may look into: five digits, what holds nothing nested on one line. */
export function formatJson(value: object): string {
  const round = (_: string, inner: unknown) =>
    typeof inner === "number" && !Number.isInteger(inner) ? Number(inner.toPrecision(5)) : inner;
  return formatExactJson(JSON.parse(JSON.stringify(value, round)) as object);
}

/** The same with every digit. */
export function formatExactJson(value: object): string {
  const text = JSON.stringify(value, null, 1);
  return `${text.replace(/[[{][^[\]{}]*[\]}]/g, (leaf) => leaf.replace(/\n\s*/g, " "))}\n`; // strings hold no line ends
}

const numShownStages = 8;

/** Where the figures come from, in a line or two. */
function describeOrigin({ command, machine, seconds, stages = {}, model, split }: Origin): string {
  const longest = Object.entries(stages)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, numShownStages)
    .map(([name, spent]) => `${name} ${formatSeconds(spent)}`);
  const people = split === "test" ? "; read the test set" : split === "validation" ? "; validation people" : "";
  return [
    `\`${command}\`, ${machine}, ${formatSeconds(seconds)}${model === undefined ? "" : `; model ${model.slice(0, 12)}`}${people}`,
    ...(longest.length === 0 ? [] : [`Time by part: ${longest.join(", ")}`]),
  ].join("\n\n");
}

/** The report in Markdown. */
export const describeReport = (name: string, origin: Origin, tables: readonly ResultTable[]): string =>
  [`# ${name}`, ...tables.map(describeResultTable), describeOrigin(origin)].join("\n\n");

/** Writes all files into `directory` and returns what a person reads. */
export function writeReport(directory: string, name: string, origin: Origin, report: ExperimentReport): string {
  const { tables, data } = report;
  const text = describeReport(name, origin, tables);
  const pictures = picturesOf(report);
  const place = (suffix: string) => join(directory, `${name}${suffix === "" ? "" : `-${suffix}`}`);
  writeFileAtomic(`${place("")}.json`, formatJson({ ...origin, tables, ...data }));
  writeFileAtomic(`${place("")}.md`, `${text}\n`);
  for (const [suffix, svg] of Object.entries(pictures)) writeFileAtomic(`${place(suffix)}.svg`, svg);
  const kinds = ["json", "md", ...(Object.keys(pictures).length > 0 ? ["svg"] : [])];
  return `${text}\n\n${place("")}.{${kinds.join(",")}}`;
}

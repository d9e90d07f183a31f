/**
 * @file Results of an experiment on disk: `<name>.json` with every figure, packed where it is long, `<name>.md` with the
 * tables, `<name>.svg`.
 */
import { join } from "node:path";
import type { Cell, Column, ResultTable } from "../../lab/index.ts";
import { writeFileAtomic } from "../../registry/index.ts";
import type { Interval } from "../../util/index.ts";
import { formatSeconds, formatTable, outputColumns, wrapText } from "../format.ts";
import { drawBars } from "../pictures/bars.ts";
import { roleOf } from "../pictures/roles.ts";
import type { Draw, ExperimentReport, Origin, SavedResults } from "./experiment.ts";
import { placeOfResult, readResult, writeResult } from "./result-file.ts";

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

/** Names of the columns and of the rows, with the cells as text. */
const toCells = ({ columns, rows }: ResultTable): string[][] => [
  ["", ...columns.map(({ name, unit }) => `${name}${units[unit]}`)],
  ...rows.map(({ name, cells }) => [name, ...cells.map((cell, index) => formatCell(cell, columns[index]!))]),
];

/** A table in Markdown. */
export function describeResultTable(result: ResultTable): string {
  const { title, caption, columns, notes = [] } = result;
  const [head, ...rows] = toCells(result);
  const lines = [head!, ["---", ...columns.map(() => "---:")], ...rows];
  const table = lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
  return [`## ${title}`, caption, table, ...notes].join("\n\n");
}

/** A table for a terminal of so many columns. */
export function describeInTerminal(result: ResultTable, width: number = outputColumns()): string {
  const { title, caption, columns, notes = [] } = result;
  const table = formatTable(
    toCells(result),
    columns.map((_, index) => index + 1),
    { width },
  );
  const prose = (text: string) => wrapText(text, width).join("\n");
  return [prose(title), prose(caption), table, ...notes.map(prose)].join("\n\n");
}

/** The drawn column of a table as bars; `null` when it draws nothing. */
export function drawResultTable({ title, caption, columns, rows, drawn }: ResultTable): string | null {
  const at = columns.findIndex(({ name }) => name === drawn);
  if (at < 0) return null;
  const bars = rows.flatMap(({ name, cells }) => {
    const cell = cells[at]!;
    const value = typeof cell === "number" ? { mean: cell, low: cell, high: cell } : cell;
    if (value === null || typeof value === "string") return [];
    return [{ name, value, note: `${(100 * value.mean).toFixed(1)} %`, role: roleOf(name) }];
  });
  return drawBars(title, caption, bars);
}

/** Bars of the first table that names a column to draw. */
export const drawFirstTable: Draw = ({ tables }) => {
  const [first] = tables.flatMap((table) => drawResultTable(table) ?? []);
  return first === undefined ? {} : { "": first };
};

/** Writes the pictures of a results file beside it, from what the file holds and nothing else; returns their paths. */
export function writePictures(jsonPath: string, draw: Draw): string[] {
  const pictures = draw(JSON.parse(readResult(jsonPath)) as SavedResults);
  return Object.entries(pictures).map(([suffix, svg]) => {
    const path = `${placeOfResult(jsonPath)}${suffix === "" ? "" : `-${suffix}`}.svg`;
    writeFileAtomic(path, svg);
    return path;
  });
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
export function writeReport(
  directory: string,
  name: string,
  origin: Origin,
  { tables, data, drawing }: ExperimentReport,
  draw: Draw = drawFirstTable,
): string {
  const place = join(directory, name);
  const saved = writeResult(`${place}.json`, formatJson({ ...origin, tables, ...data, ...drawing }));
  writeFileAtomic(`${place}.md`, `${describeReport(name, origin, tables)}\n`);
  const pictures = writePictures(`${place}.json`, draw);
  const kinds = [saved.slice(place.length + 1), "md", ...(pictures.length > 0 ? ["svg"] : [])];
  return [...tables.map((table) => describeInTerminal(table)), `${place}.{${kinds.join(",")}}`].join("\n\n");
}

/**
 * @file Tables for people, as wide as the terminal allows: side by side where that fits, with cells in several lines where it
 * must, and one field under the other where columns would be too narrow to read.
 */
import { displayWidth, outputColumns, pad, wrapText } from "./columns.ts";

/** How a table is laid out. */
export interface TableOptions {
  /** Whether the first row names the columns; without it a narrow table cannot be stacked. @defaultValue true */
  readonly hasHead?: boolean;
  /** Columns of the terminal. @defaultValue those of standard output */
  readonly width?: number;
}

type Row = readonly string[];

const gap = 2;
/** Columns of text are not made narrower than this, and while that is possible no word of up to so many is cut. */
const [leastText, wordKept] = [14, 18];

/** Columns padded to their widest cell, two spaces between; those of numbers, `alignRight`, stand right. */
export function formatTable(
  rows: readonly Row[],
  alignRight: readonly number[] = [],
  { hasHead = true, width = outputColumns() }: TableOptions = {},
): string {
  const numColumns = Math.max(0, ...rows.map((row) => row.length));
  const columns = Array.from({ length: numColumns }, (_, column) => rows.map((row) => row[column] ?? ""));
  const natural = columns.map((cells) => Math.max(...cells.map(displayWidth)));
  const room = width - gap * (numColumns - 1);
  if (sum(natural) <= room) return layOut(rows, natural, alignRight);
  const least = columns.map((cells, column) =>
    leastWidth(cells, natural[column]!, alignRight.includes(column), hasHead),
  );
  if (sum(least) <= room) return layOut(rows, shareRoom(natural, least, room, alignRight), alignRight);
  return hasHead ? stack(rows, width) : layOut(rows, squeeze(natural, room), alignRight);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const longestWord = (text: string): number => Math.max(0, ...text.split(/\s+/).map(displayWidth));

/** Numbers keep their width and may break their heading between words; text may be broken down to a readable width. */
function leastWidth(cells: readonly string[], natural: number, isRight: boolean, hasHead: boolean): number {
  const words = () => Math.max(...cells.map(longestWord));
  if (!isRight) return Math.min(natural, Math.max(leastText, longestWord(cells[0] ?? ""), Math.min(words(), wordKept)));
  const [head = "", ...body] = hasHead ? cells : ["", ...cells];
  return Math.max(longestWord(head), ...body.map(displayWidth));
}

/** Takes columns from the widest until all fit: from those `first`, whose headings alone get more lines, then from the rest. */
function shareRoom(
  natural: readonly number[],
  least: readonly number[],
  room: number,
  first: readonly number[] = [],
): number[] {
  const widths = [...natural];
  while (sum(widths) > room) {
    const open = widths.map((width, column) => width > least[column]!);
    const isEasy = open.some((isOpen, column) => isOpen && first.includes(column));
    const slack = widths.map((width, column) => (open[column] && (!isEasy || first.includes(column)) ? width : -1));
    const widest = slack.indexOf(Math.max(...slack));
    widths[widest]!--;
  }
  return widths;
}

/** Without names of columns there is no other way than narrow cells. */
const squeeze = (natural: readonly number[], room: number): number[] =>
  shareRoom(natural, natural.map(() => 1), Math.max(room, natural.length)); // biome-ignore format: one line

function layOut(rows: readonly Row[], widths: readonly number[], alignRight: readonly number[]): string {
  const lines = rows.flatMap((row) => {
    const cells = widths.map((width, column) => wrapText(row[column] ?? "", width, true));
    const height = Math.max(1, ...cells.map((cell) => cell.length));
    return Array.from({ length: height }, (_, line) =>
      cells
        .map((cell, column) => pad(cell[line] ?? "", widths[column]!, alignRight.includes(column)))
        .join(" ".repeat(gap))
        .trimEnd(),
    );
  });
  return lines.join("\n");
}

/** Every row as its first cell and, under it, the other fields with the names of their columns. */
function stack([head = [], ...rows]: readonly Row[], width: number): string {
  const longest = Math.max(0, ...head.slice(1).map(displayWidth));
  const labelWidth = Math.min(longest, Math.floor(width / 2) - 4);
  const room = width - labelWidth - 4;
  const blocks = rows.map(([first = "", ...cells]) => {
    const title = wrapText(/^\d+$/.test(first) ? `${head[0]} ${first}` : first, width, true);
    const fields = cells.flatMap((cell, index) => {
      if (cell.trim() === "") return [];
      const label = wrapText(head[index + 1] ?? "", labelWidth, true);
      const value = wrapText(cell, room, true);
      return Array.from({ length: Math.max(label.length, value.length) }, (_, line) =>
        `  ${pad(label[line] ?? "", labelWidth)}  ${value[line] ?? ""}`.trimEnd(),
      );
    });
    return [...title, ...fields].join("\n");
  });
  return blocks.join(rows.some((row) => row.length > 2) ? "\n\n" : "\n");
}

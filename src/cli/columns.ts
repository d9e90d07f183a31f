/** @file Room and width of text in a terminal: characters of East Asia and emoji take two columns, combining marks none. */
import stringWidth from "string-width";

/** Fewer columns than this are taken for a mistake. */
const fewestColumns = 20;

/**
 * Columns that results may take: `COLUMNS` where it is set, else those of the terminal; no limit where the output is a file
 * or a pipe, since whoever reads it there can cut it better.
 */
export function outputColumns(
  env: NodeJS.ProcessEnv = process.env,
  stdout: { readonly isTTY?: boolean; readonly columns?: number } = process.stdout,
): number {
  const asked = Number(env["COLUMNS"]);
  if (Number.isSafeInteger(asked) && asked >= fewestColumns) return asked;
  return stdout.isTTY === true && (stdout.columns ?? 0) >= fewestColumns ? stdout.columns! : Number.POSITIVE_INFINITY;
}

/** Columns that `text`, one line of it, takes. */
export const displayWidth = (text: string): number => stringWidth(text);

const graphemes = new Intl.Segmenter();

/** `text` on one line of at most `width` columns, cut with an ellipsis. */
export function shorten(text: string, width: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  return displayWidth(line) <= width ? line : `${takeColumns(line, width - 1)}…`;
}

/** As many whole characters from the start of `text` as fit into `width` columns. */
export function takeColumns(text: string, width: number): string {
  let [start, room] = ["", width];
  for (const { segment } of graphemes.segment(text)) {
    room -= displayWidth(segment);
    if (room < 0) break;
    start += segment;
  }
  return start;
}

/** `text` filled up with spaces to `width` columns, on the left where numbers are. */
export function pad(text: string, width: number, isRight = false): string {
  const spaces = " ".repeat(Math.max(0, width - displayWidth(text)));
  return isRight ? spaces + text : text + spaces;
}

/**
 * The lines of `text` broken between words so that none takes more than `width` columns. Longer words stay whole, since
 * paths and commands are there to be copied, unless `isStrict`.
 */
export function wrapText(text: string, width: number, isStrict = false): string[] {
  if (width === Number.POSITIVE_INFINITY) return text.split("\n");
  return text.split("\n").flatMap((line) => (displayWidth(line) <= width ? [line] : wrapLine(line, width, isStrict)));
}

function wrapLine(text: string, width: number, isStrict: boolean): string[] {
  const indent = /^ */.exec(text)![0].slice(0, Math.floor(width / 2));
  const lines: string[] = [];
  let line = indent;
  const flush = () => {
    if (line.trim() !== "") lines.push(line);
    line = indent;
  };
  for (const word of text.trim().split(/\s+/)) {
    const joined = line.trim() === "" ? line + word : `${line} ${word}`;
    if (displayWidth(joined) <= width) {
      line = joined;
      continue;
    }
    flush();
    let rest = word;
    while (isStrict && displayWidth(indent + rest) > width) {
      const piece = takeColumns(rest, width - indent.length) || [...rest][0]!;
      lines.push(indent + piece);
      rest = rest.slice(piece.length);
    }
    line = indent + rest;
  }
  flush();
  return lines.length === 0 ? [""] : lines;
}

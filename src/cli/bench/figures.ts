/** @file The figures of a benchmark as people read them; with `--json` they are one line for programs. */
import { formatTable } from "../format.ts";

/** One line for each figure and setting, in the order of the JSON; what is nested is shown elsewhere. */
export function describeFigures(line: object): string {
  const plain = Object.entries(line).filter(([, value]) => typeof value !== "object" && value !== undefined);
  const rows = plain.map(([name, value]) => [name.replaceAll("_", " "), String(value)]);
  return formatTable(rows, [], { hasHead: false });
}

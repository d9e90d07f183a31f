/** @file Examples in help, put as this user has to type them: the way the program was started, the files where they are. */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import { displayWidth, outputColumns, pad, wrapText } from "./columns.ts";
import { asStarted, currentInvocation } from "./invocation.ts";
import { packagePath } from "./paths.ts";

/** A command line that works as it stands, and what it does. Files of the package are named from its root, as `examples/documents`. */
export type Example = readonly [command: string, meaning: string];

/** The files that ship with the package, from the working folder. */
function atHand(command: string): string {
  if (existsSync("examples/documents")) return command;
  const place = relative(process.cwd(), packagePath("examples"));
  return command.replace(/(?<=\s)examples(?=\/)/g, () => place);
}

/** The examples beside their meanings, or under each other where the terminal is narrow; `more` follows. */
export function describeExamples(
  examples: readonly Example[],
  more = "",
  { invocation = currentInvocation(), columns = outputColumns() }: { invocation?: string; columns?: number } = {},
): string {
  const rows = examples.map(([command, meaning]) => [asStarted(atHand(command), invocation), meaning] as const);
  const width = Math.max(...rows.map(([command]) => displayWidth(command)));
  const isWide = rows.every(([, meaning]) => width + displayWidth(meaning) + 4 <= columns);
  const lines = rows.flatMap(([command, meaning]) => {
    if (isWide) return [`  ${pad(command, width)}  ${meaning}`.trimEnd()];
    return [`  ${command}`, ...(meaning === "" ? [] : wrapText(`      ${meaning}`, columns))];
  });
  const rest = more === "" ? [] : ["", ...wrapText(asStarted(more, invocation), columns)];
  return ["", "Examples:", ...lines, ...rest].join("\n");
}

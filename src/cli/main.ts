#!/usr/bin/env node
/**
 * @file The `selkie` command. The verbs are named in `program.ts`;
 * each is a file in `commands/` that loads what it needs when it runs, so that help is instant.
 */
import { CommanderError } from "commander";
import { createOutput, exitOnClosedPipe } from "./output.ts";
import { createProgram } from "./program.ts";
import { reportError } from "./verb.ts";

async function main(): Promise<void> {
  exitOnClosedPipe();
  const args = process.argv.slice(2);
  const output = createOutput({ isJson: args.includes("--json") });
  try {
    await createProgram().parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) process.exitCode = reportError(error, output, args.includes("--verbose"));
    else if (error.exitCode !== 0) process.exitCode = reportUsage(error, output, args);
  }
}

/** A wrong command line: the message, a pointer to help, exit code 2. */
function reportUsage(error: CommanderError, output: ReturnType<typeof createOutput>, args: readonly string[]): number {
  if (error.code === "commander.help") return 2; // no verb: commander has printed the help
  const message = error.message.replace(/^error: /, "");
  const verb = createProgram().commands.find((command) => command.name() === args[0]);
  output.note(`selkie: ${message}\nRun selkie ${verb === undefined ? "" : `${args[0]} `}--help for usage.`);
  if (output.isJson) output.result({ error: { code: "bad-option", message } }, "");
  return 2;
}

await main();

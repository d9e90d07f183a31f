#!/usr/bin/env node
/**
 * @file The `selkie` command. This file knows the verbs' names and nothing else about them;
 * each verb is a file in `commands/` that loads what it needs when it runs, so that help is instant.
 */
import { Command, CommanderError } from "commander";
import { registerAdapt } from "./commands/adapt.ts";
import { registerAsk } from "./commands/ask.ts";
import { registerBench } from "./commands/bench.ts";
import { registerDemo } from "./commands/demo.ts";
import { registerExperiment } from "./commands/experiment.ts";
import { registerLearn } from "./commands/learn.ts";
import { registerPretrain } from "./commands/pretrain.ts";
import { registerRegistry } from "./commands/registry.ts";
import { registerScore } from "./commands/score.ts";
import { asStarted } from "./invocation.ts";
import { createOutput, exitOnClosedPipe } from "./output.ts";
import { packageVersion } from "./paths.ts";
import { reportError } from "./verb.ts";

const examples = `
Examples:
  selkie demo                                    teach the shipped model some documents and watch it change
  selkie adapt notes/ --out my-adapter           learn your documents into an adapter
  selkie ask "Who built the Marigold?" --adapter my-adapter
  selkie score notes.txt --json                  log-probability of a text
  selkie bench decode --size 135m                speed on this machine

Every verb takes --json and --help. Exit codes: 0 done, 1 the work failed, 2 wrong input
or command line, 3 done but the change was rejected, by the exam or the gate, 130 interrupted.`;

/** The command line with all its verbs. */
export function createProgram(): Command {
  const program = new Command("selkie")
    .description(
      "Language models that rewrite themselves: a model reads, writes its own training data, trains on it, and keeps what helped.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [verb]", "show help for a verb")
    .showSuggestionAfterError()
    .exitOverride() // subcommands made below inherit this
    .configureOutput({ outputError: () => {} }) // parse errors are reported by main, once
    .addHelpText("after", () => asStarted(examples));
  for (const register of [
    registerDemo,
    registerAdapt,
    registerAsk,
    registerScore,
    registerLearn,
    registerPretrain,
    registerExperiment,
    registerRegistry,
    registerBench,
  ])
    register(program);
  return program;
}

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

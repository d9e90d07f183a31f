/** @file The command line: the names of the verbs and what is said of all of them. Parsing and running are in `main.ts`. */
import { Command } from "commander";
import { outputColumns } from "./columns.ts";
import { registerAdapt } from "./commands/adapt.ts";
import { registerAsk } from "./commands/ask.ts";
import { registerBench } from "./commands/bench.ts";
import { registerDemo } from "./commands/demo.ts";
import { registerExperiment } from "./commands/experiment.ts";
import { registerLearn } from "./commands/learn.ts";
import { registerPretrain } from "./commands/pretrain.ts";
import { registerRegistry } from "./commands/registry.ts";
import { registerScore } from "./commands/score.ts";
import { describeExamples, type Example } from "./examples.ts";
import { packageVersion } from "./paths.ts";

const examples: readonly Example[] = [
  ["selkie demo", "teach the shipped model some documents and watch it change"],
  [
    "selkie adapt examples/documents --questions examples/questions.jsonl --out my-adapter",
    "learn documents into an adapter",
  ],
  ['selkie ask "Who did Ivy Lynton work for?" --adapter my-adapter', "ask it"],
  ["selkie score examples/documents/ivy-lynton.txt --json", "log-probability of a text"],
  ["selkie bench decode --size 135m", "speed on this machine"],
];

const more =
  "Every verb takes --json and --help. Exit codes: 0 done, 1 the work failed, 2 wrong input or command line, 3 done but the change was rejected, by the exam or the gate, 130 interrupted.";

/** Longer lines of help are hard to read. */
const mostHelpColumns = 110;

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
    .configureHelp({ minWidthToWrap: 16 }) // narrow terminals wrap, too
    .exitOverride() // subcommands made below inherit this
    .configureOutput({
      outputError: () => {}, // parse errors are reported by main, once
      getOutHelpWidth: () => Math.min(outputColumns(), mostHelpColumns),
    })
    .addHelpText("after", () => describeExamples(examples, more));
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

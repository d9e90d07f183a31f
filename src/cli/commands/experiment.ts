/** @file `selkie experiment`: regenerates a results table as JSON, Markdown and a picture. */
import type { Command } from "commander";
import { describeExamples, type Example } from "../examples.ts";
import { registerExperiments } from "../experiments/index.ts";

const examples: readonly Example[] = [
  ["selkie experiment main-job", "the first table of the README"],
  ["selkie experiment continual --length 20 --streams 5", "twenty passages one after another"],
  ["selkie experiment redraw docs/results", "all pictures again, from their figures"],
  ["selkie experiment unpack docs/results/continual-100.json.gz", "long results as plain JSON"],
];

const more = `Results go to --out as <name>.json (every figure; packed as .json.gz where it is long), <name>.md and <name>.svg; the same command after an interruption goes on.
Each experiment has options of its own, such as: selkie experiment main-job --help`;

/** Adds the verb to `program`. */
export function registerExperiment(program: Command): void {
  const command = program
    .command("experiment")
    .description("regenerate a results table with confidence intervals")
    .addHelpText("after", () => describeExamples(examples, more));
  registerExperiments(command);
}

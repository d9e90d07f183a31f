/** @file `selkie experiment`: regenerates a results table as JSON, Markdown and a picture. */
import type { Command } from "commander";
import { registerExperiments } from "../experiments/index.ts";
import { asStarted } from "../invocation.ts";

const examples = `
Results go to --out as <name>.json (every figure), <name>.md and <name>.svg; the same command after an interruption goes on.
Each experiment has options of its own: selkie experiment <name> --help`;

/** Adds the verb to `program`. */
export function registerExperiment(program: Command): void {
  const command = program
    .command("experiment")
    .description("regenerate a results table with confidence intervals")
    .addHelpText("after", () => asStarted(examples));
  registerExperiments(command);
}

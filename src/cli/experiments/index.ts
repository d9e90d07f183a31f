/** @file Every experiment by name. */
import type { Command } from "commander";
import { registerExperimentCommand } from "./frame.ts";
import { innerLoopExperiment } from "./inner-loop.ts";
import { mainJobExperiment } from "./main-job.ts";
import { manyPassagesExperiment } from "./many-passages.ts";
import { quantisationExperiment } from "./quantisation.ts";

/** Adds all experiments as subcommands. */
export function registerExperiments(parent: Command): void {
  registerExperimentCommand(parent, innerLoopExperiment);
  registerExperimentCommand(parent, mainJobExperiment);
  registerExperimentCommand(parent, manyPassagesExperiment);
  registerExperimentCommand(parent, quantisationExperiment);
}

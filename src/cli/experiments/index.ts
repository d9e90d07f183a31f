/** @file Every experiment by name. */
import type { Command } from "commander";
import { equalComputeExperiment } from "./equal-compute.ts";
import { registerExperimentCommand } from "./frame.ts";
import { mainJobExperiment } from "./main-job.ts";
import { quantisationExperiment } from "./quantisation.ts";
import { roundTimeExperiment } from "./round-time.ts";
import { singlePassageExperiment } from "./single-passage.ts";

/** Adds all experiments as subcommands. */
export function registerExperiments(parent: Command): void {
  registerExperimentCommand(parent, mainJobExperiment);
  registerExperimentCommand(parent, quantisationExperiment);
  registerExperimentCommand(parent, singlePassageExperiment);
  registerExperimentCommand(parent, equalComputeExperiment);
  registerExperimentCommand(parent, roundTimeExperiment);
}

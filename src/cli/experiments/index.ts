/** @file Every experiment by name. */
import type { Command } from "commander";
import { registerExperimentCommand } from "./frame.ts";
import { mainJobExperiment } from "./main-job.ts";
import { promptsExperiment } from "./prompts.ts";
import { quantisationExperiment } from "./quantisation.ts";
import { rewardsExperiment } from "./rewards.ts";

/** Adds all experiments as subcommands. */
export function registerExperiments(parent: Command): void {
  registerExperimentCommand(parent, mainJobExperiment);
  registerExperimentCommand(parent, promptsExperiment);
  registerExperimentCommand(parent, quantisationExperiment);
  registerExperimentCommand(parent, rewardsExperiment);
}

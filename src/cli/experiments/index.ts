/** @file Every experiment by name. */
import type { Command } from "commander";
import { continualExperiment } from "./continual.ts";
import { equalComputeExperiment } from "./equal-compute.ts";
import { registerExperimentCommand } from "./frame.ts";
import { innerLoopExperiment } from "./inner-loop.ts";
import { mainJobExperiment } from "./main-job.ts";
import { manyPassagesExperiment } from "./many-passages.ts";
import { promptsExperiment } from "./prompts.ts";
import { quantisationExperiment } from "./quantisation.ts";
import { rewardsExperiment } from "./rewards.ts";
import { roundTimeExperiment } from "./round-time.ts";
import { singlePassageExperiment } from "./single-passage.ts";
import { voicesExperiment } from "./voices.ts";

/** Adds all experiments as subcommands. */
export function registerExperiments(parent: Command): void {
  registerExperimentCommand(parent, innerLoopExperiment);
  registerExperimentCommand(parent, mainJobExperiment);
  registerExperimentCommand(parent, manyPassagesExperiment);
  registerExperimentCommand(parent, promptsExperiment);
  registerExperimentCommand(parent, quantisationExperiment);
  registerExperimentCommand(parent, rewardsExperiment);
  registerExperimentCommand(parent, continualExperiment);
  registerExperimentCommand(parent, singlePassageExperiment);
  registerExperimentCommand(parent, equalComputeExperiment);
  registerExperimentCommand(parent, voicesExperiment);
  registerExperimentCommand(parent, roundTimeExperiment);
}

/** @file Every experiment by name. */
import type { Command } from "commander";
import { continualExperiment } from "./continual.ts";
import { equalComputeExperiment } from "./equal-compute.ts";
import { type Experiment, registerExperimentCommand } from "./frame.ts";
import { innerLoopExperiment } from "./inner-loop.ts";
import { mainJobExperiment } from "./main-job.ts";
import { manyPassagesExperiment } from "./many-passages.ts";
import { promptsExperiment } from "./prompts.ts";
import { quantisationExperiment } from "./quantisation.ts";
import { rewardsExperiment } from "./rewards.ts";
import { roundTimeExperiment } from "./round-time.ts";
import { singlePassageExperiment } from "./single-passage.ts";
import { voicesExperiment } from "./voices.ts";

/** All experiments; options differ, so that each is shown without its own. */
export const experiments: readonly Pick<Experiment, "name" | "summary" | "tabulate">[] = [
  innerLoopExperiment,
  mainJobExperiment,
  manyPassagesExperiment,
  promptsExperiment,
  quantisationExperiment,
  rewardsExperiment,
  continualExperiment,
  singlePassageExperiment,
  equalComputeExperiment,
  roundTimeExperiment,
  voicesExperiment,
];

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

/** @file Every experiment by name. */
import type { Command } from "commander";
import { continualExperiment } from "./continual.ts";
import { equalComputeExperiment } from "./equal-compute.ts";
import type { Experiment, ExperimentOptions } from "./experiment.ts";
import { registerExperimentCommand } from "./frame.ts";
import { innerLoopExperiment } from "./inner-loop.ts";
import { mainJobExperiment } from "./main-job.ts";
import { manyPassagesExperiment } from "./many-passages.ts";
import { registerPacking } from "./packing.ts";
import { promptsExperiment } from "./prompts.ts";
import { quantisationExperiment } from "./quantisation.ts";
import { registerRedraw } from "./redraw.ts";
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

/** Adds all experiments as subcommands, and those that draw, pack and unpack their results. */
export function registerExperiments(parent: Command): void {
  const drawings: Pick<Experiment, "name" | "draw">[] = [];
  const add = <Options extends ExperimentOptions>(experiment: Experiment<Options>): void => {
    registerExperimentCommand(parent, experiment);
    drawings.push({ name: experiment.name, ...(experiment.draw !== undefined && { draw: experiment.draw }) });
  };
  add(innerLoopExperiment);
  add(mainJobExperiment);
  add(manyPassagesExperiment);
  add(promptsExperiment);
  add(quantisationExperiment);
  add(rewardsExperiment);
  add(continualExperiment);
  add(singlePassageExperiment);
  add(equalComputeExperiment);
  add(voicesExperiment);
  add(roundTimeExperiment);
  registerRedraw(parent, drawings);
  registerPacking(parent);
}

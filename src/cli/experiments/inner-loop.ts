/** @file `selkie experiment inner-loop`: what each lever of the inner loop is worth. */
import type { Command } from "commander";
import type { InnerLoopFigures } from "../../lab/index.ts";
import { parseCount } from "../verb.ts";
import type { Experiment, ExperimentOptions } from "./experiment.ts";

interface InnerLoopOptions extends ExperimentOptions {
  readonly seeds: number;
  readonly slowPassages: number;
}

/** Canaries are asked after every one of thousands of trainings; a third of them tells enough. */
const numCanaries = 20;

/** The tables of levers. */
export const innerLoopExperiment: Experiment<InnerLoopOptions> = {
  name: "inner-loop",
  summary: "levers of the inner loop one by one: targets, rank, learning rate, epochs, replay, distillation, unions",
  addOptions(command: Command): void {
    command
      .option("--seeds <n>", "trainings of each passage", parseCount, 3)
      .option("--slow-passages <n>", "passages for full finetuning", parseCount, 30);
  },
  config: ({ seeds, slowPassages }) => ({ seeds, slowPassages }),
  async run({ options, templates, heldOut, open, store, signal, onEvent }) {
    const { loadCanaries } = await import("../../adapt/index.ts");
    const { createArmContext, leverWriters, runInnerLoop } = await import("../../lab/index.ts");
    const { seed, seeds, slowPassages } = options;
    const canaries = await loadCanaries(options.model, numCanaries);
    await using engine = await open();
    const context = await createArmContext({
      ...{ name: "base", engine, templates, canaries, passages: heldOut, seed, store, signal, onEvent },
      numReplay: 400,
    });
    const writers = await leverWriters(context, seeds);
    const figures = await runInnerLoop({ context, writers, numSeeds: seeds, numSlowPassages: slowPassages, onEvent });
    return { record: figures, data: {} };
  },
  async tabulate(record: InnerLoopFigures) {
    const { tabulateInnerLoop } = await import("../../lab/index.ts");
    return { tables: tabulateInnerLoop(record) };
  },
};

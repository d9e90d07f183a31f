/** @file `selkie experiment round-time`: a round of the outer loop on this machine, against the reference's way of running trials. */
import type { Command } from "commander";
import { parseCount } from "../verb.ts";
import type { Experiment, ExperimentOptions } from "./experiment.ts";

interface RoundTimeOptions extends ExperimentOptions {
  readonly passages: number;
  readonly sample: number;
  readonly repetitions: number;
}

/** The time of a round. */
export const roundTimeExperiment: Experiment<RoundTimeOptions> = {
  name: "round-time",
  summary: "time of a round: the bank against one adapter at a time with the reference's padding",
  addOptions(command: Command): void {
    command
      .option("--passages <n>", "passages of the round", parseCount, 50)
      .option("--sample <n>", "trials that are run one at a time", parseCount, 10)
      .option("--repetitions <n>", "how often each way is timed", parseCount, 3);
  },
  config: ({ passages, sample, repetitions }) => ({ passages, sample, repetitions }),
  async run({ options, templates, canaries, heldOut, open, store, arithmetic, signal, onEvent }) {
    const { cpus } = await import("node:os");
    const { defaultLearnSettings } = await import("../../adapt/index.ts");
    const { runRoundTime, tabulateRoundTime } = await import("../../lab/index.ts");
    const { almanacPassages } = await import("../../tasks/index.ts");
    const { roundPeople } = await import("../people.ts");
    const { model, passages, sample, repetitions, seed } = options;
    const found = await runRoundTime({
      ...{
        modelDirectory: model,
        open,
        templates,
        canaries,
        heldOut,
        seed,
        sample,
        repetitions,
        store,
        signal,
        onEvent,
      },
      passages: almanacPassages(roundPeople().slice(0, passages)),
      settings: defaultLearnSettings,
      clock: () => performance.now(),
    });
    const threads = options.threads ?? cpus().length;
    return { tables: tabulateRoundTime(found, `${threads} cores, ${arithmetic.instructionSet}`), data: found };
  },
};

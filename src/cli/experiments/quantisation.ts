/** @file `selkie experiment quantisation`: what formats of frozen weights cost and save. */
import { type Command, Option } from "commander";
import { parseCount, parsePositive } from "../verb.ts";
import type { Experiment, ExperimentOptions } from "./experiment.ts";

interface QuantisationOptions extends ExperimentOptions {
  readonly texts: number;
  readonly people: number;
  readonly size: string;
  readonly seconds: number;
}

/** The table of weight formats. */
export const quantisationExperiment: Experiment<QuantisationOptions> = {
  name: "quantisation",
  summary: "formats of frozen weights: speed, memory, accuracy",
  addOptions(command: Command): void {
    command
      .option("--texts <n>", "held-out texts", parseCount, 400)
      .option("--people <n>", "people of each group in the exam", parseCount, 50)
      .addOption(new Option("--size <name>", "model shape to time").choices(["nano", "7m", "135m"]).default("135m"))
      .option("--seconds <n>", "measure each speed at least this long", parsePositive, 4);
  },
  config: ({ texts, people, size, seconds }) => ({ texts, people, size, seconds }),
  async run({ options, arithmetic, store, signal, onEvent }) {
    const { cpus } = await import("node:os");
    const { measureFormats, tabulateFormats } = await import("./formats.ts");
    const { model, texts, people, size, seconds, seed } = options;
    const rows = await measureFormats({
      ...{ modelDirectory: model, arithmetic, numTexts: texts, numPeople: people, seed, seconds, size, store, signal },
      onEvent: (done, total, what) => onEvent({ stage: what, done, total }),
    });
    return {
      tables: tabulateFormats(rows, size, `${cpus().length} cores, ${arithmetic.instructionSet}`),
      data: { rows },
    };
  },
};

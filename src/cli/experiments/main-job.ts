/** @file `selkie experiment main-job`: what each way of learning one passage is worth. */

import type { Command } from "commander";
import type { MainJobTable, ResultTable } from "../../lab/index.ts";
import { countOf } from "../../util/index.ts";
import { parseCount } from "../verb.ts";
import type { Experiment, ExperimentOptions } from "./experiment.ts";

interface MainJobOptions extends ExperimentOptions {
  readonly people: number;
  readonly edits: number;
}

/** The main-job table. */
export const mainJobExperiment: Experiment<MainJobOptions> = {
  name: "main-job",
  summary: "what training on one passage is worth: raw, self-edits, the best of several, all-facts edits",
  addOptions(command: Command): void {
    command
      .option("--people <n>", "held-out people, at most 100", parseCount, 100)
      .option("--edits <n>", "self-edits per person", parseCount, 5);
  },
  config: ({ people, edits }) => ({ people, edits }),
  async run({ options, about, templates, open, store, signal, onEvent }) {
    const { defaultSettings, loadCanaries } = await import("../../adapt/index.ts");
    const { runMainJobTable } = await import("../../lab/index.ts");
    const { SelkieError } = await import("../../util/index.ts");
    if (about.people === null)
      throw new SelkieError("bad-option", `main-job: expected --held-out almanac, got ${options.heldOut}`);
    const { innerLoop, bankSize } = defaultSettings;
    await using engine = await open();
    const table = await runMainJobTable({
      engine,
      templates,
      canaries: await loadCanaries(options.model, 30),
      people: about.people.slice(0, options.people),
      numEdits: options.edits,
      innerLoop,
      seed: options.seed,
      bankSize: 2 * bankSize,
      store,
      signal,
      onEvent,
    });
    return { tables: [armTable(table), kindTable(table)], data: { innerLoop, ...table } };
  },
};

function armTable({ rows, numPeople, questionsPerPerson, canaryAccuracy }: MainJobTable): ResultTable {
  return {
    title: "What one passage's training is worth",
    caption: `${countOf(numPeople, "person", "people")} the model never read about, ${countOf(questionsPerPerson, "question")} each in wordings that no training text contains; closed book; 95 % bootstrap intervals over people, differences paired. Old answers are the canaries that the base answers right (${(100 * canaryAccuracy).toFixed(1)} % of them).`,
    columns: [
      { name: "new answers right", unit: "percent" },
      { name: "over raw passage", unit: "points" },
      { name: "over raw, repeated", unit: "points" },
      { name: "old answers kept", unit: "percent" },
      { name: "documents", unit: "number", digits: 1 },
    ],
    rows: rows.map(({ name, accuracy, overRaw, overRepeated, kept, meanDocuments }) => ({
      name,
      cells: [
        accuracy,
        name === "raw passage" ? null : overRaw,
        name === "raw passage, repeated" ? null : overRepeated,
        kept,
        meanDocuments,
      ],
    })),
    drawn: "new answers right",
  };
}

const kindTable = ({ byKind, numEdits }: MainJobTable): ResultTable => ({
  title: "By kind",
  caption: `The model's own ${countOf(numEdits, "edit")} per person, by the kind it chose.`,
  columns: [
    { name: "edits", unit: "number" },
    { name: "new answers right", unit: "percent" },
  ],
  rows: Object.entries(byKind).map(([name, { count, accuracy }]) => ({ name, cells: [count, accuracy] })),
  drawn: null,
});

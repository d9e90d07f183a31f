/** @file `selkie experiment many-passages`: one adapter, or one finetuned model, for many passages at once. */
import type { Command } from "commander";
import type { ManyPassagesRow } from "../../lab/index.ts";
import { parseCount } from "../verb.ts";
import type { Experiment, ExperimentOptions } from "./experiment.ts";

interface ManyPassagesOptions extends ExperimentOptions {
  readonly counts: readonly number[];
  readonly seeds: number;
  readonly policy?: string;
}

/** The tables of continued pretraining. */
export const manyPassagesExperiment: Experiment<ManyPassagesOptions> = {
  name: "many-passages",
  summary: "many passages learned at once, with LoRA and with full finetuning, with and without replay",
  addOptions(command: Command): void {
    command
      .option("--counts <list>", "passages learned together, one table each", parseCounts, [20, 100])
      .option("--seeds <n>", "trainings of everything", parseCount, 3)
      .option("--policy <dir>", "the trained policy (default: two rounds of the outer loop)");
  },
  config: ({ counts, seeds, policy }) => ({ counts: [...counts], seeds, policy: policy ?? null }),
  async run({ options, templates, canaries, heldOut, open, learn, store, signal, onEvent }) {
    const { loadPrompts } = await import("../../adapt/index.ts");
    const { createArmContext, runManyPassages, writeEdits } = await import("../../lab/index.ts");
    const { twoRounds } = await import("./policy.ts");
    const { seed, counts, seeds: numSeeds } = options;
    const directory = options.policy ?? (await twoRounds(learn, seed));
    await using engine = await open();
    await using trained = await open(directory);
    const shared = { canaries, passages: heldOut, seed, store, numReplay: 1200, signal, onEvent };
    const base = await createArmContext({ ...shared, name: "base", engine, templates });
    const policy = await createArmContext({
      ...shared,
      name: `policy-${trained.model.digest}`,
      engine: trained,
      templates: await loadPrompts(directory),
    });
    const edits = {
      untrained: await writeEdits(base, base, "untrained", numSeeds),
      trained: await writeEdits(base, policy, `policy-${trained.model.digest}`, numSeeds),
    };
    const rows = await runManyPassages({ base, policy, edits, counts, numSeeds, onEvent });
    return { record: { rows }, data: { policy: trained.model.digest } };
  },
  async tabulate({ rows }: { readonly rows: readonly ManyPassagesRow[] }) {
    const { tabulateManyPassages } = await import("../../lab/index.ts");
    return { tables: tabulateManyPassages(rows) };
  },
};

const parseCounts = (text: string): number[] => text.split(",").map(parseCount);

/** @file `selkie experiment equal-compute`: reinforcement against the same updates or tokens spent otherwise. */
import type { Command } from "commander";
import type { SpendingTables } from "../../lab/index.ts";
import { parseCount } from "../verb.ts";
import type { Experiment } from "./experiment.ts";
import { addPolicyOptions, namingSetsOf, type PolicyOptions, studyPolicies } from "./policy-study.ts";

interface SpendingOptions extends PolicyOptions {
  readonly few: number;
  readonly many: number;
}

/** The comparison at equal cost. */
export const equalComputeExperiment: Experiment<SpendingOptions> = {
  name: "equal-compute",
  summary: "SEAL's last round against the raw passage, a rule, longer training and more samples at the same cost",
  addOptions(command: Command): void {
    addPolicyOptions(command)
      .option("--few <n>", "samples of the small choice and of the union", parseCount, 5)
      .option("--many <n>", "samples of the large choice", parseCount, 16);
  },
  config: ({ seeds, rounds, passages, few, many }) => ({ seeds, rounds, passages, few, many }),
  sets: namingSetsOf,
  async run(room) {
    const { outerCost, recordSpending, runEqualComputeSets } = await import("../../lab/index.ts");
    const { few, many } = room.options;
    const { study, settings, reports } = await studyPolicies(room);
    const { numRounds } = settings;
    const sets = recordSpending(await runEqualComputeSets(study, room.sets, { few, many }));
    const record: SpendingTables = { sets, costs: reports.map((report) => outerCost(report, settings)), numRounds };
    return { record, data: { settings } };
  },
  async tabulate(record: SpendingTables) {
    const { tabulateEqualCompute } = await import("../../lab/index.ts");
    return { tables: tabulateEqualCompute(record) };
  },
};

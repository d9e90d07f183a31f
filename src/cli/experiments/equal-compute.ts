/** @file `selkie experiment equal-compute`: reinforcement against the same tokens spent otherwise. */
import type { Command } from "commander";
import { parseCount } from "../verb.ts";
import type { Experiment } from "./frame.ts";
import { addPolicyOptions, type PolicyOptions, studyPolicies } from "./policy-study.ts";

interface SpendingOptions extends PolicyOptions {
  readonly few: number;
  readonly many: number;
}

/** The comparison at equal cost. */
export const equalComputeExperiment: Experiment<SpendingOptions> = {
  name: "equal-compute",
  summary: "SEAL's last round against longer training and more samples at the same cost",
  addOptions(command: Command): void {
    addPolicyOptions(command)
      .option("--few <n>", "samples of the small choice and of the union", parseCount, 5)
      .option("--many <n>", "samples of the large choice", parseCount, 16);
  },
  config: ({ seeds, rounds, passages, few, many }) => ({ seeds, rounds, passages, few, many }),
  async run(room) {
    const { outerCost, runEqualCompute, tabulateEqualCompute } = await import("../../adapt/index.ts");
    const { few, many } = room.options;
    const { study, settings, reports } = await studyPolicies(room);
    const { numRounds } = settings;
    const findings = await runEqualCompute(study, { few, many });
    const costs = reports.map((report) => outerCost(report, settings));
    return { tables: tabulateEqualCompute({ findings, costs, numRounds }), data: { settings, costs, findings } };
  },
};

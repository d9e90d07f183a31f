/** @file `selkie experiment single-passage`: one passage learned raw, by self-edits, by SEAL's rounds, by an all-knowing editor. */
import type { Experiment } from "./frame.ts";
import { addPolicyOptions, type PolicyOptions, studyPolicies } from "./policy-study.ts";

/** The single-passage table. */
export const singlePassageExperiment: Experiment<PolicyOptions> = {
  name: "single-passage",
  summary: "one passage: raw, self-edit, SEAL rounds 1 and 2, a stronger writer, all facts",
  addOptions: addPolicyOptions,
  config: ({ seeds, rounds, passages }) => ({ seeds, rounds, passages }),
  async run(room) {
    const { runSinglePassage, tabulateSinglePassage } = await import("../../adapt/index.ts");
    const { study, settings, reports } = await studyPolicies(room);
    const findings = await runSinglePassage(study);
    const evaluations = reports.map((report) => report.evaluations);
    return { tables: tabulateSinglePassage(findings, settings.numRounds), data: { settings, findings, evaluations } };
  },
};

/** @file `selkie experiment single-passage`: one passage learned raw, by a rule, by self-edits, by SEAL's rounds, by an all-knowing editor. */
import type { ScoreFigures, SetFindings } from "../../lab/index.ts";
import type { Experiment } from "./experiment.ts";
import { addPolicyOptions, namingSetsOf, type PolicyOptions, rewardsOf, studyPolicies } from "./policy-study.ts";

/** What the tables are computed from. */
interface SinglePassageRecord {
  readonly numRounds: number;
  readonly sets: readonly SetFindings<ScoreFigures>[];
}

/** The single-passage table. */
export const singlePassageExperiment: Experiment<PolicyOptions> = {
  name: "single-passage",
  summary: "one passage, with pronouns and with names: raw, by a rule, self-edit, SEAL rounds 1 and 2, all facts",
  addOptions: addPolicyOptions,
  config: ({ seeds, rounds, passages }) => ({ seeds, rounds, passages }),
  sets: namingSetsOf,
  async run(room) {
    const { recordFindings, runSinglePassageSets } = await import("../../lab/index.ts");
    const { study, settings, reports } = await studyPolicies(room);
    const sets = await runSinglePassageSets(study, room.sets);
    const record: SinglePassageRecord = { numRounds: settings.numRounds, sets: recordFindings(sets) };
    return { record, rewards: await rewardsOf(room, settings, reports), data: { settings } };
  },
  async tabulate({ numRounds, sets }: SinglePassageRecord) {
    const { tabulateSinglePassage } = await import("../../lab/index.ts");
    return { tables: tabulateSinglePassage(sets, numRounds) };
  },
};

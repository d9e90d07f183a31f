/** @file `selkie experiment voices`: the same arms in many voices, hand-written plain English among them. */
import type { VoiceFindings } from "../../lab/index.ts";
import type { Experiment } from "./experiment.ts";
import { addPolicyOptions, namingSetsOf, type PolicyOptions, studyPolicies } from "./policy-study.ts";

/** What the tables are computed from. */
interface VoicesRecord {
  readonly numRounds: number;
  readonly voices: readonly VoiceFindings[];
}

/** The table of voices. */
export const voicesExperiment: Experiment<PolicyOptions> = {
  name: "voices",
  summary: "right answers in many voices: other questions, unseen values, cards, other relations, plain English",
  addOptions: addPolicyOptions,
  config: ({ seeds, rounds, passages }) => ({ seeds, rounds, passages }),
  /** Passages written by hand are looked at together with the test people, and never before. */
  async sets(about, heldOut, options) {
    const { almanacSets, plainEnglishSets } = await import("../../lab/index.ts");
    const { people, unseen, split } = about;
    if (people === null) return namingSetsOf(about, heldOut, options);
    return [
      ...almanacSets({ seen: people, unseen }, split === "test" ? "test" : "validation"),
      ...(split === "test" ? plainEnglishSets() : []),
    ];
  },
  async run(room) {
    const { runVoices } = await import("../../lab/index.ts");
    const { study, settings } = await studyPolicies(room);
    const record: VoicesRecord = { numRounds: settings.numRounds, voices: await runVoices(study, room.sets) };
    return { record, data: { settings } };
  },
  async tabulate({ numRounds, voices }: VoicesRecord) {
    const { tabulateVoices } = await import("../../lab/index.ts");
    return { tables: tabulateVoices(voices, numRounds) };
  },
};

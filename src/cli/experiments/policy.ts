/** @file The policy that experiments call trained: two rounds of the outer loop. */
import type { ExperimentRoom } from "./experiment.ts";

/** Directory of the policy after two rounds of 50 passages with the settings of `selkie learn knowledge`; found again once learned. */
export async function twoRounds(learn: ExperimentRoom["learn"], seed: number): Promise<string> {
  const { defaultLearnSettings } = await import("../../adapt/index.ts");
  const { policies } = await learn({ ...defaultLearnSettings, numRounds: 2, passagesPerRound: 50 }, seed);
  return policies.at(-1)!;
}

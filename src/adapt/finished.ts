/** @file How much of a run's work an earlier start of it has finished, as its store of stages tells. */
import type { LearnSettings } from "./learn/settings.ts";
import type { AdaptSettings, StageStore } from "./settings.ts";

const isIn = async (store: StageStore, name: string): Promise<boolean> => ((await store.read(name)) ?? null) !== null;

/** Passages whose edits are tried in one bank. */
export const passagesPerBank = ({ bankSize, numEdits }: Pick<AdaptSettings, "bankSize" | "numEdits">): number =>
  Math.max(1, Math.floor(bankSize / numEdits));

/**
 * Share of each stage of an adaptation that is in the store, in [0, 1], by the stage's name in progress events. The last
 * training and what follows it are not kept in parts.
 */
export async function finishedStages(
  store: StageStore,
  settings: Pick<AdaptSettings, "bankSize" | "numEdits">,
  numPassages: number,
): Promise<Readonly<Record<string, number>>> {
  const share = async (name: string) => ((await isIn(store, name)) ? 1 : 0);
  const perBank = passagesPerBank(settings);
  let numTried = 0;
  for (let from = 0; from < numPassages; from += perBank)
    if (await isIn(store, `trials-${from}`)) numTried += Math.min(perBank, numPassages - from);
  return {
    exam: await share("exam"),
    before: await share("sitting-before"),
    propose: await share("proposals"),
    try: numPassages === 0 ? 0 : numTried / numPassages,
    replay: await share("replay"),
  };
}

/** What decides how many trials an outer loop makes. */
export interface LearningSize {
  readonly settings: Pick<LearnSettings, "numRounds" | "schedule" | "groupSize" | "heldOutEdits">;
  readonly passagesPerRound: number;
  readonly numHeldOut: number;
}

/** Share of an outer loop's trials that are in the store, in [0, 1]: nearly all of its time goes into them. */
export async function finishedTrials(
  store: StageStore,
  { settings, passagesPerRound, numHeldOut }: LearningSize,
): Promise<number> {
  const { numRounds, schedule, groupSize, heldOutEdits } = settings;
  const rounds = Array.from({ length: numRounds }, (_, index) => index + 1);
  const parts = [
    ...[0, ...rounds].map((round) => ({ name: `held-out-${round}/rung-0`, due: numHeldOut * heldOutEdits })),
    ...rounds.flatMap((round) =>
      schedule.map(({ numEdits, repetitions }, rung) => ({
        name: `round-${round}/rung-${rung}`,
        due: passagesPerRound * numEdits * repetitions,
      })),
    ),
  ];
  let [done, all] = [0, 0];
  for (const { name, due } of parts) {
    all += due;
    for (let from = 0; from < due; from += groupSize)
      if (await isIn(store, `${name}/trials-${from}`)) done += Math.min(groupSize, due - from);
  }
  return all === 0 ? 0 : done / all;
}

/** @file What the report of an outer loop says of a round, computed again from the trials on record: they must suffice for it. */
import { measureReliability, type PassageTrials, rewardDesign, rewards } from "../../src/adapt/index.ts";
import type { LoopTrials, RoundTrials, TrialRow } from "../../src/lab/outer-loops.ts";
import { createRng, crossedComponents, type Estimate, mean, varianceComponents } from "../../src/util/index.ts";

/** What is said of a round. */
export interface RoundSummary {
  readonly meanAccuracy: number;
  readonly keptAccuracy: number;
  readonly meanReward: number;
  /** Share of signal in the reward of one trial and of all of an edit; `null` for fewer than two trials of an edit. */
  readonly reliability: { readonly ofOne: Estimate; readonly ofAll: Estimate } | null;
  /** Standard deviation of what the edits of a passage are worth, and of one trial's luck, in the reward's unit. */
  readonly spread: { readonly edits: number; readonly luck: number } | null;
}

/** A round from its trials alone. */
export function summariseRound(round: RoundTrials, randomNumbers: LoopTrials["randomNumbers"]): RoundSummary {
  const { edits, trials } = round;
  const own = edits.map((_, candidate) => trials.filter((trial) => trial.candidate === candidate));
  const accuracyOf = (candidate: number) => mean(own[candidate]!.map(({ accuracy }) => accuracy));
  const tried = [...edits.keys()].filter((candidate) => own[candidate]!.length > 0);
  const kept = tried.filter((candidate) => edits[candidate]!.isKept);
  return {
    meanAccuracy: mean(tried.map(accuracyOf)),
    keptAccuracy: mean(kept.map(accuracyOf)),
    meanReward: mean(edits.map(({ reward }) => reward)),
    ...measureSpread(round, own, randomNumbers),
  };
}

/** Rewards of single trials look at trials alone. */
const unread = { kind: "plain", text: "" } as const;

function measureSpread(
  { reward: name, passageIds, edits }: RoundTrials,
  own: readonly (readonly TrialRow[])[],
  randomNumbers: LoopTrials["randomNumbers"],
): Pick<RoundSummary, "reliability" | "spread"> {
  const reward = Object.values(rewards).find((known) => known.name === name);
  const counts = new Set(own.map(({ length }) => length));
  if (reward === undefined || reward.minRepetitions !== 1 || counts.size !== 1 || counts.has(0) || counts.has(1))
    return { reliability: null, spread: null };
  const passages = passageIds.map(
    (passageId, passage): PassageTrials => ({
      ...{ passageId, passage: "", baseAccuracy: 0, baseGoldLogprob: 0 },
      edits: edits.flatMap((edit, candidate) =>
        edit.passage === passage
          ? [
              {
                edit: unread,
                numTokens: edit.numTokens,
                trials: own[candidate]!.map((trial) => ({ ...trial, seed: 0 })),
              },
            ]
          : [],
      ),
    }),
  );
  const design = rewardDesign(reward, passages);
  const { between, within } = (randomNumbers === "common" ? crossedComponents : varianceComponents)(design);
  const { ofOne, ofAll } = measureReliability(reward, passages, randomNumbers, createRng("reward-reliability"));
  return {
    reliability: Number.isFinite(ofOne.value) ? { ofOne, ofAll } : null,
    spread: { edits: Math.sqrt(Math.max(0, between)), luck: Math.sqrt(Math.max(0, within)) },
  };
}

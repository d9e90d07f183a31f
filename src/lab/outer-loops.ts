/**
 * @file The trials behind the rewards of an outer loop, one record each, so that whatever is said of rounds and rewards can be
 * computed again: accuracies, gold log-probabilities and rewards by edit and repetition, with tokens and updates. A trial's
 * random numbers are named by `trialSeed` from the run's seed, passage, edit and repetition.
 */
import { type LearnReport, measureReliability, type PassageTrials, rewardDesign, rewards } from "../adapt/index.ts";
import { createRng, crossedComponents, type Estimate, mean, varianceComponents } from "../util/index.ts";

/** One edit. */
export interface EditRecord {
  /** Place of its passage in the round. */
  readonly passage: number;
  readonly edit: number;
  /** SHA-256 of its documents, shortened. */
  readonly digest: string;
  /** Several where a candidate is a union: joined by "+". */
  readonly kind: string;
  /** Of its documents, each counted once. */
  readonly numTokens: number;
  readonly reward: number;
  readonly isKept: boolean;
}

/** One training of an edit. */
export interface TrialRow {
  /** Place of the edit in the round's list. */
  readonly candidate: number;
  readonly repetition: number;
  readonly accuracy: number;
  /** Nats per token. */
  readonly goldLogprob: number;
  /** `null` when no canary was asked. */
  readonly kept: number | null;
  /** Optimizer updates. */
  readonly numSteps: number;
}

/** One round. */
export interface RoundTrials {
  readonly round: number;
  readonly reward: string;
  readonly passageIds: readonly string[];
  readonly edits: readonly EditRecord[];
  readonly trials: readonly TrialRow[];
}

/** One run of the outer loop. */
export interface LoopTrials {
  readonly seed: number;
  /** Whether trial `r` of all edits of a passage had the same random numbers. */
  readonly randomNumbers: "common" | "independent";
  readonly rounds: readonly RoundTrials[];
}

/** The trials of a run. */
export function trialsOfLoop(
  { rounds }: LearnReport,
  seed: number,
  randomNumbers: LoopTrials["randomNumbers"],
): LoopTrials {
  return {
    ...{ seed, randomNumbers },
    rounds: rounds.map(({ round, reward, passageIds, candidates }) => ({
      ...{ round, reward, passageIds },
      edits: candidates.map(({ passageId, edit, digest, kinds, numTokens, reward: worth, isKept }) => ({
        passage: passageIds.indexOf(passageId),
        ...{ edit, digest, kind: kinds.join("+"), numTokens, reward: worth, isKept },
      })),
      trials: candidates.flatMap(({ trials }, candidate) =>
        trials.map(({ accuracy, goldLogprob, kept, numSteps }, repetition) => ({
          ...{ candidate, repetition, accuracy, goldLogprob, kept, numSteps },
        })),
      ),
    })),
  };
}

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

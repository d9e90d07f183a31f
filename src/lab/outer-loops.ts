/**
 * @file The trials behind the rewards of an outer loop, one record each, so that whatever is said of rounds and rewards can be
 * computed again: accuracies, gold log-probabilities and rewards by edit and repetition, with tokens and updates. A trial's
 * random numbers are named by `trialSeed` from the run's seed, passage, edit and repetition.
 */
import type { LearnReport } from "../adapt/index.ts";

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

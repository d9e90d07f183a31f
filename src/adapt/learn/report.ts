/** @file What the outer loop found, round by round. Nothing here depends on when or how fast it ran. */
import { digestOf } from "../../registry/index.ts";
import { bootstrapMean, createRng, type Estimate, type Interval, mean } from "../../util/index.ts";
import type { JobSettings } from "../domain.ts";
import { measureReliability } from "../rewards/reliability.ts";
import { type MeasuredReward, rewardDesign } from "../rewards/rewards.ts";
import type { PassageTrials } from "../rewards/trials.ts";
import { type Expectation, meanAccuracy } from "./expectation.ts";
import { type Kept, type KeptExample, keptExamples } from "./kept.ts";
import type { MaximisationReport } from "./maximisation.ts";

/** One candidate with everything that was measured of it. */
export interface CandidateRecord {
  readonly passageId: string;
  readonly edit: number;
  /** SHA-256 of its training documents and of the settings it chose, the first 12 digits. */
  readonly digest: string;
  readonly kinds: readonly string[];
  /** Hyper-parameters that the edit chose; absent where it left them to the run. */
  readonly settings?: JobSettings;
  readonly reward: number;
  /** `null` when it was not trained. */
  readonly accuracy: number | null;
  readonly numTokens: number;
  readonly isKept: boolean;
  readonly trials: readonly {
    readonly seed: number;
    /** Of this repetition alone; `null` for rewards that look at several together, or at none. */
    readonly reward: number | null;
    readonly accuracy: number;
    readonly goldLogprob: number;
    readonly kept: number | null;
    /** Optimizer updates made. */
    readonly numSteps: number;
    readonly adapter: string;
  }[];
}

/** One round. */
export interface RoundReport {
  /** From 1. */
  readonly round: number;
  readonly passageIds: readonly string[];
  readonly reward: string;
  readonly meanReward: number;
  /** Of the best candidate of each passage. */
  readonly bestReward: number;
  /**
   * Share of the reward's variance within a passage that is signal and not luck, of one trial and of all; `null` where the
   * trials cannot tell (fewer than two of every edit, or a reward that is not of single trials).
   */
  readonly reliability: { readonly ofOne: Estimate; readonly ofAll: Estimate } | null;
  /** Closed-book, before anything is learned. */
  readonly baseAccuracy: number;
  /** Over all candidates, on the questions that rewards are made of. */
  readonly meanAccuracy: number | null;
  readonly keptAccuracy: number | null;
  readonly kinds: Readonly<Record<string, number>>;
  readonly keptKinds: Readonly<Record<string, number>>;
  readonly numTrials: number;
  readonly numDiverged: number;
  readonly update: MaximisationReport;
  /** The next policy. */
  readonly policy: PolicyRecord;
  readonly candidates: readonly CandidateRecord[];
}

/** A policy on disk. */
export interface PolicyRecord {
  readonly directory: string;
  readonly digest: string;
  readonly parent: string;
}

/** How good a policy's edits are on passages that no round has seen. */
export interface EvaluationReport {
  /** Rounds behind the policy; 0 is the model as it came. */
  readonly round: number;
  readonly policy: string;
  /** Share of right answers to the report questions, after learning one edit; over passages. */
  readonly accuracy: Interval;
  /** Paired difference to the policy of round 0. */
  readonly overUntrained: Interval | null;
  /** Without learning anything. */
  readonly baseAccuracy: number;
  readonly goldLogprob: number;
  /** Share of what the untrained model knew that is still right after learning an edit; `null` without canaries. */
  readonly kept: number | null;
  /** The same for the policy itself. */
  readonly policyKept: number | null;
  readonly kinds: Readonly<Record<string, number>>;
  readonly meanTokens: number;
  readonly perPassage: readonly number[];
}

/** Everything. */
export interface LearnReport {
  readonly base: string;
  readonly rounds: readonly RoundReport[];
  readonly evaluations: readonly EvaluationReport[];
}

const count = (names: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
};

/** Mean of what was measured; `null` when nothing was. */
function meanOf(values: readonly (number | null)[]): number | null {
  const measured = values.filter((value) => value !== null);
  return measured.length === 0 ? null : mean(measured);
}

const kindsOf = (examples: readonly KeptExample[]): string[] =>
  examples.flatMap(({ completions }) => completions.map(({ kind }) => kind));

/** What the trials say about the reward itself. */
function reliabilityOf(
  reward: MeasuredReward,
  trials: readonly PassageTrials[],
  randomNumbers: "common" | "independent",
): RoundReport["reliability"] {
  const counts = new Set(trials.flatMap(({ edits }) => edits.map((edit) => edit.trials.length)));
  const numEdits = Math.min(...trials.map(({ edits }) => edits.length));
  if (reward.minRepetitions !== 1 || counts.size !== 1 || counts.has(0) || counts.has(1) || numEdits < 2) return null;
  const { ofOne, ofAll } = measureReliability(reward, trials, randomNumbers, createRng("reward-reliability"));
  return Number.isFinite(ofOne.value) ? { ofOne, ofAll } : null;
}

/** Puts one round together. */
export function reportRound(
  round: number,
  reward: MeasuredReward,
  randomNumbers: "common" | "independent",
  found: Expectation,
  kept: Kept,
  update: MaximisationReport,
  policy: PolicyRecord,
): RoundReport {
  const examples = keptExamples(kept);
  const isKept = (passage: number, edit: number) =>
    examples.some((example) => example.passage === passage && example.edit === edit);
  const accuracyOf = (passage: number, edit: number) => meanAccuracy(found.trials[passage]!.edits[edit]!);
  const perTrial = reward.minRepetitions === 1 ? rewardDesign(reward, found.trials) : null;
  const candidates = found.candidates.flatMap((list, passage) =>
    list.map(
      ({ members, documents, settings, numTokens }, edit): CandidateRecord => ({
        passageId: found.trials[passage]!.passageId,
        edit,
        digest: digestOf(JSON.stringify(settings === undefined ? documents : [documents, settings])).slice(0, 12),
        kinds: members.map(({ kind }) => kind),
        ...(settings !== undefined && { settings }),
        reward: found.rewards[passage]![edit]!,
        accuracy: accuracyOf(passage, edit),
        numTokens,
        isKept: isKept(passage, edit),
        trials: found.records
          .filter((record) => record.passage === passage && record.edit === edit)
          .map(({ seed, accuracy, goldLogprob, kept: share, numSteps, adapter }, repetition) => ({
            seed,
            reward: perTrial?.[passage]?.[edit]?.[repetition] ?? null,
            accuracy,
            goldLogprob,
            kept: share,
            numSteps,
            adapter,
          })),
      }),
    ),
  );
  return {
    round,
    passageIds: found.trials.map(({ passageId }) => passageId),
    reward: reward.name,
    meanReward: mean(candidates.map((candidate) => candidate.reward)),
    bestReward: mean(found.rewards.map((row) => Math.max(...row))),
    reliability: reliabilityOf(reward, found.trials, randomNumbers),
    baseAccuracy: mean(found.trials.map(({ baseAccuracy }) => baseAccuracy)),
    meanAccuracy: meanOf(candidates.map(({ accuracy }) => accuracy)),
    keptAccuracy: meanOf(examples.map(({ passage, edit }) => accuracyOf(passage, edit))),
    kinds: count(candidates.flatMap(({ kinds }) => kinds)),
    keptKinds: count(kindsOf(examples)),
    numTrials: found.records.length,
    numDiverged: found.records.filter(({ status }) => status === "diverged").length,
    update,
    policy,
    candidates,
  };
}

/** Puts one evaluation together; `untrained` is that of round 0, or `null` while it is being made. */
export function reportEvaluation(
  round: number,
  policy: string,
  found: Expectation,
  policyKept: number | null,
  untrained: EvaluationReport | null,
): EvaluationReport {
  const edits = found.trials.flatMap((passage) => passage.edits);
  const trials = edits.flatMap((edit) => edit.trials);
  const shares = trials.map(({ kept }) => kept).filter((share) => share !== null);
  const perPassage = found.trials.map((passage) => meanOf(passage.edits.map(meanAccuracy)) ?? 0);
  const rng = createRng("held-out-intervals");
  const differences = untrained?.perPassage.map((before, index) => perPassage[index]! - before) ?? null;
  return {
    round,
    policy,
    accuracy: bootstrapMean(perPassage, rng.fork("accuracy")),
    overUntrained: differences && bootstrapMean(differences, rng.fork("difference")),
    baseAccuracy: mean(found.trials.map(({ baseAccuracy }) => baseAccuracy)),
    goldLogprob: mean(trials.map(({ goldLogprob }) => goldLogprob)),
    kept: shares.length === 0 ? null : mean(shares),
    policyKept,
    kinds: count(found.candidates.flatMap((list) => list.flatMap(({ members }) => members.map(({ kind }) => kind)))),
    meanTokens: mean(edits.map(({ numTokens }) => numTokens)),
    perPassage,
  };
}

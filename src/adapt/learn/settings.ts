/**
 * @file Settings of the outer loop: how a round tries edits, and how it changes the policy that writes them.
 * Defaults for the Almanac are measured in `docs/results`; SEAL's own values are named where they differ.
 */
import type { LoraConfig } from "../../nn/index.ts";
import { SelkieError } from "../../util/index.ts";
import type { HalvingRound } from "../rewards/selection.ts";
import { defaultSettings, type InnerLoop } from "../settings.ts";

/** How one candidate becomes an adapter (or a changed model) before it is examined. */
export interface LearnInnerLoop extends InnerLoop {
  /** Adapter, or all parameters of a copy that is thrown away; `lora` is unused then. */
  readonly method: "lora" | "full";
  /** Share of the documents seen that are samples of the policy itself, in [0, 1). */
  readonly replayShare: number;
  /** Old text is learned as the policy's own expectations: its divergence from the policy is held down, not the text repeated. */
  readonly anchor: { readonly topK: number } | null;
  /** The edit is learned as what the policy expects there when it has the passage before it (context distillation). */
  readonly distillation: {
    readonly topK: number;
    /** What stands before a document for the teacher; `{title}` and `{passage}` are filled in. */
    readonly context: string;
  } | null;
  /** Completions joined into one candidate, at least 1. */
  readonly unionOf: number;
  /** Updates at most, so that long edits cost no more than short ones; `null` leaves it to the epochs. */
  readonly maxSteps: number | null;
}

/**
 * How trials are spent: in each entry so many of a passage's candidates, the best so far by the reward, are trained so many
 * times more. See `halvingRounds`. Empty for a reward that needs no training.
 */
export type TrialSchedule = readonly HalvingRound[];

/** Every edit trained equally often: SEAL takes 3. */
export const uniformSchedule = (numEdits: number, repetitions: number): TrialSchedule =>
  repetitions === 0 ? [] : [{ numEdits, repetitions }];

/** Trials of one passage. */
export const trialsOfPassage = (schedule: TrialSchedule): number =>
  schedule.reduce((total, { numEdits, repetitions }) => total + numEdits * repetitions, 0);

/** Which completions the policy learns from, and by which objective. */
export type PolicyObjective =
  /** Supervised finetuning on the kept completions (ReST-EM, Singh et al. 2023, arXiv 2312.06585). */
  | {
      readonly kind: "rest-em";
      /** Completions kept per passage, the best first. SEAL keeps one. */
      readonly keep: number;
      /** Only those worth more than changing nothing, as in the paper; SEAL's code keeps the best whatever it is worth. */
      readonly aboveBase: boolean;
    }
  /** Best against worst of each passage, held to the policy before the update. */
  | {
      readonly kind: "preference";
      readonly loss: "dpo" | "ipo";
      readonly beta: number;
      /** Pairs whose rewards differ by less say nothing. */
      readonly minGap: number;
    }
  /** All completions, weighted by `exp(advantage / temperature)` with the advantage in standard deviations of its round. */
  | { readonly kind: "advantage"; readonly temperature: number; readonly maxWeight: number };

/** How the policy is changed once a round's rewards are in. */
export interface PolicyUpdate {
  readonly objective: PolicyObjective;
  readonly method: "lora" | "full";
  readonly lora: LoraConfig;
  /** Peak; falls linearly to 0. */
  readonly learningRate: number;
  /** Passes over the kept completions. */
  readonly epochs: number;
  /** Completions (pairs) of one update, replay not counted. */
  readonly documentsPerStep: number;
  /** Share of an update's documents that are old text, in [0, 1). Without it the base is wrecked within a dozen updates. */
  readonly replayShare: number;
}

/** Settings of `learnKnowledge`. */
export interface LearnSettings {
  readonly numRounds: number;
  /** Passages of one round; each is used in one round only. `null` divides all there are. */
  readonly passagesPerRound: number | null;
  /** Candidates of each passage. */
  readonly numEdits: number;
  readonly schedule: TrialSchedule;
  /** Common: repetition `r` of all edits of a passage shares first weights and order, so that luck cancels between them. */
  readonly randomNumbers: "common" | "independent";
  /** Name of one of `rewards`. */
  readonly reward: string;
  readonly innerLoop: LearnInnerLoop;
  readonly update: PolicyUpdate;
  /** Canaries that every trial is asked as well, so that rewards can see what was forgotten; 0 saves the time. */
  readonly numTrialCanaries: number;
  /** Texts sampled from the policy, where replay is wanted and the caller has no old text. */
  readonly numReplay: number;
  /** Trials of one stage: trained side by side, recorded together. */
  readonly groupSize: number;
  /** Edits of each held-out passage, each trained once. */
  readonly heldOutEdits: number;
  /** Passages longer than this are cut, in tokens. */
  readonly maxPassageTokens: number;
}

const { innerLoop, maxPassageTokens } = defaultSettings;

/** The settings of `selkie learn knowledge` where nothing else is asked for. */
export const defaultLearnSettings: LearnSettings = {
  numRounds: 2,
  passagesPerRound: null,
  numEdits: 5,
  schedule: uniformSchedule(5, 3),
  randomNumbers: "common",
  reward: "dense",
  innerLoop: {
    ...innerLoop,
    method: "lora",
    replayShare: 0,
    anchor: null,
    distillation: null,
    unionOf: 1,
    maxSteps: null,
  },
  update: {
    objective: { kind: "rest-em", keep: 1, aboveBase: false },
    method: "lora",
    lora: { loraRank: 64, loraAlpha: 128, targets: "all" }, // SEAL's
    learningRate: 1e-3,
    epochs: 10,
    documentsPerStep: 16,
    replayShare: 0.5,
  },
  numTrialCanaries: 0,
  numReplay: 400,
  groupSize: 60,
  heldOutEdits: 1,
  maxPassageTokens,
};

const isCount = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least;
const isShare = (value: number): boolean => value >= 0 && value < 1;

/** Throws unless every field is within its bounds. */
export function checkLearnSettings(settings: LearnSettings): void {
  const { innerLoop: inner, update, schedule, numEdits } = settings;
  const checks: readonly (readonly [isFine: boolean, name: string, expected: string, got: unknown])[] = [
    [isCount(settings.numRounds, 1), "rounds", "at least 1", settings.numRounds],
    [
      settings.passagesPerRound === null || isCount(settings.passagesPerRound, 1),
      "passages per round",
      "at least 1",
      settings.passagesPerRound,
    ],
    [isCount(numEdits, 1), "edits", "at least 1", numEdits],
    [isCount(inner.unionOf, 1), "unionOf", "at least 1", inner.unionOf],
    [isCount(settings.groupSize, 1), "groupSize", "at least 1", settings.groupSize],
    [isShare(inner.replayShare), "the inner loop's replay share", "at least 0 and below 1", inner.replayShare],
    [isShare(update.replayShare), "the update's replay share", "at least 0 and below 1", update.replayShare],
    [inner.anchor === null || inner.replayShare > 0, "the replay share", "above 0, for an anchor to hold to", 0],
    [inner.maxSteps === null || isCount(inner.maxSteps, 1), "max steps", "at least 1", inner.maxSteps],
    [
      isCount(update.epochs, 0) && isCount(update.documentsPerStep, 1),
      "the update",
      "whole epochs and documents",
      update,
    ],
    [
      schedule.every((round) => isCount(round.numEdits, 1) && isCount(round.repetitions, 1)),
      "the schedule",
      "of at least one edit and repetition each",
      schedule,
    ],
    [
      schedule.length === 0 || schedule[0]!.numEdits === numEdits,
      "the first part of the schedule",
      `of all ${numEdits} edits`,
      schedule[0],
    ],
  ];
  for (const [isFine, name, expected, got] of checks)
    if (!isFine)
      throw new SelkieError("bad-option", `learn: expected ${name} to be ${expected}, got ${JSON.stringify(got)}`);
}

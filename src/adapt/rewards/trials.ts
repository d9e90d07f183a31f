/** @file What a round measured: trials of edits of passages, which rewards turn into numbers. */

/** One training of one edit, examined. */
export interface TrialScore {
  /** Share of right answers to the passage's selection questions, in [0, 1]. */
  readonly accuracy: number;
  /** Mean log-probability of the gold answers, nats per token. */
  readonly goldLogprob: number;
  /** Share of the canaries the base answers right that are still right; `null` when none were asked. */
  readonly kept: number | null;
  /** Of the training; trials of different edits with equal seeds were trained under the same random numbers. */
  readonly seed: number;
}

/** An edit as rewards that read it see it. */
export interface WrittenEdit {
  readonly kind: string;
  readonly text: string;
}

/** An edit and its trials. */
export interface EditTrials {
  readonly edit: WrittenEdit;
  /** Tokens of its training documents, each counted once. */
  readonly numTokens: number;
  /** One per repetition. */
  readonly trials: readonly TrialScore[];
}

/** A passage, what the base knows of it, and the edits tried. */
export interface PassageTrials {
  readonly passageId: string;
  readonly passage: string;
  readonly baseAccuracy: number;
  readonly baseGoldLogprob: number;
  readonly edits: readonly EditTrials[];
}

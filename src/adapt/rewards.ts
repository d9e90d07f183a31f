/** @file Rewards of self-edits (placeholder until the rewards are merged). */
import { mean } from "../util/index.ts";
import type { SelfEdit } from "./self-edit.ts";

/** One training of one edit, examined. */
export interface TrialScore {
  readonly accuracy: number;
  readonly goldLogprob: number;
  readonly kept: number | null;
  readonly seed: number;
}

/** An edit and its repetitions. */
export interface EditTrials {
  readonly edit: SelfEdit;
  readonly numTokens: number;
  readonly trials: readonly TrialScore[];
}

/** A passage and its edits. */
export interface PassageTrials {
  readonly passageId: string;
  readonly passage: string;
  readonly baseAccuracy: number;
  readonly baseGoldLogprob: number;
  readonly edits: readonly EditTrials[];
}

/** What an edit is worth. */
export interface Reward {
  readonly name: string;
  /** One number per edit of each passage. */
  score(passages: readonly PassageTrials[]): number[][];
}

const perEdit = (name: string, of: (edit: EditTrials, passage: PassageTrials) => number): Reward => ({
  name,
  score: (passages) => passages.map((passage) => passage.edits.map((edit) => of(edit, passage))),
});

/** Every reward by name. */
export const rewards: Readonly<Record<"seal" | "dense", Reward>> = {
  seal: perEdit("seal", ({ trials }) => mean(trials.map(({ accuracy }) => accuracy))),
  dense: perEdit(
    "dense",
    ({ trials }, { baseGoldLogprob }) => mean(trials.map(({ goldLogprob }) => goldLogprob)) - baseGoldLogprob,
  ),
};

/**
 * @file What training makes of log-probabilities: an objective is a value that maps those of all supervised tokens of one
 * update to a loss and its derivative by each of them. It sees plain arrays and no model, so that it can be checked by hand.
 * `objectives.ts` has objectives of whole sequences, `token-objectives.ts` those that trainers take.
 */
import { SelkieError } from "../util/index.ts";

/** The supervised tokens of all data of one update, datum after datum, and what is known of each. */
export interface ObjectiveTokens {
  /** Entries of each datum, `[D + 1]`. Where a teacher spreads its expectation, a token has one entry for each soft target. */
  readonly offsets: ArrayLike<number>;
  /** Under the model as it is now, nats; 0 where the weight is 0. */
  readonly logprobs: ArrayLike<number>;
  /** Of the datum; with soft targets, times their probabilities. */
  readonly weights: ArrayLike<number>;
  /** Supervised tokens of each datum, `[D]`. */
  readonly numTokens: readonly number[];
  /** What the data bring along, by name, an entry each. */
  readonly extras: Readonly<Record<string, ArrayLike<number>>>;
}

/** A loss at some log-probabilities. */
export interface ObjectiveValue {
  readonly loss: number;
  /** `d loss / d logprobs[i]`. */
  readonly gradient: Float64Array;
  /** What else is worth a look, by name. */
  readonly metrics?: Readonly<Record<string, number>>;
}

/** A loss that is to fall. */
export interface Objective {
  readonly name: string;
  /** What the sum over tokens is divided by, always over the whole update and never over a micro-batch. */
  readonly normaliser: string;
  /** Extras that every datum must bring. @defaultValue none */
  readonly needs?: readonly string[];
  /**
   * The gradient is the same at any log-probabilities, so that it is known before the forward pass. Otherwise logits are
   * formed twice, and an update of several micro-batches takes a whole forward pass more.
   */
  readonly isLinear: boolean;
  evaluate(tokens: ObjectiveTokens): ObjectiveValue;
}

/** An extra by name. */
export function extraOf(tokens: ObjectiveTokens, name: string): ArrayLike<number> {
  const values = tokens.extras[name];
  if (values === undefined)
    throw new SelkieError(
      "bad-input",
      `objective: expected data with ${name} for each token, got none; put them in extras`,
    );
  return values;
}

/** The weighted log-probability of each datum: `Σ weights[i] · logprobs[i]`, `[D]`. */
export function sumByDatum({ offsets, weights }: ObjectiveTokens, logprobs: ArrayLike<number>): Float64Array {
  const sums = new Float64Array(offsets.length - 1);
  for (let datum = 0; datum < sums.length; datum++)
    for (let at = offsets[datum]!; at < offsets[datum + 1]!; at++)
      if (weights[at] !== 0) sums[datum]! += weights[at]! * logprobs[at]!; // 0 · -∞ would not be 0
  return sums;
}

/** `gradient[i] = slopes[datum of i] · weights[i]`: by tokens, for a loss of the sums of {@link sumByDatum}. */
export function spreadOverTokens({ offsets, weights }: ObjectiveTokens, slopes: ArrayLike<number>): Float64Array {
  const gradient = new Float64Array(weights.length);
  for (let datum = 0; datum < slopes.length; datum++)
    for (let at = offsets[datum]!; at < offsets[datum + 1]!; at++) gradient[at] = slopes[datum]! * weights[at]!;
  return gradient;
}

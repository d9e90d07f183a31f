/**
 * @file What a policy is trained to do with sequences it wrote, as functions of their log-probabilities: each gives a loss
 * and its derivative by every log-probability. `onSequences` (`token-objectives.ts`) makes of one what trainers take.
 *  - `likelihood`: supervised finetuning on what was kept; with kept = rewarded, the M-step of ReST-EM (Singh et al. 2023,
 *    arXiv 2312.06585) and of SEAL;
 *  - `advantageWeighted`: advantage-weighted regression (Peng et al. 2019, arXiv 1910.00177);
 *  - `dpo`: direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290);
 *  - `ipo`: identity preference optimisation (Azar et al. 2023, arXiv 2310.12036).
 * A log-probability is that of a whole completion given its prompt: the sum over its supervised tokens, never their mean.
 * IPO in TRL divides by the length; the paper does not, nor does this.
 */
import { SelkieError, ShapeError } from "../util/index.ts";
import type { ObjectiveValue } from "./objective.ts";

/** From the summed log-probability of each sequence, nats, to a loss that is to fall. */
export type SequenceObjective = (logprobs: ArrayLike<number>) => ObjectiveValue;

function requireLength(who: string, expected: number, got: number): void {
  if (expected !== got)
    throw new ShapeError(who, `${expected} log-probabilities`, `${got}`, "give one per sequence, in order");
}

function requirePositive(who: string, name: string, value: number): void {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new SelkieError("bad-option", `${who}: expected ${name} to be above 0, got ${value}`);
}

/** `loss = -Σ shares[i] · logprobs[i]`. */
function weightedLikelihood(who: string, shares: Float64Array): SequenceObjective {
  return (logprobs) => {
    requireLength(who, shares.length, logprobs.length);
    let loss = 0;
    for (let index = 0; index < shares.length; index++)
      if (shares[index] !== 0) loss -= shares[index]! * logprobs[index]!; // 0 · -∞ would not be 0
    return { loss, gradient: shares.map((share) => (share === 0 ? 0 : -share)) };
  };
}

/**
 * Weighted maximum likelihood, `-Σ w[i] · logprobs[i] / Σ w[i]`.
 *
 * @param weights - At least 0 and not all 0; 1 for what was kept and 0 for the rest is ReST-EM.
 * @param numTokens - Supervised tokens of each sequence: the sum is then divided by `Σ w[i] · numTokens[i]`, so that the
 * loss is nats per token, as in supervised finetuning. @defaultValue nats per sequence
 * @throws {@link SelkieError} `"bad-input"` for weights below 0, or none above.
 */
export function likelihood(weights: readonly number[], numTokens?: readonly number[]): SequenceObjective {
  if (numTokens !== undefined) requireLength("likelihood", weights.length, numTokens.length);
  const total = weights.reduce((sum, weight, index) => sum + weight * (numTokens?.[index] ?? 1), 0);
  if (!(weights.every((weight) => weight >= 0) && total > 0))
    throw new SelkieError(
      "bad-input",
      `likelihood: expected weights of at least 0 and one above, got ${weights.join(", ")}; there is nothing to learn from`,
    );
  return weightedLikelihood(
    "likelihood",
    Float64Array.from(weights, (weight) => weight / total),
  );
}

/** Options of {@link advantageWeighted}. */
export interface AdvantageOptions {
  /** β, in units of the advantage, above 0: small copies the best alone, large copies all alike. */
  readonly temperature: number;
  /** No sequence counts more than this, above 0. @defaultValue 20, as in the paper's experiments */
  readonly maxWeight?: number;
}

/** `min(exp(advantage / β), maxWeight)`, as a function of the advantage. */
export function advantageWeight({ temperature, maxWeight = 20 }: AdvantageOptions): (advantage: number) => number {
  requirePositive("advantageWeighted", "temperature", temperature);
  requirePositive("advantageWeighted", "maxWeight", maxWeight);
  return (advantage) => Math.min(Math.exp(advantage / temperature), maxWeight);
}

/** Advantage-weighted regression: the mean over sequences of `-min(exp(advantage / β), maxWeight) · logprob`. */
export function advantageWeighted(advantages: readonly number[], options: AdvantageOptions): SequenceObjective {
  const weightOf = advantageWeight(options);
  return weightedLikelihood(
    "advantageWeighted",
    Float64Array.from(advantages, (advantage) => weightOf(advantage) / advantages.length),
  );
}

/** A better and a worse completion of one prompt, as positions in the list of sequences. */
export interface SequencePair {
  readonly chosen: number;
  readonly rejected: number;
}

/** What preference objectives compare. */
export interface PreferenceOptions {
  /** At least one; pairs may share sequences. */
  readonly pairs: readonly SequencePair[];
  /** Of every sequence, under the policy before training; what the trained policy is held to. */
  readonly referenceLogprobs: ArrayLike<number>;
  /** β (τ in the paper on IPO), above 0: how strongly the policy is held. 0.1 is common. */
  readonly beta: number;
}

/** By how many nats more than the reference the policy prefers each pair's chosen sequence. */
export function preferenceGaps(logprobs: ArrayLike<number>, options: PreferenceOptions): number[] {
  const { pairs, referenceLogprobs } = options;
  requireLength("preference", referenceLogprobs.length, logprobs.length);
  const gain = (index: number) => {
    if (!(Number.isInteger(index) && index >= 0 && index < logprobs.length))
      throw new SelkieError(
        "bad-input",
        `preference: expected a sequence from 0 to ${logprobs.length - 1}, got ${index}`,
      );
    return logprobs[index]! - referenceLogprobs[index]!;
  };
  return pairs.map(({ chosen, rejected }) => gain(chosen) - gain(rejected));
}

/** The mean over pairs of a loss of the gap; `of` gives the loss and its derivative. */
function preference(
  who: string,
  options: PreferenceOptions,
  of: (gap: number) => readonly [loss: number, slope: number],
): SequenceObjective {
  const { pairs, beta } = options;
  requirePositive(who, "beta", beta);
  if (pairs.length === 0)
    throw new SelkieError("bad-input", `${who}: expected at least one pair, got none; there is nothing to prefer`);
  return (logprobs) => {
    const gradient = new Float64Array(logprobs.length);
    let total = 0;
    preferenceGaps(logprobs, options).forEach((gap, index) => {
      const [loss, slope] = of(gap);
      const { chosen, rejected } = pairs[index]!;
      total += loss / pairs.length;
      gradient[chosen]! += slope / pairs.length;
      gradient[rejected]! -= slope / pairs.length;
    });
    return { loss: total, gradient };
  };
}

/** `log(1 + exp(x))` without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

/** Direct preference optimisation: the mean over pairs of `-log σ(β · gap)`, {@link preferenceGaps} giving the gap. */
export function dpo(options: PreferenceOptions): SequenceObjective {
  const { beta } = options;
  return preference("dpo", options, (gap) => [softplus(-beta * gap), -beta * sigmoid(-beta * gap)]);
}

/**
 * Identity preference optimisation: the mean over pairs of `(gap - 1 / (2 β))²`. The gap has a goal, so that pairs whose
 * order is certain do not drive the policy away from the reference without end, as they do in {@link dpo}.
 */
export function ipo(options: PreferenceOptions): SequenceObjective {
  const goal = 1 / (2 * options.beta);
  return preference("ipo", options, (gap) => [(gap - goal) ** 2, 2 * (gap - goal)]);
}

/** A loss of nats, as trainers take it. */
export interface NatsLoss {
  readonly loss: number;
  /** `d loss / d nats` of each sequence: the weights of `forwardBackward`. */
  readonly weights: number[];
}

/** `objective` as a function of nats, which are log-probabilities with the sign turned. */
export function natsWeights(objective: SequenceObjective): (nats: ArrayLike<number>) => NatsLoss {
  return (nats) => {
    const { loss, gradient } = objective(Float64Array.from(nats, (value) => -value));
    return { loss, weights: Array.from(gradient, (slope) => 0 - slope) };
  };
}

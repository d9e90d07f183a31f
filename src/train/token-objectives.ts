/**
 * @file Objectives as trainers take them (`objective.ts`), each with its normaliser.
 *  - `tokenLikelihood`: cross-entropy per supervised token; with soft targets, distillation;
 *  - `sharedLikelihood`: every datum by a weight of its own;
 *  - `advantageWeightedTokens`: advantage-weighted regression (Peng et al. 2019, arXiv 1910.00177) by token;
 *  - `preferencePairs`: DPO or IPO over data that come in pairs, chosen before rejected;
 *  - `onSequences`: any objective of whole sequences (`objectives.ts`);
 *  - `clippedRatio`: the surrogate of PPO (Schulman et al. 2017, arXiv 1707.06347, eq. 7) and of GRPO (Shao et al. 2024,
 *    arXiv 2402.03300, eq. 3), `-min(r A, clip(r, 1 - clipLow, 1 + clipHigh) A)` with `r = exp(logprob - samplerLogprob)`.
 *    Deviations: 1. two clip distances, as in DAPO (Yu et al. 2025, arXiv 2503.14476); 2. the mean is over tokens of the update
 *    (DAPO) unless `per: "sequence"` asks for GRPO's mean over sequences of their means; 3. values and advantages are the
 *    data's, there is no critic here.
 */
import { SelkieError } from "../util/index.ts";
import {
  extraOf,
  type Objective,
  type ObjectiveTokens,
  type ObjectiveValue,
  spreadOverTokens,
  sumByDatum,
} from "./objective.ts";
import { type AdvantageOptions, advantageWeight, dpo, ipo } from "./objectives.ts";

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** `loss = -Σ_d shares[d] · (weighted log-probability of datum d)`. */
function linear(tokens: ObjectiveTokens, shares: readonly number[]): ObjectiveValue {
  const sums = sumByDatum(tokens, tokens.logprobs);
  const loss = shares.reduce((total, share, datum) => (share === 0 ? total : total - share * sums[datum]!), 0);
  return {
    loss,
    gradient: spreadOverTokens(
      tokens,
      shares.map((share) => -share),
    ),
  };
}

/** Cross-entropy: `-Σ weights · logprobs` over the supervised tokens of the update. With weights of 1, nats per token. */
export const tokenLikelihood: Objective = {
  name: "likelihood",
  normaliser: "supervised tokens of the update",
  isLinear: true,
  evaluate(tokens) {
    const share = 1 / sum(tokens.numTokens);
    return linear(
      tokens,
      tokens.numTokens.map(() => share),
    );
  },
};

/** `-Σ_d shares[d] Σ_t weights · logprobs`, one share per datum in order; negative ones make a datum less likely. */
export const sharedLikelihood = (shares: readonly number[]): Objective => ({
  name: "likelihood by shares",
  normaliser: "none; the shares are what they are",
  isLinear: true,
  evaluate(tokens) {
    requireData("sharedLikelihood", shares.length, tokens);
    return linear(tokens, shares);
  },
});

function requireData(who: string, expected: number, { numTokens }: ObjectiveTokens): void {
  if (expected !== numTokens.length)
    throw new SelkieError("bad-input", `${who}: expected ${expected} data in the update, got ${numTokens.length}`);
}

/** Advantage-weighted regression by token: `-Σ weights · min(exp(advantages / β), maxWeight) · logprobs`, over the data. */
export const advantageWeightedTokens = (options: AdvantageOptions): Objective => {
  const weightOf = advantageWeight(options);
  return {
    name: "advantage-weighted",
    normaliser: "data of the update",
    needs: ["advantages"],
    isLinear: true,
    evaluate(tokens) {
      const advantages = extraOf(tokens, "advantages");
      const weights = Float64Array.from(
        tokens.weights,
        (weight, at) => (weight * weightOf(advantages[at]!)) / tokens.numTokens.length,
      );
      return linear(
        { ...tokens, weights },
        tokens.numTokens.map(() => 1),
      );
    },
  };
};

/** A loss of whole data: of the weighted sums of their log-probabilities. `of` may depend on the tokens' extras. */
export const onSequences = (
  name: string,
  normaliser: string,
  of: (logprobs: ArrayLike<number>, tokens: ObjectiveTokens) => ObjectiveValue,
  needs: readonly string[] = [],
): Objective => ({
  name,
  normaliser,
  needs,
  isLinear: false,
  evaluate(tokens) {
    const { gradient, ...value } = of(sumByDatum(tokens, tokens.logprobs), tokens);
    return { ...value, gradient: spreadOverTokens(tokens, gradient) };
  },
});

/**
 * DPO or IPO (`objectives.ts`). Data 0 and 1 are one pair, 2 and 3 the next, the chosen one first; each brings the
 * `referenceLogprobs` of its tokens, under the policy before training.
 */
export const preferencePairs = (kind: "dpo" | "ipo", beta: number): Objective =>
  onSequences(
    kind,
    "pairs of the update",
    (logprobs, tokens) => {
      const referenceLogprobs = sumByDatum(tokens, extraOf(tokens, "referenceLogprobs"));
      if (logprobs.length % 2 !== 0)
        throw new SelkieError("bad-input", `${kind}: expected data in pairs, got ${logprobs.length}`);
      const pairs = Array.from({ length: logprobs.length / 2 }, (_, i) => ({ chosen: 2 * i, rejected: 2 * i + 1 }));
      return (kind === "dpo" ? dpo : ipo)({ pairs, referenceLogprobs, beta })(logprobs);
    },
    ["referenceLogprobs"],
  );

/** Options of {@link clippedRatio}. */
export interface ClippedRatioOptions {
  /** How far below 1 the ratio counts, in (0, 1]. @defaultValue 0.2 */
  readonly clipLow?: number;
  /** How far above 1 the ratio counts, above 0. @defaultValue 0.2 */
  readonly clipHigh?: number;
  /** Whether every token counts the same, or every sequence. @defaultValue "token" */
  readonly per?: "token" | "sequence";
  /** Weight of the divergence from a reference whose `referenceLogprobs` the data bring; 0 needs none. @defaultValue 0 */
  readonly klCoef?: number;
}

/**
 * Policy gradient with a clipped importance ratio. Data bring `samplerLogprobs`, those of the policy that sampled them at the
 * temperature it sampled with, and `advantages`, by token.
 *
 * `loss = Σ share · weight · (-min(r A, clip(r) A) + klCoef · k3)`, with `k3 = e^d - d - 1` and `d = referenceLogprob - logprob`
 * (GRPO, eq. 4). A token whose ratio left the range in the direction of its advantage has no gradient.
 */
export function clippedRatio(options: ClippedRatioOptions = {}): Objective {
  const { clipLow = 0.2, clipHigh = 0.2, per = "token", klCoef = 0 } = options;
  if (!(clipLow > 0 && clipLow <= 1 && clipHigh > 0 && klCoef >= 0))
    throw new SelkieError(
      "bad-option",
      `clippedRatio: expected clipLow in (0, 1], clipHigh above 0 and klCoef of at least 0, got ${clipLow}, ${clipHigh} and ${klCoef}`,
    );
  return {
    name: "clipped ratio",
    normaliser:
      per === "token" ? "supervised tokens of the update" : "tokens of each sequence, then sequences of the update",
    needs: ["samplerLogprobs", "advantages", ...(klCoef > 0 ? ["referenceLogprobs"] : [])],
    isLinear: false,
    evaluate(tokens) {
      const { offsets, logprobs, weights, numTokens } = tokens;
      const [sampler, advantages] = [extraOf(tokens, "samplerLogprobs"), extraOf(tokens, "advantages")];
      const reference = klCoef > 0 ? extraOf(tokens, "referenceLogprobs") : null;
      const total = sum(numTokens);
      const numSequences = numTokens.filter((count) => count > 0).length;
      const gradient = new Float64Array(logprobs.length);
      let [loss, numClipped, kl] = [0, 0, 0];
      numTokens.forEach((count, datum) => {
        const share = per === "token" ? 1 / total : 1 / (count * numSequences);
        for (let at = offsets[datum]!; at < offsets[datum + 1]!; at++) {
          const [gain, advantage] = [logprobs[at]! - sampler[at]!, advantages[at]!];
          const ratio = Math.exp(gain);
          const isClipped = advantage >= 0 ? ratio > 1 + clipHigh : ratio < 1 - clipLow;
          const counted = isClipped ? (advantage >= 0 ? 1 + clipHigh : 1 - clipLow) : ratio;
          const distance = reference === null ? 0 : reference[at]! - logprobs[at]!;
          const factor = share * weights[at]!;
          loss += factor * (klCoef * (Math.exp(distance) - distance - 1) - counted * advantage);
          gradient[at] = factor * (klCoef * (1 - Math.exp(distance)) - (isClipped ? 0 : ratio * advantage));
          numClipped += isClipped ? 1 : 0;
          kl += ratio - 1 - gain;
        }
      });
      return { loss, gradient, metrics: { clipFraction: numClipped / total, samplerKl: kl / total } };
    },
  };
}

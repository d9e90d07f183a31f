/** @file Objectives per token by hand and against JAX's autograd (test/oracles/record-token-objectives.py). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Objective, ObjectiveTokens } from "./objective.ts";
import { advantageWeighted } from "./objectives.ts";
import {
  advantageWeightedTokens,
  clippedRatio,
  onSequences,
  preferencePairs,
  sharedLikelihood,
  tokenLikelihood,
} from "./token-objectives.ts";

interface Fixture {
  readonly lengths: readonly number[];
  readonly logprobs: readonly number[];
  readonly weights: readonly number[];
  readonly extras: Readonly<Record<string, readonly number[]>>;
  readonly cases: Readonly<Record<string, { readonly loss: number; readonly gradient: readonly number[] }>>;
}
const fixture: Fixture = JSON.parse(
  readFileSync(new URL("../../test/oracles/fixtures/token-objectives.json", import.meta.url), "utf8"),
);

/** Tokens of some sequences; weights of 1 unless given. */
function tokensOf(
  logprobs: readonly (readonly number[])[],
  extras: Readonly<Record<string, readonly number[]>> = {},
  weights?: readonly number[],
): ObjectiveTokens {
  const numTokens = logprobs.map(({ length }) => length);
  const offsets = [0];
  for (const count of numTokens) offsets.push(offsets.at(-1)! + count);
  const flat = logprobs.flat();
  return { offsets, logprobs: flat, weights: weights ?? flat.map(() => 1), numTokens, extras };
}

const near = (got: number, wanted: number, tolerance = 1e-10): void =>
  assert.ok(Math.abs(got - wanted) <= tolerance * Math.max(1, Math.abs(wanted)), `expected ${wanted}, got ${got}`);

const recorded: Readonly<Record<string, Objective>> = {
  likelihood: tokenLikelihood,
  advantage: advantageWeightedTokens({ temperature: 0.6, maxWeight: 5 }),
  ppo: clippedRatio(),
  dapo: clippedRatio({ clipHigh: 0.28 }),
  grpo: clippedRatio({ per: "sequence", klCoef: 0.04 }),
  dpo: preferencePairs("dpo", 0.3),
  ipo: preferencePairs("ipo", 0.3),
};

describe("objectives per token agree with JAX", () => {
  const starts = fixture.lengths.map((_, index) =>
    fixture.lengths.slice(0, index).reduce((sum, length) => sum + length, 0),
  );
  const logprobs = starts.map((start, index) => fixture.logprobs.slice(start, start + fixture.lengths[index]!));
  const tokens = tokensOf(logprobs, fixture.extras, fixture.weights);
  test("every case is checked", () => {
    assert.deepEqual(Object.keys(fixture.cases), Object.keys(recorded));
  });
  for (const [name, objective] of Object.entries(recorded))
    test(name, () => {
      const { loss, gradient } = objective.evaluate(tokens);
      near(loss, fixture.cases[name]!.loss);
      gradient.forEach((slope, index) => {
        near(slope, fixture.cases[name]!.gradient[index]!);
      });
    });

  test("where the gradient is said to be known before the forward pass, it is the same at any log-probabilities", () => {
    const moved = { ...tokens, logprobs: fixture.logprobs.map((value) => 2 * value - 1) };
    for (const objective of Object.values(recorded)) {
      const [here, there] = [objective.evaluate(tokens), objective.evaluate(moved)];
      const change = Math.max(...here.gradient.map((slope, index) => Math.abs(slope - there.gradient[index]!)));
      assert.equal(change === 0, objective.isLinear, objective.name);
    }
  });
});

describe("objectives per token by hand", () => {
  const grouped = tokensOf([[-0.9, -1.6, -0.9], [-1]], {
    samplerLogprobs: [-1, -2, -0.5, -1.5],
    advantages: [1, 1, 1, -1],
    referenceLogprobs: [-1.1, -1.9, -0.6, -1.4],
  });

  test("the clipped ratio has the losses of training.md 1.5, and no gradient beyond the range", () => {
    near(clippedRatio().evaluate(grouped).loss, -0.3316924234, 1e-9);
    near(clippedRatio({ clipHigh: 0.28 }).evaluate(grouped).loss, -0.3516924234, 1e-9);
    near(clippedRatio({ per: "sequence" }).evaluate(grouped).loss, 0.3284454747, 1e-9);
    const { gradient, metrics } = clippedRatio().evaluate(grouped);
    // ratios e^0.1, e^0.4 (clipped), e^-0.4, and e^0.5 with a negative advantage, which is never clipped above
    [-Math.exp(0.1) / 4, 0, -Math.exp(-0.4) / 4, Math.exp(0.5) / 4].forEach((want, index) => {
      near(gradient[index]!, want);
    });
    assert.equal(metrics!["clipFraction"], 0.25);
  });

  test("the divergence from the reference has the values of training.md 1.5", () => {
    const none = { ...grouped, extras: { ...grouped.extras, advantages: [0, 0, 0, 0] } };
    near(
      clippedRatio({ klCoef: 1 }).evaluate(none).loss,
      (0.01873075 + 0.04081822 + 0.04985881 + 0.07032005) / 4,
      1e-7,
    );
  });

  test("on the sampler's own policy the loss is minus the mean advantage and the gradient is REINFORCE", () => {
    const { loss, gradient } = clippedRatio().evaluate(
      tokensOf([[-1, -2], [-3]], { samplerLogprobs: [-1, -2, -3], advantages: [2, 2, -1] }),
    );
    near(loss, -1);
    assert.deepEqual([...gradient], [-2 / 3, -2 / 3, 1 / 3]);
  });

  test("likelihood is the mean over supervised tokens, whatever micro-batches hold them", () => {
    near(tokenLikelihood.evaluate(tokensOf([[-1, -3], [-5]])).loss, 3);
    near(tokenLikelihood.evaluate(tokensOf([[-1, -3], [-5]], {}, [0.5, -1, 1])).loss, (0.5 - 3 + 5) / 3);
  });

  test("shares weigh whole data; a share of 0 may stand beside an impossible token", () => {
    const { loss, gradient } = sharedLikelihood([2, -1, 0]).evaluate(
      tokensOf([[-1, -2], [-4], [Number.NEGATIVE_INFINITY]]),
    );
    assert.equal(loss, 2);
    assert.deepEqual(
      [...gradient].map((slope) => slope + 0),
      [-2, -2, 1, 0],
    );
  });

  test("equal advantages along each sequence are advantage-weighted regression of sequences", () => {
    const tokens = tokensOf([[-1, -3], [-5]], { advantages: [0.4, 0.4, -1] });
    const options = { temperature: 0.7 };
    const lifted = onSequences("advantages", "data", advantageWeighted([0.4, -1], options)).evaluate(tokens);
    const own = advantageWeightedTokens(options).evaluate(tokens);
    near(own.loss, lifted.loss);
    own.gradient.forEach((slope, index) => {
      near(slope, lifted.gradient[index]!);
    });
  });

  test("what is missing or impossible is named", () => {
    assert.throws(() => clippedRatio().evaluate(tokensOf([[-1]])), /expected data with samplerLogprobs .* got none/);
    assert.throws(() => clippedRatio({ clipLow: 0 }), /clipLow in \(0, 1\]/);
    assert.throws(() => sharedLikelihood([1]).evaluate(tokensOf([[-1], [-1]])), /expected 1 data in the update, got 2/);
    assert.throws(
      () => preferencePairs("dpo", 0.1).evaluate(tokensOf([[-1]], { referenceLogprobs: [-1] })),
      /dpo: expected data in pairs, got 1/,
    );
  });
});

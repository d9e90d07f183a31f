/** @file Policy gradient on a bandit finds the policy that is known to be best, and a wrong objective does not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { optimum, trainBandit } from "../recipes/bandit.ts";
import { clippedRatio, type Objective } from "../src/train/index.ts";

/** Largest difference to the best policy after training by `objective`. */
async function missBy(objective: Objective, seed = 0): Promise<number> {
  const probs = await trainBandit({ objective, seed });
  return Math.max(...probs.map((prob, arm) => Math.abs(prob - optimum()[arm]!)));
}

const honest = clippedRatio();

test("the optimum is that of training.md 1.4", () => {
  [0.2477195, 0.0201151, 0.7321654].forEach((want, arm) => {
    assert.ok(Math.abs(optimum()[arm]! - want) < 1e-7);
  });
});

test("the clipped ratio finds the optimum from every seed to 0.02", async () => {
  // advantages vanish at the optimum, so that the noise of sampling does too; 0.008 was the worst of three seeds
  for (const seed of [0, 1, 2]) assert.ok((await missBy(honest, seed)) < 0.02, `seed ${seed}`);
});

const mutants: Readonly<Record<string, Objective["evaluate"]>> = {
  "a sign turned": (tokens) => {
    const value = honest.evaluate(tokens);
    return { ...value, gradient: value.gradient.map((slope) => -slope) };
  },
  "a ratio that is always 1": (tokens) => {
    const gradient = Float64Array.from(
      tokens.weights,
      (_, at) => -tokens.extras["advantages"]![at]! / tokens.weights.length,
    );
    return { loss: 0, gradient };
  },
  "a ratio that is never clipped": (tokens) => clippedRatio({ clipLow: 1, clipHigh: 1e9 }).evaluate(tokens),
  "a sampler taken to be uniform": (tokens) =>
    honest.evaluate({
      ...tokens,
      extras: { ...tokens.extras, samplerLogprobs: Array.from(tokens.logprobs, () => -Math.log(3)) },
    }),
};
for (const [name, evaluate] of Object.entries(mutants))
  test(`${name} does not find it`, async () => {
    const miss = await missBy({ ...honest, evaluate });
    assert.ok(miss > 0.1, `${miss} from the optimum`);
  });

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRng } from "../../util/index.ts";
import { measureReliability, measureValidity, trialTokens } from "./reliability.ts";
import { designOf, rewards } from "./rewards.ts";
import type { PassageTrials } from "./trials.ts";

/** Passages × 5 edits × 4 trials; edits differ by 0.3, seeds move all edits of a passage by 0.4, noise is 0.3. */
function simulate(numPassages: number): PassageTrials[] {
  const rng = createRng("reward-reliability");
  return Array.from({ length: numPassages }, (_, passage) => {
    const seeds = [0, 1, 2, 3].map((seed) => [seed, 0.4 * rng.normal()] as const);
    return {
      passageId: `${passage}`,
      passage: "",
      baseAccuracy: 0.2,
      baseGoldLogprob: -3,
      edits: Array.from({ length: 5 }, () => {
        const worth = 0.3 * rng.normal();
        const trials = seeds.map(([seed, shared]) => {
          const accuracy = worth + shared + 0.3 * rng.normal();
          return { accuracy, goldLogprob: accuracy - 3, kept: null, seed };
        });
        return { edit: { kind: "plain" as const, text: "" }, numTokens: 10, trials };
      }),
    };
  });
}
const passages = simulate(120);
/** The same with some trials of each edit alone. */
const withTrials = (from: number, to: number): PassageTrials[] =>
  passages.map((passage) => ({
    ...passage,
    edits: passage.edits.map((edit) => ({ ...edit, trials: edit.trials.slice(from, to) })),
  }));
const near = (got: number, wanted: number, tolerance: number): void =>
  assert.ok(Math.abs(got - wanted) <= tolerance, `expected ${wanted}, got ${got}`);

describe("reliability of a reward", () => {
  test("is the share of signal, with common random numbers and without", () => {
    const common = measureReliability(rewards.seal, passages, "common", createRng(1));
    near(common.ofOne.value, 0.09 / 0.18, 0.06);
    near(common.ofAll.value, 0.09 / (0.09 + 0.09 / 4), 0.05);
    assert.equal(common.repetitions, 4);
    assert.ok(common.ofAll.low < 0.8 && 0.8 < common.ofAll.high, "the interval holds the truth");
    assert.ok(common.ofAll.high - common.ofAll.low < 0.15);
    const independent = measureReliability(rewards.seal, passages, "independent", createRng(1));
    assert.ok(independent.ofOne.high < common.ofOne.low);
  });

  test("is the same for a gain as for the value", () => {
    const gain = measureReliability(rewards.dense, passages, "common", createRng(1));
    near(gain.ofOne.value, measureReliability(rewards.seal, passages, "common", createRng(1)).ofOne.value, 1e-9);
  });
});

describe("validity of a reward", () => {
  test("by hand", () => {
    const { correlation, picked, blind, best } = measureValidity(
      [
        [1, 2, 3],
        [0, 5, 5],
      ],
      [
        [0, 2, 1],
        [4, 6, 2],
      ],
    );
    near(correlation, 1 / Math.sqrt((2 + 50 / 3) * (2 + 8)), 1e-12); // products 1 and 0, centred on passages
    assert.deepEqual([picked, blind, best], [3.5, 2.5, 4]);
    assert.throws(() => measureValidity([[1]], [[1, 2]]), /one worth per score/);
  });

  test("on trials not seen is what reliability promises", () => {
    const [seen, unseen] = [withTrials(0, 2), withTrials(2, 4)];
    const { correlation, picked, blind } = measureValidity(
      rewards.seal.score(seen),
      designOf(unseen, "accuracy").map(meansOf),
    );
    near(correlation, 0.09 / (0.09 + 0.09 / 2), 0.08); // of two halves alike
    assert.ok(picked - blind > 0.2 && picked - blind < 0.35, `${picked - blind}`); // 1.16 · 0.3 · √(2/3) is 0.28
  });

  const meansOf = (edits: readonly (readonly number[])[]): number[] =>
    edits.map((trials) => trials.reduce((sum, value) => sum + value, 0) / trials.length);
});

test("a reward costs the tokens of its trials, the proxy none", () => {
  const few = withTrials(0, 3).slice(0, 2);
  assert.equal(trialTokens(rewards.seal, few), 2 * 5 * 3 * 10);
  assert.equal(trialTokens(rewards.proxy, few), 0);
});

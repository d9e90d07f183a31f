import assert from "node:assert/strict";
import { test } from "node:test";
import { createReferenceBackend, tensorOf } from "../tensor/index.ts";
import { createRng, type Rng } from "../util/index.ts";
import { checkSampler, isFullSoftmax, type SampledToken, type SamplerConfig, TokenSampler } from "./samplers.ts";

/** A stream that answers with the given numbers, so that the expected token can be worked out by hand. */
function scriptedRng(...draws: number[]): Rng & { left(): number } {
  const base = createRng(0);
  return {
    ...base,
    fork: () => base,
    uniform: () => draws.shift() ?? assert.fail("more draws than expected"),
    left: () => draws.length,
  };
}

/** One draw from one row, by the reference backend. */
function sampleOne(
  logits: ArrayLike<number>,
  config: SamplerConfig,
  rng: Rng | null,
  wantLogprob = true,
): SampledToken {
  const backend = createReferenceBackend();
  using row = tensorOf(backend, logits, [1, logits.length], logits instanceof Float32Array ? "f32" : "f64");
  return new TokenSampler(backend, logits.length, wantLogprob).sample(row, [{ row: 0, config, rng }])[0]!;
}

const logitsOf = (probs: readonly number[]): Float64Array => Float64Array.from(probs, Math.log);
const near = (got: number, expected: number, gap = 1e-12) =>
  assert.ok(Math.abs(got - expected) <= gap, `${got} is not ${expected}`);

test("greedy decoding takes the largest logit and the lowest id among equals", () => {
  const { tokenId, logprob } = sampleOne(Float32Array.of(1, 3, 3, 0), { temperature: 0 }, null);
  assert.equal(tokenId, 1);
  near(logprob, 3 - Math.log(Math.E + 2 * Math.E ** 3 + 1), 1e-9); // log softmax by its definition
  assert.ok(Number.isNaN(sampleOne(Float32Array.of(1, 3, 3, 0), { temperature: 0 }, null, false).logprob));
});

test("a draw falls to the token whose share of the unit interval holds it, in id order", () => {
  const probs = [0.1, 0.2, 0.4, 0.3]; // boundaries 0.1, 0.3, 0.7
  const cases = [
    [0, 0],
    [0.0999, 0],
    [0.1001, 1],
    [0.2999, 1],
    [0.3001, 2],
    [0.6999, 2],
    [0.7001, 3],
    [0.9999999, 3],
  ] as const;
  for (const [uniform, expected] of cases) {
    const rng = scriptedRng(uniform);
    const { tokenId, logprob } = sampleOne(logitsOf(probs), { temperature: 1 }, rng);
    assert.equal(tokenId, expected);
    near(logprob, Math.log(probs[expected]!));
    assert.equal(rng.left(), 0, "exactly one draw");
  }
});

test("temperature divides the logits, in the draw and in the log-probability", () => {
  // p ∝ [1, 4]; at temperature 2 the weights are the square roots, 1 : 2
  const logits = Float64Array.of(0, Math.log(4));
  for (const [uniform, expected] of [
    [0.3333, 0],
    [0.3334, 1],
  ] as const) {
    const { tokenId, logprob } = sampleOne(logits, { temperature: 2 }, scriptedRng(uniform));
    assert.equal(tokenId, expected);
    near(logprob, Math.log(expected === 0 ? 1 / 3 : 2 / 3));
  }
});

/** The tokens a config can produce, in the order of the draw, found by sweeping it. */
function support(probs: readonly number[], config: SamplerConfig): number[] {
  const seen: number[] = [];
  for (let i = 0; i < 1000; i++) {
    const { tokenId } = sampleOne(logitsOf(probs), config, scriptedRng((i + 0.5) / 1000));
    if (!seen.includes(tokenId)) seen.push(tokenId);
  }
  return seen;
}

test("top-k keeps the k most probable tokens, ties to the lowest id", () => {
  assert.deepEqual(support([0.1, 0.2, 0.4, 0.3], { temperature: 1, topK: 2 }), [2, 3]);
  assert.deepEqual(support([0.25, 0.25, 0.25, 0.25], { temperature: 1, topK: 3 }), [0, 1, 2]);
  assert.deepEqual(support([0.1, 0.2, 0.4, 0.3], { temperature: 1, topK: 9 }), [0, 1, 2, 3]);
});

test("the nucleus includes the token that crosses p and nothing after it", () => {
  const probs = [0.1, 0.2, 0.4, 0.3]; // descending: 0.4, 0.7, 0.9, 1
  assert.deepEqual(support(probs, { temperature: 1, topP: 0.39 }), [2]);
  assert.deepEqual(support(probs, { temperature: 1, topP: 0.41 }), [2, 3]);
  assert.deepEqual(support(probs, { temperature: 1, topP: 0.69 }), [2, 3]);
  assert.deepEqual(support(probs, { temperature: 1, topP: 0.71 }), [1, 2, 3]);
  assert.deepEqual(support(probs, { temperature: 1, topP: 0.91 }), [0, 1, 2, 3]);
  assert.deepEqual(support([0.2, 0.2, 0.2, 0.2, 0.2], { temperature: 1, topP: 0.5 }), [0, 1, 2]);
});

test("top-p counts mass of what top-k left", () => {
  // top-3 of the row renormalises to 0.444, 0.333, 0.222: 0.7 is reached by two tokens there, by three without top-k
  assert.deepEqual(support([0.1, 0.2, 0.4, 0.3], { temperature: 1, topK: 3, topP: 0.75 }), [2, 3]);
  assert.deepEqual(support([0.1, 0.2, 0.4, 0.3], { temperature: 1, topP: 0.75 }), [1, 2, 3]);
});

test("log-probabilities are those of the untruncated softmax, and the flag says whether tokens came from it", () => {
  const probs = [0.1, 0.2, 0.4, 0.3];
  const { tokenId, logprob } = sampleOne(logitsOf(probs), { temperature: 1, topK: 1 }, scriptedRng(0.99));
  assert.equal(tokenId, 2);
  near(logprob, Math.log(0.4)); // not 0, which the truncated distribution would give
  assert.equal(isFullSoftmax({ temperature: 0.7 }), true);
  assert.equal(isFullSoftmax({ temperature: 1, topK: 0, topP: 1 }), true);
  assert.equal(isFullSoftmax({ temperature: 1, topK: 5 }), false);
  assert.equal(isFullSoftmax({ temperature: 1, topP: 0.9 }), false);
  assert.equal(isFullSoftmax({ temperature: 0 }), false);
});

test("truncation over a large vocabulary agrees with a full sort", () => {
  const vocabSize = 5000;
  const rng = createRng("logits");
  const logits = Float32Array.from({ length: vocabSize }, () => 3 * rng.normal());
  const byRank = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  const weights = byRank.map((id) => Math.exp(logits[id]!));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const config of [
    { temperature: 1, topK: 40 },
    { temperature: 1, topP: 0.8 },
    { temperature: 1, topK: 300, topP: 0.9 },
  ]) {
    const { topK = vocabSize, topP = 1 } = config as SamplerConfig;
    const massOfTop = topK === vocabSize ? total : weights.slice(0, topK).reduce((sum, weight) => sum + weight, 0);
    let [count, mass] = [0, 0];
    while (count < topK && mass < massOfTop * topP) mass += weights[count++]!;
    for (let i = 0; i < 50; i++) {
      const uniform = (i + 0.5) / 50;
      const kept = byRank.slice(0, count).sort((a, b) => a - b);
      let [index, sum] = [0, Math.exp(logits[kept[0]!]!)];
      while (sum <= uniform * mass) sum += Math.exp(logits[kept[++index]!]!);
      assert.equal(
        sampleOne(logits, config, scriptedRng(uniform)).tokenId,
        kept[index],
        `${JSON.stringify(config)} at ${uniform}`,
      );
    }
  }
});

test("frequencies follow the probabilities", () => {
  const probs = [0.5, 0.3, 0.15, 0.05];
  const rng = createRng("frequencies");
  const counts = [0, 0, 0, 0];
  const draws = 20000;
  for (let i = 0; i < draws; i++) counts[sampleOne(logitsOf(probs), { temperature: 1 }, rng).tokenId]!++;
  const chiSquared = counts.reduce(
    (sum, count, id) => sum + (count - draws * probs[id]!) ** 2 / (draws * probs[id]!),
    0,
  );
  assert.ok(chiSquared < 16.3, `chi squared ${chiSquared} has probability below 0.001 at 3 degrees of freedom`);
});

test("extreme logits neither overflow nor underflow", () => {
  const { tokenId, logprob } = sampleOne(Float32Array.of(-1e30, 1e30, 0), { temperature: 0.01 }, scriptedRng(0.999));
  assert.equal(tokenId, 1);
  near(logprob, 0);
  assert.equal(sampleOne(Float32Array.of(Number.NEGATIVE_INFINITY, 0), { temperature: 1 }, scriptedRng(0)).tokenId, 1);
});

test("a row that is not finite gives no token; settings out of range are refused in words", () => {
  assert.equal(sampleOne([Number.NaN, Number.NaN], { temperature: 0 }, null).tokenId, -1);
  assert.equal(sampleOne([0, Number.NaN], { temperature: 1 }, scriptedRng(0.5)).tokenId, -1);
  assert.equal(sampleOne([0, Number.POSITIVE_INFINITY], { temperature: 0 }, null).tokenId, -1);
  assert.throws(() => sampleOne([0, 1], { temperature: 1 }, null), /needs a random stream/);
  assert.throws(() => checkSampler({ temperature: -1 }), /temperature: expected a number of at least 0, got -1/);
  assert.throws(() => checkSampler({ temperature: Number.NaN }), /temperature/);
  assert.throws(() => checkSampler({ temperature: 1, topK: 1.5 }), /topK: expected a whole number/);
  assert.throws(() => checkSampler({ temperature: 1, topP: 0 }), /topP: expected a number above 0/);
});

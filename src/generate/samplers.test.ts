import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Backend,
  createCpuBackend,
  createReferenceBackend,
  nativeInstructionSets,
  type SampleRowsArgs,
  tensorOf,
} from "../tensor/index.ts";
import { createRng, type Rng } from "../util/index.ts";
import {
  checkSampler,
  type Draw,
  isFullSoftmax,
  type SampledToken,
  type SamplerConfig,
  TokenSampler,
} from "./samplers.ts";

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
  return new TokenSampler(backend, wantLogprob).sample(row, [{ row: 0, config, rng }])[0]!;
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

test("min-p keeps tokens at least so many times as probable as the likeliest, whatever their rank", () => {
  const probs = [0.1, 0.2, 0.4, 0.3]; // as shares of the likeliest: 0.25, 0.5, 1, 0.75
  assert.deepEqual(support(probs, { temperature: 1, minP: 0.24 }), [0, 1, 2, 3]);
  assert.deepEqual(support(probs, { temperature: 1, minP: 0.26 }), [1, 2, 3]);
  assert.deepEqual(support(probs, { temperature: 1, minP: 0.74 }), [2, 3]);
  assert.deepEqual(support(probs, { temperature: 1, minP: 1 }), [2]);
  assert.deepEqual(
    support([0.25, 0.25, 0.25, 0.25], { temperature: 1, minP: 1 }),
    [0, 1, 2, 3],
    "all are the likeliest",
  );
  // at temperature 2 the shares are the square roots: 0.5, 0.707, 1, 0.866
  assert.deepEqual(support(probs, { temperature: 2, minP: 0.72 }), [2, 3]);
  assert.deepEqual(support(probs, { temperature: 2, minP: 0.7 }), [1, 2, 3]);
});

test("min-p comes last: it takes from the nucleus and does not shrink the mass that the nucleus is measured by", () => {
  const probs = [0.1, 0.2, 0.4, 0.3];
  assert.deepEqual(support(probs, { temperature: 1, topP: 0.85, minP: 0.6 }), [2, 3]); // of 1, 2, 3
  // were min-p first, 0.4 and 0.3 would be 0.571 and 0.429, and the former alone would reach 0.55
  assert.deepEqual(support(probs, { temperature: 1, topP: 0.55, minP: 0.6 }), [2, 3]);
  assert.deepEqual(support(probs, { temperature: 1, topK: 3, topP: 0.75, minP: 0.8 }), [2]);
});

test("the likeliest tokens come with their log-probabilities, ties by id, drawn or not", () => {
  const logits = logitsOf([0.1, 0.2, 0.2, 0.1, 0.4]);
  const backend = createReferenceBackend();
  using row = tensorOf(backend, logits, [1, 5], "f64");
  const sample = (config: SamplerConfig, topLogprobs: number) =>
    new TokenSampler(backend, false).sample(row, [{ row: 0, config, rng: scriptedRng(0.05), topLogprobs }])[0]!;
  const drawn = sample({ temperature: 1, topK: 2 }, 4);
  assert.deepEqual(
    drawn.topLogprobs.map(({ tokenId }) => tokenId),
    [4, 1, 2, 0],
  );
  for (const [place, prob] of [0.4, 0.2, 0.2, 0.1].entries()) near(drawn.topLogprobs[place]!.logprob, Math.log(prob)); // not renormalised over the two that top-k keeps
  const greedy = sample({ temperature: 0 }, 20);
  assert.equal(greedy.tokenId, 4);
  assert.equal(greedy.topLogprobs.length, 5, "no more than there are tokens");
  near(greedy.topLogprobs[4]!.logprob, Math.log(0.1));
  assert.deepEqual(sample({ temperature: 0 }, 0).topLogprobs, []);
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
  assert.equal(isFullSoftmax({ temperature: 1, minP: 0.1 }), false);
  assert.equal(isFullSoftmax({ temperature: 1, repetitionPenalty: 1, presencePenalty: 0, logitBias: {} }), true);
  assert.equal(isFullSoftmax({ temperature: 1, repetitionPenalty: 1.1 }), false);
  assert.equal(isFullSoftmax({ temperature: 1, logitBias: { 3: 1 } }), false);
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

/** Probabilities of what a config draws from one row of logits, by the definitions. */
function exactProbs(logits: ArrayLike<number>, config: SamplerConfig): Float64Array {
  const { temperature, topK = 0, topP = 1, minP = 0 } = config;
  const max = Math.max(...Array.from(logits));
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - max) / temperature));
  const ranked = [...weights.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  let kept = topK > 0 ? ranked.slice(0, topK) : ranked;
  const massOf = (ids: readonly number[]) => ids.reduce((sum, id) => sum + weights[id]!, 0);
  const wanted = topP * massOf(kept);
  let [size, mass] = [0, 0];
  while (size < kept.length && mass < wanted) mass += weights[kept[size++]!]!;
  if (topP < 1) kept = kept.slice(0, size);
  kept = kept.filter((id) => weights[id]! >= minP);
  const total = massOf(kept);
  const probs = new Float64Array(weights.length);
  for (const id of kept) probs[id] = weights[id]! / total;
  return probs;
}

const waysToDraw: readonly SamplerConfig[] = [
  { temperature: 1 },
  { temperature: 0.7, topK: 40 },
  { temperature: 1, topP: 0.9 },
  { temperature: 1.3, minP: 0.05 },
  { temperature: 1, topK: 100, topP: 0.8, minP: 0.02 },
];

/** The chosen backends: the reference, and every instruction set with native kernels. */
const backends = (): readonly Backend[] => [
  createReferenceBackend(),
  ...nativeInstructionSets().map((instructionSet) => createCpuBackend({ threads: 2, instructionSet })),
];

test("draws of a batch are those of the inverse distribution function, within 1e-6, on every backend", () => {
  const vocabSize = 3000;
  const rng = createRng("inverse");
  const values = Float32Array.from({ length: 2 * vocabSize }, () => 2 * rng.normal());
  const numDraws = 400;
  for (const backend of backends())
    for (const config of waysToDraw) {
      using logits = tensorOf(backend, values, [2, vocabSize], "f32");
      const uniforms = Array.from({ length: numDraws }, (_, i) => (i + 0.37) / numDraws);
      const draws = uniforms.map((uniform, i): Draw => ({ row: i % 2, config, rng: scriptedRng(uniform) }));
      const tokens = new TokenSampler(backend).sample(logits, draws);
      const exact = [0, 1].map((row) => exactProbs(values.subarray(row * vocabSize, (row + 1) * vocabSize), config));
      tokens.forEach(({ tokenId }, i) => {
        const probs = exact[i % 2]!;
        const before = probs.subarray(0, tokenId).reduce((sum, prob) => sum + prob, 0);
        const label = `${backend.instructionSet} ${JSON.stringify(config)} at ${uniforms[i]}: token ${tokenId}`;
        assert.ok(probs[tokenId]! > 0, `${label} is not among those kept`);
        assert.ok(before - 1e-6 <= uniforms[i]! && uniforms[i]! <= before + probs[tokenId]! + 1e-6, label);
      });
    }
});

test("truncated frequencies follow the renormalised probabilities", () => {
  const logits = logitsOf([0.4, 0.25, 0.15, 0.1, 0.06, 0.04]);
  const backend = createReferenceBackend();
  using row = tensorOf(backend, logits, [1, 6], "f64");
  const config = { temperature: 1, topK: 5, topP: 0.93, minP: 0.2 }; // keeps 0.4, 0.25, 0.15, 0.1
  const rng = createRng("truncated frequencies");
  const numDraws = 20000;
  const draws = Array.from({ length: numDraws }, (): Draw => ({ row: 0, config, rng }));
  const counts = new Float64Array(6);
  for (const { tokenId } of new TokenSampler(backend, false).sample(row, draws)) counts[tokenId]!++;
  const expected = [0.4, 0.25, 0.15, 0.1].map((prob) => (numDraws * prob) / 0.9);
  const chiSquared = expected.reduce((sum, count, id) => sum + (counts[id]! - count) ** 2 / count, 0);
  assert.ok(chiSquared < 16.3, `chi squared ${chiSquared} has probability below 0.001 at 3 degrees of freedom`);
  assert.deepEqual([counts[4], counts[5]], [0, 0]);
});

test("a whole batch is one kernel call, and each draw is the same alone", () => {
  for (const backend of backends()) {
    const calls: SampleRowsArgs[] = [];
    const sampleRows = (args: SampleRowsArgs) => {
      calls.push(args);
      backend.kernels.sampleRows(args);
    };
    const watched: Backend = { ...backend, kernels: { ...backend.kernels, sampleRows } };
    const rng = createRng("one call");
    using logits = tensorOf(
      backend,
      Float32Array.from({ length: 3 * 700 }, () => rng.normal()),
      [3, 700],
      "f32",
    );
    const configs = [...waysToDraw, { temperature: 0 }, ...waysToDraw];
    const draws = (): Draw[] =>
      configs.map((config, i) => ({ row: i % 3, config, rng: rng.fork("draw", i), topLogprobs: i % 4 }));
    const together = new TokenSampler(watched).sample(logits, draws());
    assert.equal(calls.length, 1);
    assert.deepEqual(
      Array.from(calls[0]!.truncations!.topKs),
      configs.map(({ topK = 0 }: SamplerConfig) => topK),
      "truncation is the kernel's",
    );
    const alone = draws().map((draw) => new TokenSampler(backend).sample(logits, [draw])[0]!);
    assert.deepEqual(together, alone);
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
  assert.throws(() => checkSampler({ temperature: 1, minP: 1.1 }), /minP: expected a number from 0 to 1, got 1.1/);
  assert.throws(() => checkSampler({ temperature: 1, minP: Number.NaN }), /minP/);
  assert.throws(() => checkSampler({ temperature: 1, repetitionPenalty: 0 }), /repetitionPenalty: .* above 0, got 0/);
  assert.throws(
    () => checkSampler({ temperature: 1, presencePenalty: Number.NaN }),
    /presencePenalty: expected a finite/,
  );
  assert.throws(() => checkSampler({ temperature: 1, frequencyPenalty: Number.POSITIVE_INFINITY }), /frequencyPenalty/);
  assert.throws(() => checkSampler({ temperature: 1, logitBias: { 9: 1 } }, 9), /token ids from 0 to 8, got 9/);
  assert.throws(() => checkSampler({ temperature: 1, logitBias: { [-1]: 1 } }), /logitBias: expected token ids/);
  assert.throws(() => checkSampler({ temperature: 1, logitBias: { 2: Number.NaN } }), /a finite number for token 2/);
  checkSampler({ temperature: 0, minP: 0, repetitionPenalty: 0.5, presencePenalty: -2, logitBias: { 8: -100 } }, 9);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { createReferenceBackend, tensorOf } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { type SamplerConfig, TokenSampler } from "./samplers.ts";
import { hasPenalties, TokenCounts } from "./token-counts.ts";

const logits = [2, -1, 0.5, 3, 0];

/** Logits as a greedy draw sees them after these tokens: all log-probabilities, made comparable by token 4, which stays 0. */
function logitsAfter(config: Omit<SamplerConfig, "temperature">, promptIds: number[], sampled: number[]): number[] {
  const counts = new TokenCounts(config, promptIds, logits.length);
  for (const tokenId of sampled) counts.add(tokenId);
  const backend = createReferenceBackend();
  using row = tensorOf(backend, logits, [1, logits.length], "f64");
  const draw = { row: 0, config: { ...config, temperature: 0 }, rng: null, counts, topLogprobs: 5 };
  const [{ tokenId, topLogprobs }] = new TokenSampler(backend).sample(row, [draw]) as [
    ReturnType<TokenSampler["sample"]>[number],
  ];
  assert.equal(tokenId, topLogprobs[0]!.tokenId, "greedy decoding heeds them, too");
  const found = Array.from(logits, (_, id) => topLogprobs.find((entry) => entry.tokenId === id)!.logprob);
  return found.map((logprob) => logprob - found[4]!);
}

function near(got: readonly number[], expected: readonly number[]): void {
  for (const [id, value] of expected.entries())
    assert.ok(Math.abs(got[id]! - value) < 1e-12, `logit ${id} is ${got[id]}, not ${value}`);
}

test("the repetition penalty divides logits above 0 and multiplies those below, once, for prompt and completion", () => {
  near(logitsAfter({ repetitionPenalty: 2 }, [0, 0, 1], []), [1, -2, 0.5, 3, 0]);
  near(logitsAfter({ repetitionPenalty: 2 }, [0, 0, 1], [0, 3, 3]), [1, -2, 0.5, 1.5, 0]);
  near(logitsAfter({ repetitionPenalty: 0.5 }, [1], [2]), [2, -0.5, 1, 3, 0]);
});

test("presence and frequency penalties count the completion alone", () => {
  near(logitsAfter({ presencePenalty: 0.75 }, [0, 1], [3, 3, 1]), [2, -1.75, 0.5, 2.25, 0]);
  near(logitsAfter({ frequencyPenalty: 0.75 }, [0, 1], [3, 3, 1]), [2, -1.75, 0.5, 1.5, 0]);
  near(logitsAfter({ presencePenalty: 1, frequencyPenalty: -0.5 }, [], [2, 2, 2]), [2, -1, 1, 3, 0]);
});

test("a bias is added as it is, after the repetition penalty, beside the others", () => {
  near(logitsAfter({ logitBias: { 1: 5, 3: -100 } }, [3], [3]), [2, 4, 0.5, -97, 0]);
  const all = { repetitionPenalty: 2, presencePenalty: 1, frequencyPenalty: 0.25, logitBias: { 0: 10, 1: 1 } };
  near(logitsAfter(all, [0, 2], [0, 0, 1]), [
    2 / 2 + 10 - 1 - 2 * 0.25, //
    -1 * 2 + 1 - 1 - 0.25,
    0.5 / 2,
    3,
    0,
  ]);
});

test("log-probabilities of draws are those after penalties, at the temperature", () => {
  const config = { temperature: 2, logitBias: { 3: -100, 1: 3 } }; // logits 2, 2, 0.5, -97, 0
  const backend = createReferenceBackend();
  using row = tensorOf(backend, logits, [1, logits.length], "f64");
  const rng = createRng("penalties");
  const counts = new TokenCounts(config, [], logits.length);
  const [token] = new TokenSampler(backend).sample(row, [{ row: 0, config, rng, counts }]);
  const weights = [Math.E, Math.E, Math.exp(0.25), Math.exp(-48.5), 1];
  const expected = Math.log(weights[token!.tokenId]! / weights.reduce((sum, weight) => sum + weight, 0));
  assert.ok(Math.abs(token!.logprob - expected) < 1e-12);
});

test("counts grow with any number of tokens, one entry each", () => {
  const counts = new TokenCounts({ repetitionPenalty: 3, frequencyPenalty: 0.5 }, [7, 7, 8], 1000);
  assert.equal(counts.size, 2);
  for (let i = 0; i < 300; i++) counts.add(i % 100);
  assert.equal(counts.size, 100);
  const adjustments = {
    offsets: Int32Array.of(0, 104),
    tokenIds: new Int32Array(104).fill(-9),
    divisors: new Float64Array(104),
    addends: new Float64Array(104),
  };
  counts.writeTo(adjustments, 2);
  assert.deepEqual(Array.from(adjustments.tokenIds.subarray(0, 5)), [-9, -9, 7, 8, 0]);
  assert.ok(adjustments.divisors.subarray(2, 102).every((divisor) => divisor === 3));
  assert.ok(adjustments.addends.subarray(2, 102).every((addend) => addend === -1.5));
  assert.equal(adjustments.tokenIds[102], -9);
});

test("samplers without penalties need no counts, those with some say that they do, and foreign ids are refused", () => {
  assert.equal(hasPenalties({ repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, logitBias: {} }), false);
  for (const penalties of [
    { repetitionPenalty: 1.1 },
    { presencePenalty: -1 },
    { frequencyPenalty: 1 },
    { logitBias: { 0: 1 } },
  ])
    assert.equal(hasPenalties(penalties), true);
  const backend = createReferenceBackend();
  using row = tensorOf(backend, logits, [1, logits.length], "f64");
  const draw = { row: 0, config: { temperature: 0, presencePenalty: 1 }, rng: null };
  assert.throws(() => new TokenSampler(backend).sample(row, [draw]), /need the tokens so far; pass counts/);
  assert.throws(() => new TokenCounts({ logitBias: { 5: 1 } }, [], 5), /token ids from 0 to 4, got 5/);
  assert.throws(() => new TokenCounts({ repetitionPenalty: 2 }, [-1], 5), /token ids from 0 to 4, got -1/);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type CausalLm,
  createLlama,
  f32Precision,
  type LlamaConfig,
  mergeAdapter,
  plainLlama,
} from "../models/index.ts";
import { bankOf, type LoraAdapter, LoraBank } from "../nn/index.ts";
import { createReferenceBackend, linear, packedLayout, Scope } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { klOfLogits, modelKl, nextTokenKl } from "./divergence.ts";

const config: LlamaConfig = {
  ...plainLlama,
  vocabSize: 32,
  hiddenSize: 16,
  intermediateSize: 24,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 4,
  maxSeqLen: 64,
};

function createPair(): { readonly lm: CausalLm; readonly adapter: LoraAdapter } {
  const lm = createLlama(createReferenceBackend(), config, f32Precision, { rng: createRng("divergence") });
  const rng = createRng("adapter");
  using bank = new LoraBank(lm.backend, lm.linearLayers, [{ loraRank: 2, loraAlpha: 4, targets: "all" }]);
  bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => 0.5 * rng.normal()));
  return { lm, adapter: bank.extract(0) };
}

/** Probabilities after each token, from one plain pass. */
function distributions(lm: CausalLm, ids: readonly number[], bank: LoraBank | null): number[][] {
  using scope = new Scope(lm.backend);
  const layout = packedLayout(Int32Array.of(0, ids.length));
  const batch = { tokenIds: Int32Array.from(ids), positionIds: Int32Array.from(ids.keys()), layout };
  const adapters = bank === null ? null : bank.batch(Int32Array.of(0, ids.length));
  const logits = linear(scope, lm.hidden(scope, batch, { adapters }), lm.outputWeight, { compute: "f32" }).readSync();
  return ids.map((_, t) => {
    const weights = Array.from(logits.subarray(t * lm.vocabSize, (t + 1) * lm.vocabSize), (logit) => Math.exp(logit));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  });
}

describe("the divergence of an adapter from its base", () => {
  test("of two coins is the one worked out by hand", () => {
    const [p, q] = [Float32Array.of(Math.log(3), 0), Float32Array.of(0, 0)]; // 3/4 and 1/4 against a fair coin
    assert.ok(Math.abs(klOfLogits(p, q) - (0.75 * Math.log(1.5) + 0.25 * Math.log(0.5))) < 1e-7);
    assert.equal(klOfLogits(p, p), 0);
    assert.ok(
      Math.abs(
        klOfLogits(
          p,
          p.map((logit) => logit + 5),
        ),
      ) < 1e-6,
      "a constant on all logits changes nothing",
    );
  });

  test("is Σ p log(p / q) over the whole vocabulary at every position", async () => {
    const { lm, adapter } = createPair();
    using bank = bankOf(lm.backend, lm.linearLayers, [adapter]);
    const sequences = [[1, 5, 9, 2], [7], Array.from({ length: 40 }, (_, index) => (index * 11) % 32)];
    const found = await nextTokenKl(lm, sequences, { bank });
    for (const [index, ids] of sequences.entries()) {
      const [base, adapted] = [distributions(lm, ids, null), distributions(lm, ids, bank)];
      for (const [t, p] of base.entries()) {
        const expected = p.reduce((sum, share, token) => sum + share * Math.log(share / adapted[t]![token]!), 0);
        assert.ok(expected > 1e-4, "the adapter changes something");
        assert.ok(Math.abs(found[index]![t]! - expected) < 1e-4 * Math.max(1, expected)); // logits are f32
      }
    }
  });

  test("is 0 for an adapter without effect, and shrinks with the scale", async () => {
    const { lm, adapter } = createPair();
    const total = async (scale: number) => {
      using bank = bankOf(lm.backend, lm.linearLayers, [{ ...adapter, loraAlpha: adapter.loraAlpha * scale }]);
      return (await nextTokenKl(lm, [[1, 2, 3, 4, 5, 6]], { bank }))[0]!.reduce((sum, value) => sum + value, 0);
    };
    const [none, little, whole] = [await total(1e-6), await total(0.1), await total(1)];
    assert.ok(none < 1e-6 && none < little && little < whole, `${none} ${little} ${whole}`);
  });

  test("leaves no tensors behind and refuses ids it cannot know", async () => {
    const { lm, adapter } = createPair();
    using bank = bankOf(lm.backend, lm.linearLayers, [adapter]);
    const before = lm.backend.memory().liveTensors;
    await nextTokenKl(lm, [[1, 2, 3]], { bank });
    assert.equal(lm.backend.memory().liveTensors, before);
    await assert.rejects(nextTokenKl(lm, [[99]], { bank }), { code: "bad-input" });
    await assert.rejects(nextTokenKl(lm, [[]], { bank }), { code: "bad-input" });
  });
});

describe("the divergence of a model from another", () => {
  test("of one with the adapter merged is that of the adapter beside it", async () => {
    const [{ lm, adapter }, { lm: merged }] = [createPair(), createPair()];
    mergeAdapter(merged, adapter);
    const sequences = [
      [1, 2, 3, 4],
      [5, 6],
    ];
    using bank = bankOf(lm.backend, lm.linearLayers, [adapter]);
    const beside = (await nextTokenKl(lm, sequences, { bank })).flatMap((values) => [...values]);
    const folded = (await modelKl(lm, merged, sequences)).flatMap((values) => [...values]);
    assert.equal(folded.length, 6);
    const largest = Math.max(...beside);
    assert.ok(largest > 1e-4, `${largest}`);
    for (const [index, value] of folded.entries())
      assert.ok(Math.abs(value - beside[index]!) < 0.01 * largest, `${value} and ${beside[index]}`);
    assert.deepEqual(
      (await modelKl(lm, lm, sequences)).map((values) => Math.max(...values)),
      [0, 0],
    );
  });

  test("needs one vocabulary, and sequences that both can read", async () => {
    const { lm } = createPair();
    const create = (change: Partial<LlamaConfig>) =>
      createLlama(createReferenceBackend(), { ...config, ...change }, f32Precision, { rng: createRng("other") });
    await assert.rejects(modelKl(lm, create({ vocabSize: 33 }), [[1]]), { message: /one vocabulary, got 32 and 33/ });
    await assert.rejects(modelKl(lm, create({ maxSeqLen: 2 }), [[1, 2, 3]]), { message: /expected 1 to 2 tokens/ });
  });
});

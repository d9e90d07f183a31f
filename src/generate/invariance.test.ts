import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bf16Precision,
  type CausalLm,
  createLlama,
  f32Precision,
  type LlamaConfig,
  type Precision,
  plainLlama,
} from "../models/index.ts";
import { bankOf, type LoraAdapter, LoraBank } from "../nn/index.ts";
import { type Backend, createCpuBackend, nativeInstructionSets } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { type GenerateRequest, generate, scoreTokens } from "./index.ts";

/** Sizes that are no multiples of a vector, so that ends of rows and of memory are met too. */
const config: LlamaConfig = {
  ...plainLlama,
  vocabSize: 101,
  hiddenSize: 36,
  intermediateSize: 58,
  numLayers: 2,
  numHeads: 6,
  numKvHeads: 2,
  headDim: 6,
  maxSeqLen: 96,
};

/** Weights wide enough that the next token depends visibly on what came before. */
function createTinyLm(backend: Backend, precision: Precision): CausalLm {
  const lm = createLlama(backend, config, precision, { rng: createRng("invariance") });
  for (const { name, shape } of lm.parameters.specs) {
    const tensor = lm.parameters.get(name);
    if (shape.length === 2) tensor.write(tensor.readSync().map((value) => 8 * value));
  }
  return lm;
}

function randomAdapter(lm: CausalLm, seed: string, loraRank: number): LoraAdapter {
  const rng = createRng(seed);
  using bank = new LoraBank(lm.backend, lm.linearLayers, [{ loraRank, loraAlpha: 4, targets: "all" }]);
  bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => 0.2 * rng.normal()));
  return bank.extract(0);
}

const rng = createRng("requests");
/** Prompts of 1 to 70 tokens; adapters 0 and 1 and the base model by turns. */
const prompts: readonly (readonly number[])[] = [1, 70, 5, 12, 2, 33, 8, 1, 3, 17, 4, 9, 21].map((length) =>
  Array.from({ length }, () => Math.floor(rng.uniform() * config.vocabSize)),
);

/** Requests at the start of their random streams. */
const fresh = (): GenerateRequest[] =>
  prompts.map((promptIds, index) => ({
    promptIds,
    maxNewTokens: 5 + (index % 4),
    adapterIndex: index % 3 === 2 ? null : index % 3,
    sampler: { temperature: 0.9 },
    rng: rng.fork("own", index),
  }));

if (nativeInstructionSets().length === 0)
  test("native decoding does not depend on the batch", { skip: "no native kernels; run npm run build:native" });

for (const instructionSet of nativeInstructionSets())
  for (const [name, precision] of [
    ["f32", f32Precision],
    ["bf16", bf16Precision],
    ["f32 with int8 weights", { ...f32Precision, weights: "int8" }],
    ["bf16 with int8 weights", { ...bf16Precision, weights: "int8" }],
    ["bf16 with nf4 weights", { ...bf16Precision, weights: "nf4" }],
  ] as const)
    test(`a request decodes to the same bits alone and in any batch with ${instructionSet} in ${name}`, async () => {
      using lm = createTinyLm(createCpuBackend({ threads: 2, instructionSet }), precision);
      using bank = bankOf(lm.backend, lm.linearLayers, [randomAdapter(lm, "first", 3), randomAdapter(lm, "second", 8)]);
      const alone = [];
      for (const request of fresh()) alone.push((await generate(lm, [request], { bank }))[0]!);
      assert.ok(new Set(alone.map(({ tokenIds }) => tokenIds.join())).size > 8, "the requests differ");
      for (const maxBatch of [2, 5, 64])
        assert.deepEqual(await generate(lm, fresh(), { bank, maxBatch }), alone, `${maxBatch} at a time`);
      const reversed = await generate(lm, fresh().toReversed(), { bank });
      assert.deepEqual(reversed.toReversed(), alone);

      const sequences = fresh().map(({ promptIds, adapterIndex = null }) => ({ tokenIds: promptIds, adapterIndex }));
      const scores = await scoreTokens(lm, sequences, { bank, maxBatchTokens: 1 });
      for (const maxBatchTokens of [20, 4096])
        assert.deepEqual(await scoreTokens(lm, sequences, { bank, maxBatchTokens }), scores);
    });

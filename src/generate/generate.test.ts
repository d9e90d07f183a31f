import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type CausalLm, createLlama, f32Precision, type LlamaConfig, plainLlama } from "../models/index.ts";
import { bankOf, type LoraAdapter, LoraBank } from "../nn/index.ts";
import {
  type Backend,
  createCpuBackend,
  createReferenceBackend,
  linear,
  nativeInstructionSets,
  packedLayout,
  Scope,
} from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { type GenerateRequest, generate, scoreTokens } from "./index.ts";

const config: LlamaConfig = {
  ...plainLlama,
  vocabSize: 40,
  hiddenSize: 16,
  intermediateSize: 24,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 4,
  maxSeqLen: 32,
};

/** Weights ten times as wide as at initialisation, so that the next token depends visibly on what came before. */
function createTinyLm(backend: Backend): CausalLm {
  const lm = createLlama(backend, config, f32Precision, { rng: createRng("tiny") });
  for (const { name, shape } of lm.parameters.specs) {
    const tensor = lm.parameters.get(name);
    if (shape.length === 2) tensor.write(tensor.readSync().map((value) => 10 * value));
  }
  return lm;
}

/** An adapter with random `loraA` and `loraB`. */
function randomAdapter(lm: CausalLm, seed: string, loraRank = 2): LoraAdapter {
  const rng = createRng(seed);
  using bank = new LoraBank(lm.backend, lm.linearLayers, [{ loraRank, loraAlpha: 4, targets: "all" }]);
  bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => 0.3 * rng.normal()));
  return bank.extract(0);
}

const backend = createReferenceBackend();
const lm = createTinyLm(backend);
after(() => lm[Symbol.dispose]());

const prompts = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2], [3, 8], [4, 6, 2, 6]];
const rng = createRng("generate");

/** Logits of the last token, by a full forward pass without a cache. */
function lastLogits(tokenIds: readonly number[]): Float64Array {
  using scope = new Scope(backend);
  const length = tokenIds.length;
  const batch = {
    tokenIds: Int32Array.from(tokenIds),
    positionIds: Int32Array.from(tokenIds.keys()),
    layout: packedLayout(Int32Array.of(0, length)),
  };
  const logits = linear(scope, lm.hidden(scope, batch), lm.outputWeight, { compute: "f32" }).readSync();
  return Float64Array.from(logits.subarray((length - 1) * lm.vocabSize));
}

/** `log softmax(logits / temperature)[id]` by its definition. */
function logSoftmaxAt(logits: Float64Array, id: number, temperature: number): number {
  const scaled = logits.map((logit) => logit / temperature);
  const max = Math.max(...scaled);
  return scaled[id]! - max - Math.log(scaled.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
}

const sampled = (index: number): GenerateRequest => ({
  promptIds: prompts[index]!,
  maxNewTokens: 6 + index,
  sampler: index % 2 === 0 ? { temperature: 0.8 } : { temperature: 1.2, topK: 20, topP: 0.9 },
  rng: rng.fork("own", index),
});

test("decoding with a cache gives what full forward passes give, for prompts of any length together", async () => {
  const results = await generate(
    lm,
    prompts.map((promptIds) => ({ promptIds, maxNewTokens: 8 })),
  );
  for (const [index, { tokenIds, logprobs, stopReason, fullSoftmax }] of results.entries()) {
    assert.equal(tokenIds.length, 8);
    assert.equal(stopReason, "length");
    assert.equal(fullSoftmax, false);
    const text = [...prompts[index]!];
    for (const [step, tokenId] of tokenIds.entries()) {
      const logits = lastLogits(text);
      assert.equal(tokenId, logits.indexOf(Math.max(...logits)), `request ${index}, token ${step}`);
      assert.ok(Math.abs(logprobs[step]! - logSoftmaxAt(logits, tokenId, 1)) < 1e-5); // f32 sums in another order
      text.push(tokenId);
    }
  }
  assert.ok(new Set(results.map(({ tokenIds }) => tokenIds.join())).size > 1, "the prompts matter");
});

test("a request gives the same tokens and bits alone and in any batch", async () => {
  const alone = [];
  for (const index of prompts.keys()) alone.push((await generate(lm, [sampled(index)]))[0]!);
  const together = await generate(
    lm,
    prompts.map((_, index) => sampled(index)),
  );
  assert.deepEqual(together, alone);
  const reversed = await generate(lm, [...prompts.keys()].reverse().map(sampled));
  assert.deepEqual(reversed.reverse(), alone);
  for (const limits of [{ maxBatch: 1 }, { maxBatch: 2 }, { maxBatchTokens: 30 }, { maxBatchTokens: 1 }])
    assert.deepEqual(
      await generate(
        lm,
        prompts.map((_, index) => sampled(index)),
        limits,
      ),
      alone,
      JSON.stringify(limits),
    );
});

for (const instructionSet of nativeInstructionSets())
  test(`native ${instructionSet} kernels agree with the reference, alone and in a batch`, async () => {
    using native = createTinyLm(createCpuBackend({ threads: 2, instructionSet }));
    const expected = await generate(
      lm,
      prompts.map((_, index) => sampled(index)),
    );
    const together = await generate(
      native,
      prompts.map((_, index) => sampled(index)),
    );
    for (const index of prompts.keys()) {
      const [alone] = await generate(native, [sampled(index)]);
      for (const result of [alone!, together[index]!]) {
        assert.deepEqual(result.tokenIds, expected[index]!.tokenIds);
        for (const [step, logprob] of result.logprobs.entries())
          assert.ok(Math.abs(logprob - expected[index]!.logprobs[step]!) < 1e-4); // f32 sums in another order
      }
    }
  });

/** Every option of a sampler at once, and likeliest tokens. */
const penalised = (index: number): GenerateRequest => ({
  ...sampled(index),
  sampler: {
    temperature: index % 2 === 0 ? 0 : 1.1,
    topK: 25,
    topP: 0.95,
    minP: 0.01,
    repetitionPenalty: 1.3,
    presencePenalty: 0.5,
    frequencyPenalty: 0.7,
    logitBias: { 3: -100, 5: 1.5 },
  },
  topLogprobs: 3,
});

test("penalties count the prompt and what was sampled, and likeliest tokens are those of the penalised logits", async () => {
  for (const index of [0, 2, 4]) {
    const { tokenIds, topLogprobs, logprobs, fullSoftmax } = (await generate(lm, [penalised(index)]))[0]!;
    assert.equal(fullSoftmax, false);
    tokenIds.forEach((tokenId, step) => {
      const completion = tokenIds.slice(0, step);
      const text = [...prompts[index]!, ...completion];
      const logits = lastLogits(text).map((logit, id) => {
        const count = completion.filter((other) => other === id).length;
        const repeated = text.includes(id) ? (logit > 0 ? logit / 1.3 : logit * 1.3) : logit;
        const bias = id === 3 ? -100 : id === 5 ? 1.5 : 0;
        return repeated + bias - (count > 0 ? 0.5 : 0) - 0.7 * count;
      });
      const ranking = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
      assert.equal(tokenId, ranking[0], `request ${index}, token ${step}`);
      const listed = topLogprobs[step]!.map((entry) => entry.tokenId);
      assert.deepEqual(listed, ranking.slice(0, 3));
      for (const { tokenId: id, logprob } of topLogprobs[step]!)
        assert.ok(Math.abs(logprob - logSoftmaxAt(logits, id, 1)) < 1e-5); // f32 sums in another order
      assert.equal(logprobs[step], topLogprobs[step]![0]!.logprob);
    });
  }
});

test("penalised requests give the same tokens alone and in any batch", async () => {
  const alone = [];
  for (const index of prompts.keys()) alone.push((await generate(lm, [penalised(index)]))[0]!);
  const requests = prompts.flatMap((_, index) => [penalised(index), sampled(index)]);
  const mixed = await generate(lm, requests, { maxBatch: 4 });
  assert.deepEqual(
    mixed.filter((_, index) => index % 2 === 0),
    alone,
  );
});

test("samples of one prompt share its prefill and still follow their own streams", async () => {
  const request = (index: number): GenerateRequest => ({
    promptIds: prompts[2]!,
    maxNewTokens: 5,
    sampler: { temperature: 1 },
    rng: rng.fork("shared", index),
  });
  const alone = [];
  for (let index = 0; index < 6; index++) alone.push((await generate(lm, [request(index)]))[0]!);
  assert.deepEqual(
    await generate(
      lm,
      Array.from({ length: 6 }, (_, index) => request(index)),
    ),
    alone,
  );
  assert.ok(new Set(alone.map(({ tokenIds }) => tokenIds.join())).size > 2);
});

test("streams come from the options' rng by request when a request has none, and the parent is not advanced", async () => {
  const requests = prompts.map(
    (promptIds): GenerateRequest => ({ promptIds, maxNewTokens: 4, sampler: { temperature: 1 } }),
  );
  const parent = createRng("parent");
  const first = await generate(lm, requests, { rng: parent });
  assert.deepEqual(await generate(lm, requests, { rng: parent }), first);
  assert.deepEqual(await generate(lm, [{ ...requests[3]!, rng: createRng("parent").fork("request", 3) }]), [first[3]]);
});

test("log-probabilities of samples are those of the untruncated softmax at the sampling temperature", async () => {
  for (const index of prompts.keys()) {
    const request = sampled(index);
    const [{ tokenIds, logprobs, fullSoftmax }] = (await generate(lm, [request])) as [
      Awaited<ReturnType<typeof generate>>[number],
    ];
    assert.equal(fullSoftmax, index % 2 === 0);
    tokenIds.forEach((tokenId, step) => {
      const logits = lastLogits([...prompts[index]!, ...tokenIds.slice(0, step)]);
      assert.ok(Math.abs(logprobs[step]! - logSoftmaxAt(logits, tokenId, request.sampler!.temperature)) < 1e-5);
    });
  }
});

test("a stop token ends the completion and is part of it", async () => {
  const [free] = await generate(lm, [{ promptIds: prompts[0]!, maxNewTokens: 8 }]);
  const stop = free!.tokenIds[3]!;
  const first = free!.tokenIds.indexOf(stop);
  const [stopped] = await generate(lm, [{ promptIds: prompts[0]!, maxNewTokens: 8, stopTokens: [stop] }]);
  assert.deepEqual(stopped!.tokenIds, free!.tokenIds.slice(0, first + 1));
  assert.equal(stopped!.stopReason, "stop");
});

test("generation ends at maxSeqLen", async () => {
  const promptIds = Array.from({ length: lm.maxSeqLen - 3 }, (_, i) => i % 7);
  const [result] = await generate(lm, [{ promptIds, maxNewTokens: 100 }]);
  assert.equal(result!.tokenIds.length, 3);
  assert.equal(result!.stopReason, "length");
  await assert.rejects(
    generate(lm, [{ promptIds: [...promptIds, 1, 2, 3], maxNewTokens: 1 }]),
    /request 0: expected a prompt of fewer than 32 tokens \(the model's maxSeqLen\), got 32/,
  );
});

test("each request follows its own adapter, in any mixture with the base model", async () => {
  const adapters = [randomAdapter(lm, "first"), randomAdapter(lm, "second", 3), randomAdapter(lm, "third", 1)];
  using bank = bankOf(backend, lm.linearLayers, adapters);
  const wanted = [2, null, 0, 2, 1]; // adapters out of order, so that rows must be sorted
  const expected = [];
  for (const [index, adapterIndex] of wanted.entries()) {
    using own = bankOf(backend, lm.linearLayers, [adapters[adapterIndex ?? 0]!]);
    const request = { ...sampled(index), adapterIndex: adapterIndex === null ? null : 0 };
    expected.push((await generate(lm, [request], { bank: own }))[0]!);
  }
  const mixed = prompts.map((_, index) => ({ ...sampled(index), adapterIndex: wanted[index]! }));
  assert.deepEqual(await generate(lm, mixed, { bank }), expected);
  assert.notDeepEqual((await generate(lm, [sampled(0)]))[0], expected[0], "the adapter changes the text");
});

test("requests that make no sense are refused in words", async () => {
  const refuse = (request: Partial<GenerateRequest>, message: RegExp) =>
    assert.rejects(generate(lm, [{ promptIds: [1], maxNewTokens: 2, ...request }]), message);
  await refuse({ promptIds: [] }, /prompt of at least one token/);
  await refuse({ promptIds: [1, 40] }, /token ids from 0 to 39, got 40 at position 1/);
  await refuse({ maxNewTokens: 0 }, /maxNewTokens of at least 1, got 0/);
  await refuse({ sampler: { temperature: 1 } }, /temperature 1 needs a random stream/);
  await refuse({ sampler: { temperature: -1 } }, /temperature: expected/);
  await refuse(
    { sampler: { temperature: 0, logitBias: { 40: 1 } } },
    /logitBias: expected token ids from 0 to 39, got 40/,
  );
  await refuse({ topLogprobs: 21 }, /topLogprobs from 0 to 20, got 21/);
  await refuse({ adapterIndex: 0 }, /adapterIndex 0 needs a bank/);
  assert.deepEqual(await generate(lm, []), []);
});

test("an aborted call rejects with the signal's reason, and no call leaks memory", async () => {
  const live = backend.memory().liveTensors;
  const controller = new AbortController();
  const reason = new Error("enough");
  let steps = 0;
  const onProgress = () => {
    if (++steps === 2) controller.abort(reason);
  };
  await assert.rejects(generate(lm, [sampled(0), sampled(1)], { signal: controller.signal, onProgress }), reason);
  assert.equal(steps, 2);
  await generate(
    lm,
    prompts.map((_, index) => sampled(index)),
    { maxBatch: 2 },
  );
  await scoreTokens(lm, [{ tokenIds: prompts[2]! }]);
  assert.equal(backend.memory().liveTensors, live);
});

test("progress counts tokens and finished requests to the end", async () => {
  const seen: { finished: number; numTokens: number }[] = [];
  await generate(lm, [sampled(0), sampled(1)], {
    onProgress: ({ finished, numTokens }) => seen.push({ finished, numTokens }),
  });
  assert.deepEqual(seen.at(-1), { finished: 2, numTokens: 6 + 7 });
  assert.deepEqual(seen[0], { finished: 0, numTokens: 2 });
});

test("greedy decoding can leave log-probabilities out without changing the tokens", async () => {
  const request = { promptIds: prompts[0]!, maxNewTokens: 5 };
  const [withThem] = await generate(lm, [request]);
  const [without] = await generate(lm, [request], { logprobs: false });
  assert.deepEqual(without!.tokenIds, withThem!.tokenIds);
  assert.ok(without!.logprobs.every(Number.isNaN));
});

test("scores are the log-softmax of full forward passes, whatever is packed beside them", async () => {
  const sequences = prompts.map((tokenIds) => ({ tokenIds }));
  const scores = await scoreTokens(lm, sequences);
  for (const [index, tokenIds] of prompts.entries()) {
    assert.equal(scores[index]!.length, tokenIds.length - 1);
    scores[index]!.forEach((logprob, t) => {
      assert.ok(Math.abs(logprob - logSoftmaxAt(lastLogits(tokenIds.slice(0, t + 1)), tokenIds[t + 1]!, 1)) < 1e-5);
    });
  }
  for (const maxBatchTokens of [1, 7]) assert.deepEqual(await scoreTokens(lm, sequences, { maxBatchTokens }), scores);
});

test("scores follow each sequence's adapter", async () => {
  const adapters = [randomAdapter(lm, "first"), randomAdapter(lm, "second", 3)];
  using bank = bankOf(backend, lm.linearLayers, adapters);
  const wanted = [1, 0, null, 1, 0];
  const mixed = await scoreTokens(
    lm,
    prompts.map((tokenIds, index) => ({ tokenIds, adapterIndex: wanted[index]! })),
    { bank },
  );
  for (const [index, tokenIds] of prompts.entries()) {
    using own = bankOf(backend, lm.linearLayers, [adapters[wanted[index] ?? 0]!]);
    const [alone] = await scoreTokens(lm, [{ tokenIds, adapterIndex: wanted[index] === null ? null : 0 }], {
      bank: own,
    });
    assert.deepEqual(mixed[index], alone);
  }
});

test("sequences that cannot be scored are refused in words", async () => {
  await assert.rejects(scoreTokens(lm, [{ tokenIds: [] }]), /sequence 0: expected at least one token/);
  await assert.rejects(scoreTokens(lm, [{ tokenIds: new Int32Array(33) }]), /at most 32 tokens, got 33/);
  await assert.rejects(scoreTokens(lm, [{ tokenIds: [-1] }]), /got -1 at position 0/);
  await assert.rejects(scoreTokens(lm, [{ tokenIds: [1], adapterIndex: 2 }]), /needs a bank/);
});

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type GenerateRequest, generate, scoreTokens } from "../generate/index.ts";
import { type Checkpoint, choosePrecision, encodePrompt, loadCheckpoint } from "../models/index.ts";
import { bankOf, type LoraAdapter, LoraBank } from "../nn/index.ts";
import { openBackend } from "../tensor/index.ts";
import { trainAdapters } from "../train/index.ts";
import { createRng, shippedModelDirectory } from "../util/index.ts";
import { createEngine, digestAdapter, type Engine, type EngineJob, type EngineRequest, openEngine } from "./index.ts";

const backend = openBackend({ warn: () => {} });
const load = (): Promise<Checkpoint> =>
  loadCheckpoint(backend, shippedModelDirectory, { precision: choosePrecision(backend, undefined) });
const checkpoint = await load();
const { lm, tokenizer } = checkpoint;
after(() => lm[Symbol.dispose]());

/** Adapters of different ranks and targets that change what the model says. */
const adapters: readonly LoraAdapter[] = Array.from({ length: 8 }, (_, index) => {
  const rng = createRng("engine-test").fork("adapter", index);
  const targets = index % 3 === 0 ? ("all" as const) : ["gate_proj", "up_proj", "down_proj"];
  using bank = new LoraBank(backend, lm.linearLayers, [{ loraRank: 2 + 2 * index, loraAlpha: 8, targets }]);
  bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => 0.05 * rng.normal()));
  return bank.extract(0);
});
const digests = adapters.map((adapter) => digestAdapter(adapter));

const questions = ["Question: Where was", "Passage: Ivy Lynton was born", "The ship", "In 1840", "Question: When"];

/** Requests of every kind: greedy and sampled, with and without adapters, short and long. */
const requests: readonly EngineRequest[] = Array.from({ length: 48 }, (_, index) => ({
  promptIds: encodePrompt(tokenizer, `${questions[index % questions.length]} ${"and so on ".repeat(index % 4)}`.trim()),
  maxNewTokens: 3 + ((7 * index) % 23),
  sampler:
    index % 3 === 0 ? { temperature: 0 } : index % 3 === 1 ? { temperature: 0.9 } : { temperature: 1.1, topK: 12 },
  adapter: index % 5 === 4 ? null : digests[index % 8]!,
  seed: `request ${index}`,
}));

/** What a request gives when it is alone in the process. */
async function alone({ promptIds, maxNewTokens, sampler, adapter, seed }: EngineRequest) {
  const chosen = adapter === null ? null : adapters[digests.indexOf(adapter!)]!;
  using bank = chosen && bankOf(backend, lm.linearLayers, [chosen]);
  const request: GenerateRequest = {
    promptIds,
    maxNewTokens,
    sampler: sampler!,
    rng: createRng(seed!),
    adapterIndex: chosen && 0,
  };
  const [generation] = await generate(lm, [request], { bank });
  return generation!;
}

const jobs: readonly EngineJob[] = ["a", "b"].map((id, index) => ({
  id,
  documents: ["Ann Lee was born in Dover.", "Ann Lee sailed on the Heron."].map((text) => ({
    tokenIds: tokenizer.encode(text),
  })),
  lora: { loraRank: 4 + 4 * index, loraAlpha: 8, targets: "all" },
  learningRate: 1e-3,
  epochs: 6,
}));

const bitsOf = (adapter: LoraAdapter): string => digestAdapter(adapter);

/** The whole life of a busy engine: requests at random times, adapters that come and go, cancels, training beside it. */
async function live(engine: Engine): Promise<void> {
  const rng = createRng("arrivals");
  const training = engine.trainAdapters({ jobs, seed: 3 });
  const cancelled = new Set([5, 17, 29, 41]);
  const ends = requests.map(async (request, index) => {
    await sleep(rng.fork(index).integer(120));
    if (request.adapter != null) await engine.addAdapter(adapters[digests.indexOf(request.adapter)]!);
    const stream = engine.submit(request);
    if (cancelled.has(index)) {
      for await (const _ of stream) break; // leaves after the first token
      await assert.rejects(stream.result, { code: "stopped" });
    } else {
      const seen: number[] = [];
      let text = "";
      for await (const token of stream) {
        seen.push(token.tokenId);
        text += token.text;
      }
      const result = await stream.result;
      assert.deepEqual(seen, result.tokenIds);
      assert.equal(text, result.text);
      const single = await alone(request);
      assert.deepEqual(result.tokenIds, single.tokenIds, `request ${index}`);
      assert.deepEqual(result.logprobs, single.logprobs, `request ${index}`);
      assert.equal(result.stopReason, single.stopReason);
    }
    if (request.adapter != null) await engine.removeAdapter(request.adapter);
  });
  await Promise.all(ends);
  const [trained, expected] = [await training, await trainAdapters({ lm, jobs, seed: 3 })];
  assert.deepEqual(
    trained.map(({ adapter }) => bitsOf(adapter)),
    expected.map(({ adapter }) => bitsOf(adapter)),
  );
  const { numRunning, numWaiting, numAdapters } = await engine.stats();
  assert.deepEqual({ numRunning, numWaiting, numAdapters }, { numRunning: 0, numWaiting: 0, numAdapters: 0 });
}

describe("48 requests with 8 adapters at random times, some cancelled, beside training, equal their single runs bit for bit", () => {
  test("in a worker", async () => {
    await using engine = await openEngine(shippedModelDirectory);
    await live(engine);
  });

  test("in this thread", async () => {
    await using engine = await createEngine(await load());
    await live(engine);
  });

  test("with a batch and a cache too small for all of them", async () => {
    await using engine = await createEngine(await load(), { maxBatch: 5, maxBatchTokens: 120 });
    await live(engine);
  });
});

describe("an engine", () => {
  const promptIds = encodePrompt(tokenizer, "Question: Where was");

  test("fails one request and serves the others", async () => {
    await using engine = await openEngine(shippedModelDirectory);
    const damaged = new Map(
      [...adapters[0]!.modules].map(([name, { loraA, loraB }]) => [
        name,
        { loraA, loraB: loraB.map(() => Number.NaN) },
      ]),
    );
    const id = await engine.addAdapter({ ...adapters[0]!, modules: damaged });
    const good = engine.submit({ promptIds, maxNewTokens: 8 });
    const bad = [
      { request: { promptIds, maxNewTokens: 8, adapter: id }, code: "not-finite" },
      { request: { promptIds: [], maxNewTokens: 8 }, code: "bad-input" },
      { request: { promptIds: [999_999], maxNewTokens: 8 }, code: "bad-input" },
      { request: { promptIds, maxNewTokens: 0 }, code: "bad-option" },
      { request: { promptIds, maxNewTokens: 8, sampler: { temperature: 1 } }, code: "bad-option" },
      { request: { promptIds, maxNewTokens: 8, adapter: "0".repeat(64) }, code: "unknown-name" },
      { request: { promptIds, maxNewTokens: 8, stopStrings: [""] }, code: "bad-option" },
    ];
    await Promise.all(bad.map(({ request, code }) => assert.rejects(engine.submit(request).result, { code })));
    const single = await alone({ promptIds, maxNewTokens: 8, adapter: null, seed: 0, sampler: { temperature: 0 } });
    assert.deepEqual((await good.result).tokenIds, single.tokenIds);
  });

  test("ends at a stop string, across tokens, and leaves it out of the text", async () => {
    await using engine = await createEngine(await load());
    const [whole] = await engine.generate([{ promptIds, maxNewTokens: 12 }]);
    const stop = whole!.text.slice(4, 9);
    const [stopped] = await engine.generate([{ promptIds, maxNewTokens: 12, stopStrings: [stop, "never"] }]);
    assert.equal(stopped!.text, whole!.text.slice(0, whole!.text.indexOf(stop)));
    assert.equal(stopped!.stopReason, "stop");
    assert.equal(stopped!.stopString, stop);
    assert.deepEqual(stopped!.tokenIds, whole!.tokenIds.slice(0, stopped!.tokenIds.length));
  });

  test("scores as scoreTokens does, with adapters, and embeds to length 1", async () => {
    await using engine = await openEngine(shippedModelDirectory);
    const id = await engine.addAdapter(adapters[3]!);
    const readings = [{ tokenIds: promptIds, adapter: id }, { tokenIds: promptIds }];
    const scored = await engine.score(readings);
    using bank = bankOf(backend, lm.linearLayers, [adapters[3]!]);
    const expected = await scoreTokens(lm, [{ tokenIds: promptIds, adapterIndex: 0 }, { tokenIds: promptIds }], {
      bank,
    });
    assert.deepEqual(scored, expected);
    const [adapted, plain] = await engine.embed(readings);
    assert.ok(Math.abs(Math.hypot(...plain!) - 1) < 1e-5);
    assert.notDeepEqual(adapted, plain);
  });

  test("stops a call when its signal fires, and goes on with others", async () => {
    await using engine = await openEngine(shippedModelDirectory);
    const stop = new AbortController();
    const long = engine.generate([{ promptIds, maxNewTokens: 100 }], {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await assert.rejects(long, { name: "AbortError" });
    assert.equal((await engine.generate([{ promptIds, maxNewTokens: 3 }]))[0]!.tokenIds.length, 3);
    assert.equal((await engine.stats()).numRunning, 0);
  });

  test("says what is wrong with a folder that is no checkpoint, and refuses calls after it was closed", async () => {
    await assert.rejects(openEngine("/nonexistent/model"), { code: "missing-file" });
    const engine = await openEngine(shippedModelDirectory);
    await engine[Symbol.asyncDispose]();
    await assert.rejects(engine.generate([{ promptIds, maxNewTokens: 3 }]), { code: "engine-closed" });
  });

  test("finishes with an adapter that was removed meanwhile, and refuses it afterwards", async () => {
    await using engine = await createEngine(await load());
    const id = await engine.addAdapter(adapters[1]!);
    const stream = engine.submit({ promptIds, maxNewTokens: 10, adapter: id });
    await engine.removeAdapter(id);
    await assert.rejects(engine.submit({ promptIds, maxNewTokens: 10, adapter: id }).result, { code: "unknown-name" });
    const single = await alone({
      promptIds,
      maxNewTokens: 10,
      adapter: digests[1]!,
      seed: 0,
      sampler: { temperature: 0 },
    });
    assert.deepEqual((await stream.result).tokenIds, single.tokenIds);
  });
});

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, describe, test } from "node:test";
import { klOfLogits, nextTokenKl } from "../generate/index.ts";
import { type Checkpoint, choosePrecision, encodePrompt, loadCheckpoint, mergeAdapter } from "../models/index.ts";
import { bankOf, type LoraAdapter } from "../nn/index.ts";
import { openBackend } from "../tensor/index.ts";
import {
  adapterFisher,
  elasticWeights,
  meanLoss,
  orthogonalSubspaces,
  type PlannedObjective,
  remember,
  softTargetsOf,
  type TrainingPlan,
  trainAdapters,
  trainPlanned,
} from "../train/index.ts";
import { shippedModelDirectory } from "../util/index.ts";
import {
  createEngine,
  digestAdapter,
  type Engine,
  loadEngine,
  openEngine,
  withAdapters,
  withWeightsKept,
} from "./index.ts";

const backend = openBackend({ warn: () => {} });
const load = (): Promise<Checkpoint> =>
  loadCheckpoint(backend, shippedModelDirectory, { precision: choosePrecision(backend, undefined) });
const { lm, tokenizer } = await load();
after(() => lm[Symbol.dispose]());

const documents = ["Ann Lee was born in Dover.", "Ann Lee sailed on the Heron.", "The ship lay in Leith."].map(
  (text) => ({
    tokenIds: tokenizer.encode(text),
  }),
);
const lora = { loraRank: 4, loraAlpha: 8, targets: "all" } as const;
const plan: TrainingPlan = {
  target: { kind: "full" },
  documents,
  updates: [{ documents: [0, 1] }, { documents: [2, 0], objective: { kind: "weighted", weights: [0.02, -0.01] } }],
  learningRate: 1e-4,
  seed: 3,
};
const pairs: TrainingPlan = {
  ...plan,
  target: { kind: "lora", lora },
  learningRate: 1e-3,
  updates: [
    {
      documents: [0, 1, 2],
      objective: {
        ...{ kind: "preference", loss: "dpo", beta: 0.1, sizes: [1, 1] },
        ...{ referenceLogprobs: [-20, -20], share: 0.5, restWeight: 0.01 },
      },
    },
  ],
};
const promptIds = encodePrompt(tokenizer, "Question: Where was");
const [adapter] = (
  await trainAdapters({ lm, jobs: [{ id: "a", documents, lora, learningRate: 1e-3, epochs: 3 }], seed: 1 })
).map((result): LoraAdapter => result.adapter);

/** What a model gives that was never in an engine. */
async function changed(change: (fresh: Checkpoint["lm"]) => Promise<void>): Promise<readonly number[]> {
  await using engine = await changedEngine(change);
  return (await engine.generate([{ promptIds, maxNewTokens: 12 }]))[0]!.logprobs;
}

async function changedEngine(change: (fresh: Checkpoint["lm"]) => Promise<void>): Promise<Engine> {
  const checkpoint = await load();
  await change(checkpoint.lm);
  return await createEngine(checkpoint);
}

const open: Readonly<Record<string, () => Promise<Engine>>> = {
  "in a worker": () => openEngine(shippedModelDirectory),
  "in this thread": async () => await createEngine(await load()),
};

for (const [where, start] of Object.entries(open))
  describe(`an engine ${where}`, () => {
    test("reads whole distributions, expectations and information as the functions below it do", async () => {
      await using engine = await start();
      using bank = bankOf(backend, lm.linearLayers, [adapter!]);
      const [expected] = await nextTokenKl(lm, [promptIds], { bank });
      await withAdapters(engine, [adapter!], async ([id]) => {
        const [kl, none] = await engine.divergence([{ tokenIds: promptIds, adapter: id }, { tokenIds: promptIds }]);
        assert.deepEqual(kl, expected);
        assert.deepEqual(none, new Float64Array(promptIds.length));
        const [base, adapted] = await engine.predict([{ tokenIds: promptIds }, { tokenIds: promptIds, adapter: id }]);
        const { vocabSize } = engine.model;
        const rowOf = (logits: Float32Array, t: number) => logits.subarray(t * vocabSize, (t + 1) * vocabSize);
        const fromLogits = promptIds.map((_, t) => klOfLogits(rowOf(base!, t), rowOf(adapted!, t)));
        assert.deepEqual(fromLogits, [...expected!]);
        assert.ok(Math.max(...fromLogits) > 1e-6, "the adapter changes something");
      });
      assert.equal((await engine.stats()).numAdapters, 0);
      const taught = documents.map(({ tokenIds }) => ({ tokenIds, prefix: promptIds }));
      assert.deepEqual(await engine.softTargets(taught, { topK: 5 }), softTargetsOf(lm, taught, { topK: 5 }));
      assert.deepEqual(await engine.fisher(adapter!, documents), adapterFisher(lm, adapter!, documents));
      assert.deepEqual(await engine.meanLoss(documents), meanLoss(lm, documents));
    });

    test("trains adapters with penalties, which travel as data", async () => {
      await using engine = await start();
      const memory = remember(null, adapter!, adapterFisher(lm, adapter!, documents));
      const shared = { documents, lora, learningRate: 1e-3, epochs: 2, initial: adapter! };
      const jobs = [
        { ...shared, id: "elastic", regularizer: elasticWeights(50, memory) },
        { ...shared, id: "orthogonal", regularizer: orthogonalSubspaces(0.5, [adapter!]) },
        { ...shared, id: "plain" },
      ];
      const digests = (results: readonly { readonly adapter: LoraAdapter }[]) =>
        results.map((result) => digestAdapter(result.adapter));
      const found = digests(await engine.trainAdapters({ jobs, seed: 4 }));
      assert.deepEqual(found, digests(await trainAdapters({ lm, jobs, seed: 4 })));
      const [elastic, orthogonal, plain] = digests(
        await trainAdapters({ lm, jobs: jobs.map((job) => ({ ...job, stream: "same" })), seed: 4 }),
      );
      assert.ok(elastic !== plain && orthogonal !== plain);
    });

    test("lets a change of the weights wait for requests before it, and requests after it wait for the change", async () => {
      const before = await changed(async () => {});
      for (const one of [plan, pairs]) {
        await using engine = await start();
        const expected = await changed(async (fresh) => {
          const trained = await trainPlanned(fresh, one);
          if (trained.adapter !== null) mergeAdapter(fresh, trained.adapter);
        });
        assert.notDeepEqual(expected, before);
        const request = { promptIds, maxNewTokens: 12 };
        const early = engine.generate([request, request]);
        const training = engine.trainModel(one);
        const late = engine.generate([request]);
        const cancelled = engine.submit(request);
        cancelled.cancel();
        assert.deepEqual(
          (await early).map(({ logprobs }) => logprobs),
          [before, before],
        );
        const [answer] = await late;
        assert.equal((await training).lossCurve.length, one.updates.length);
        assert.deepEqual(answer!.logprobs, expected);
        await assert.rejects(cancelled.result, { code: "stopped" });
        assert.equal((await engine.stats()).numRunning, 0);
      }
    });

    test("puts kept weights back, saves what it has, and names it as the loader will", async () => {
      await using engine = await start();
      const untouched = await engine.digestWeights();
      const merged = await changed(async (fresh) => mergeAdapter(fresh, adapter!, 0.5));
      const directory = `${process.env["TMPDIR"] ?? "/tmp"}/selkie-engine-${process.pid}-${where.replaceAll(" ", "-")}`;
      try {
        await withWeightsKept(engine, async () => {
          await engine.mergeAdapter(adapter!, 0.5);
          assert.notEqual(await engine.digestWeights(), untouched);
          const [answer] = await engine.generate([{ promptIds, maxNewTokens: 12 }]);
          assert.deepEqual(answer!.logprobs, merged);
          const digest = await engine.save(directory);
          await using saved = await openEngine(directory);
          assert.equal(saved.model.digest, digest);
          assert.equal(await saved.digestWeights(), await engine.digestWeights());
        });
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
      assert.equal(await engine.digestWeights(), untouched);
      await assert.rejects(engine.restoreWeights(7), { code: "unknown-name" });
    });

    test("says that a training diverged, and goes on with the weights that were kept", async () => {
      await using engine = await start();
      const untouched = await engine.digestWeights();
      const wild = { ...plan, learningRate: 1e30, updates: Array(4).fill({ documents: [0, 1, 2] }) };
      await withWeightsKept(engine, () => assert.rejects(engine.trainModel(wild), { code: "diverged" }));
      assert.equal(await engine.digestWeights(), untouched);
    });

    test("refuses what it cannot do before it changes anything, by name", async () => {
      await using engine = await start();
      const untouched = await engine.digestWeights();
      const wanted = pairs.updates[0]!.objective! as Extract<PlannedObjective, { kind: "preference" }>;
      const withObjective = (objective: PlannedObjective): TrainingPlan => ({
        ...plan,
        updates: [...plan.updates, { documents: [0, 1], objective }],
      });
      const bad: readonly [TrainingPlan, RegExp][] = [
        [{ ...plan, learningRate: -1 }, /learning rate: expected a number of at least 0, got -1/],
        [
          { ...plan, updates: [...plan.updates, { documents: [3] }] },
          /update 2: expected indices of 3 documents, got 3/,
        ],
        [withObjective({ kind: "weighted", weights: [1] }), /update 2: expected 2 weights, one per document, got 1/],
        [withObjective({ ...wanted, sizes: [1] }), /an even number of examples/],
        [withObjective({ ...wanted, sizes: [1, 0] }), /sizes of at least 1, got 1, 0/],
        [withObjective({ ...wanted, sizes: [2, 2] }), /add up to at most 2 documents, got 4/],
        [withObjective({ ...wanted, referenceLogprobs: [-1] }), /2 log-probabilities of the reference/],
        [withObjective({ ...wanted, beta: 0 }), /a beta above 0, got 0/],
      ];
      for (const [one, message] of bad) await assert.rejects(engine.trainModel(one), { code: "bad-input", message });
      assert.equal(await engine.digestWeights(), untouched);
      const { maxSeqLen, vocabSize } = engine.model;
      for (const tokenIds of [[], Array(maxSeqLen + 1).fill(5), [vocabSize]]) {
        await assert.rejects(engine.divergence([{ tokenIds }]), { code: "bad-input" });
        await assert.rejects(engine.predict([{ tokenIds }]), { code: "bad-input" });
        await assert.rejects(engine.embed([{ tokenIds }]), { code: "bad-input" });
      }
      const taught = [{ tokenIds: documents[0]!.tokenIds, prefix: [] }];
      await assert.rejects(engine.softTargets(taught, { topK: 0 }), { code: "bad-option", message: /got topK 0/ });
    });

    test("ends its trainings when it is closed", async () => {
      const engine = await start();
      const jobs = [{ id: "long", documents, lora, learningRate: 1e-3, epochs: 10_000 }];
      const training = engine.trainAdapters({ jobs, seed: 1 });
      const ended = assert.rejects(training);
      await engine[Symbol.asyncDispose]();
      await ended;
      await assert.rejects(engine.meanLoss(documents), { code: "engine-closed" });
      await assert.rejects(engine.addAdapter(adapter!), { code: "engine-closed" });
      await assert.rejects(engine.score([{ tokenIds: promptIds, adapter: "gone" }]), { code: "engine-closed" });
    });
  });

describe("an engine with quantised weights", () => {
  test("names them whole, and refuses at once to merge into them", async () => {
    await using engine = await loadEngine(shippedModelDirectory, { weights: "int8" });
    await using four = await loadEngine(shippedModelDirectory, { weights: "nf4" });
    assert.notEqual(await engine.digestWeights(), await four.digestWeights());
    const refusal = { code: "bad-option", message: /in int8, and weights that are bf16 or quantised would lose/ };
    let numUpdates = 0;
    await assert.rejects(engine.trainModel(pairs, { onProgress: () => numUpdates++ }), refusal);
    assert.equal(numUpdates, 0);
    await assert.rejects(engine.mergeAdapter(adapter!), refusal);
  });
});

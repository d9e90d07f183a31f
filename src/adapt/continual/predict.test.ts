import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadTinyPolicy, writeTinyPolicy } from "../../../test/support/tiny-policy.ts";
import { createEngine } from "../../engine/index.ts";
import { scoreTokens } from "../../generate/index.ts";
import { bankOf } from "../../nn/index.ts";
import { trainAdapters } from "../../train/index.ts";
import { completeTexts, meanKl, predictLogprobs } from "./predict.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-predict-"));
const checkpoint = await loadTinyPolicy(await writeTinyPolicy(folder));
const { lm } = checkpoint;
const engine = await createEngine(checkpoint);
after(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const probes = [
  [1, 2, 3, 4],
  [5, 6],
];

describe("log-probabilities of probes", () => {
  test("rows sum to one and agree with those of given tokens, with and without an adapter", async () => {
    const job = { id: "a", documents: [{ tokenIds: [1, 2, 3] }], learningRate: 0.1, epochs: 5 };
    const lora = { loraRank: 2, loraAlpha: 4, targets: "all" as const };
    const [other, own] = await trainAdapters({
      lm,
      jobs: [
        { ...job, id: "other", lora },
        { ...job, lora },
      ],
      seed: 0,
    });
    using bank = bankOf(lm.backend, lm.linearLayers, [other!.adapter, own!.adapter]);
    await engine.addAdapter(other!.adapter, "other");
    await engine.addAdapter(own!.adapter, "own");
    for (const adapter of [null, "own"]) {
      const found = await predictLogprobs(engine, probes, adapter);
      const requests = probes.map((tokenIds) => ({ tokenIds, adapterIndex: adapter === null ? null : 1 }));
      const scored = await scoreTokens(lm, requests, { bank });
      probes.forEach((tokenIds, index) => {
        assert.equal(found[index]!.length, tokenIds.length * lm.vocabSize);
        tokenIds.forEach((_, at) => {
          const row = found[index]!.subarray(at * lm.vocabSize, (at + 1) * lm.vocabSize);
          assert.ok(Math.abs(row.reduce((total, logprob) => total + Math.exp(logprob), 0) - 1) < 1e-5);
          if (at + 1 < tokenIds.length)
            assert.ok(Math.abs(row[tokenIds[at + 1]!]! - scored[index]![at]!) < 1e-5, "scoreTokens agrees");
        });
      });
    }
  });
});

describe("completions", () => {
  test("a line ends at its end, a seed names a sample, and neither depends on its neighbours", async () => {
    const ask = (seed: string | null, isLine: boolean) => ({
      prompt: "Ann Marlow was",
      maxNewTokens: 12,
      seed,
      isLine,
    });
    const requests = [ask(null, false), ask("a", false), ask("b", false), ask(null, true)];
    const texts = await completeTexts(engine, requests);
    assert.deepEqual(await completeTexts(engine, requests.slice(1, 2)), [texts[1]]);
    assert.notEqual(texts[1], texts[2]);
    assert.equal(texts[3]!.split("\n")[0], texts[0]!.split("\n")[0]);
    assert.ok(!texts[3]!.trimEnd().includes("\n"));
  });
});

describe("divergence", () => {
  const logs = (...probs: number[]): Float32Array => Float32Array.from(probs, Math.log);

  test("by hand, and 0 of a model from itself", () => {
    const base = [logs(0.5, 0.5), logs(0.9, 0.1, 0.25, 0.75)];
    const present = [logs(0.25, 0.75), logs(0.9, 0.1, 0.5, 0.5)];
    const first = 0.5 * Math.log(2) + 0.5 * Math.log(0.5 / 0.75);
    const third = 0.25 * Math.log(0.5) + 0.75 * Math.log(1.5);
    assert.ok(Math.abs(meanKl(base, present, 2) - (first + third) / 3) < 1e-6);
    assert.equal(meanKl(base, base, 2), 0);
    assert.equal(meanKl([], [], 2), 0);
    assert.throws(() => meanKl(base, present.slice(1), 2), /meanKl/);
  });
});

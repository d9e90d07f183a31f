/** @file The reference's loop and the time of a round, on a tiny random model: what padding adds is counted and scored apart. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../test/support/tiny-policy.ts";
import {
  applyLearnSettings,
  defaultLearnSettings,
  defaultTemplates,
  type StageStore,
  uniformSchedule,
} from "../adapt/index.ts";
import { jobOf, loopVariants } from "./reference-loop.ts";
import { runRoundTime } from "./round-time.ts";
import { tabulateRoundTime } from "./round-time-tables.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-round-time-"));
after(() => rmSync(folder, { recursive: true }));
const modelDirectory = await writeTinyPolicy(folder);
const settings = applyLearnSettings(
  { ...defaultLearnSettings, numEdits: 2, schedule: uniformSchedule(2, 1) },
  {
    innerLoop: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1 },
    update: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1, documentsPerStep: 1 },
    numReplay: 2,
    groupSize: 4,
  },
  "test",
);
const variants = loopVariants(settings.innerLoop);

test("the loss of a padded document is the mean over all its tokens, padding included", async () => {
  await using engine = await openTinyPolicy(modelDirectory);
  const { model, tokenizer } = engine;
  const context = { engine, templates: defaultTemplates };
  const trial = { id: "trial", documents: ["Ann Marlow was born in Dover."], items: [] };
  const losses = [];
  for (const variant of [variants.ours, variants.padded, variants.reference]) {
    const [result] = await engine.trainAdapters({
      seed: 1,
      jobs: [jobOf(context, settings.innerLoop, variant, trial)],
    });
    losses.push(result!.lossCurve[0]!);
    assert.equal(
      result!.numTokens,
      variant.isPadded ? model.maxSeqLen - 1 : tokenizer.encode(trial.documents[0]!).length,
    );
  }
  const own = [...tokenizer.encode(trial.documents[0]!), tokenizer.eosTokenId];
  const ids = [...own, ...Array.from({ length: model.maxSeqLen - own.length }, () => tokenizer.eosTokenId)];
  const [logprobs] = await engine.score([{ tokenIds: ids }]);
  const meanLoss = (count: number) => -logprobs!.slice(0, count).reduce((total, value) => total + value, 0) / count;
  assert.ok(Math.abs(losses[0]! - meanLoss(own.length - 1)) < 1e-4, `${losses[0]} for ${meanLoss(own.length - 1)}`);
  assert.ok(Math.abs(losses[1]! - meanLoss(ids.length - 1)) < 1e-4, `${losses[1]} for ${meanLoss(ids.length - 1)}`);
  assert.equal(losses[2], losses[1], "before the first update the adapters' shape makes no difference");
});

test("every way runs the same trials; only padding adds tokens; what was timed is not timed again", async () => {
  const values = new Map<string, string>();
  const store: StageStore = {
    read: async (name) => (values.has(name) ? JSON.parse(values.get(name)!) : null),
    write: async (name, value) => {
      assert.ok(!values.has(name), `${name} is not done twice`);
      values.set(name, JSON.stringify(value));
    },
  };
  let time = 0;
  const args = {
    ...{ modelDirectory, open: openTinyPolicy, templates: defaultTemplates, settings, seed: 1, store },
    canaries: { items: [], hasGold: true },
    passages: tinyPassages(2),
    heldOut: tinyPassages(4).slice(2),
    ...{ sample: 3, repetitions: 2, clock: () => ++time },
  };
  const found = await runRoundTime(args);
  const [bank, alone, padded, attention] = found.arms;
  assert.deepEqual(
    found.arms.map(({ numTrials }) => numTrials),
    [4, 3, 3, 3],
  );
  for (const { numTokens } of bank!.times) assert.equal(numTokens, 4 * bank!.tokensPerTrial, "every trial's documents");
  assert.equal(alone!.tokensPerTrial, bank!.tokensPerTrial);
  for (const { numTokens } of [...padded!.times, ...attention!.times]) {
    assert.equal(numTokens % 255, 0, "whole sequences");
    assert.ok(numTokens > alone!.times[0]!.numTokens, "of the same trials");
  }
  assert.equal((4 * padded!.tokensPerTrial) % 255, 0);
  assert.ok(padded!.tokensPerTrial > bank!.tokensPerTrial);
  for (const { times } of found.arms)
    for (const { trainSeconds, examSeconds } of times) assert.ok(trainSeconds > 0 && examSeconds > 0);
  assert.deepEqual([found.round.numPassages, found.round.numTrials], [2, 4]);
  assert.equal(found.answers.length, 5);
  assert.equal(found.answers[0]!.numTokens, found.answers[1]!.numTokens);
  assert.ok(found.answers.every(({ scores }) => scores.length === 2));
  const [stages, clock] = [values.size, time];
  const again = await runRoundTime(args);
  assert.deepEqual(tabulateRoundTime(again, "here"), tabulateRoundTime(found, "here"));
  assert.deepEqual([values.size, time], [stages, clock]);
});

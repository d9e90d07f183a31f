/** @file Arms on a tiny random model: shared random numbers, exact budgets, resumption, and that a table pairs what belongs together. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../test/support/tiny-policy.ts";
import { defaultLearnSettings, defaultTemplates, type LearnInnerLoop, type StageStore } from "../adapt/index.ts";
import { type ArmContextArgs, createArmContext, measureArm, scoreUntrained } from "./arms.ts";
import { differenceOver, meanOver } from "./table.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-arms-"));
after(() => rmSync(folder, { recursive: true }));
const engine = await openTinyPolicy(await writeTinyPolicy(folder));
const innerLoop: LearnInnerLoop = {
  ...defaultLearnSettings.innerLoop,
  lora: { loraRank: 2, loraAlpha: 4, targets: "all" },
  learningRate: 0.05,
  epochs: 2,
};

function memoryStore(values: Map<string, string>): StageStore {
  return {
    read: async (name) => (values.has(name) ? JSON.parse(values.get(name)!) : null),
    write: async (name, value) => {
      assert.ok(!values.has(name), `${name} is not done twice`);
      values.set(name, JSON.stringify(value));
    },
  };
}

const argsWith = (store: StageStore, over: Partial<ArmContextArgs> = {}): ArmContextArgs => ({
  name: "tiny",
  engine,
  templates: defaultTemplates,
  canaries: { items: [{ question: "What is two plus two?", answer: "", title: "" }], hasGold: false },
  passages: tinyPassages(3),
  seed: 7,
  store,
  groupSize: 2,
  ...over,
});

describe("arms", () => {
  test("with equal documents score alike, with others differently; untrained is what no updates give", async () => {
    const context = await createArmContext(argsWith(memoryStore(new Map())));
    const documents = context.tasks.map(({ source }) => [source.context, `${source.id} was born there.`]);
    const one = await measureArm(context, { name: "one", innerLoop, documents });
    assert.deepEqual(await measureArm(context, { name: "again", innerLoop, documents }), one);
    const other = await measureArm(context, {
      name: "other",
      innerLoop,
      documents: documents.map((list) => list.slice(1)),
    });
    const untrained = await scoreUntrained(context);
    context.tasks.forEach((_, index) => {
      assert.equal(one[index]!.numSteps, 4, "two documents, two epochs");
      assert.notEqual(one[index]!.goldLogprob, other[index]!.goldLogprob);
      assert.notEqual(one[index]!.goldLogprob, untrained[index]!.goldLogprob);
    });
    const idle = await measureArm(context, { name: "idle", innerLoop: { ...innerLoop, epochs: 0 }, documents });
    idle.forEach(({ goldLogprob, numTokens }, index) => {
      assert.ok(Math.abs(goldLogprob - untrained[index]!.goldLogprob) < 1e-5);
      assert.equal(numTokens, 0);
    });
  });

  test("train for exactly as many updates as asked, whatever the epochs, as adapters and as whole models", async () => {
    const context = await createArmContext(argsWith(memoryStore(new Map())));
    const documents = context.tasks.map(({ source }) => [source.context, `${source.id} was born there.`]);
    const numSteps = [1, 5, 8];
    for (const method of ["lora", "full"] as const) {
      const loop = { ...innerLoop, method, learningRate: 1e-3 };
      const scores = await measureArm(context, { name: method, innerLoop: loop, documents, numSteps });
      assert.deepEqual(
        scores.map((score) => score.numSteps),
        numSteps,
      );
      const lengths = documents.map((list) => list.map((text) => engine.tokenizer.encode(text).length));
      const all = lengths[2]!.reduce((total, length) => total + length, 0);
      assert.equal(scores[2]!.numTokens % all, 0, "eight updates of two documents are four epochs");
    }
  });

  test("after a kill only what is missing is trained, and all comes out the same", async () => {
    const documents = tinyPassages(3).map(({ context }) => [context]);
    const whole = await createArmContext(argsWith(memoryStore(new Map())));
    const scores = await measureArm(whole, { name: "arm", innerLoop, documents });
    const values = new Map<string, string>();
    const context = await createArmContext(argsWith(memoryStore(values)));
    await measureArm({ ...context, tasks: context.tasks.slice(0, 2) }, { name: "arm", innerLoop, documents });
    const before = values.size;
    const resumed = await createArmContext(argsWith(memoryStore(values)));
    assert.deepEqual(await measureArm(resumed, { name: "arm", innerLoop, documents }), scores);
    assert.equal(values.size, before + 1, "one group of two was there");
  });
});

describe("tables over seeds", () => {
  test("a difference is paired seed by seed and passage by passage", () => {
    const reference = [
      [0.1, 0.9, 0.4],
      [0.3, 0.5, 0.2],
    ];
    const better = reference.map((row) => row.map((value) => value + 0.25));
    const { mean, low, high } = differenceOver(better, reference, "x");
    for (const value of [mean, low, high]) assert.ok(Math.abs(value - 0.25) < 1e-12, "the same for every pair");
    assert.ok(Math.abs(meanOver(reference, "x").mean - 0.4) < 1e-12);
    assert.throws(() => differenceOver(better, [reference[0]!], "x"), /differenceOver/);
    assert.throws(() => differenceOver(better, [[1], [2]], "x"), /differenceOver/);
  });
});

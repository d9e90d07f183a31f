/** @file Levers and groups of passages on a tiny random model: what is equal scores alike, what is joined holds its parts. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../test/support/tiny-policy.ts";
import { defaultTemplates, type LearnInnerLoop, mlpTargets, type SelfEdit, type StageStore } from "../adapt/index.ts";
import { createArmContext, measureArm } from "./arms.ts";
import { documentsOf, type EditContext, hasOracle, rawDocuments, writeEdits } from "./edits.ts";
import { leverDocuments, runInnerLoop, tabulateInnerLoop } from "./inner-loop.ts";
import { levers, referenceLever, referenceLoop } from "./levers.ts";
import { runManyPassages, tabulateManyPassages } from "./many-passages.ts";
import { measureTogether } from "./together.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-levers-"));
after(() => rmSync(folder, { recursive: true }));
const engine = await openTinyPolicy(await writeTinyPolicy(folder));

function memoryStore(): StageStore {
  const values = new Map<string, string>();
  return {
    read: async (name) => (values.has(name) ? JSON.parse(values.get(name)!) : null),
    write: async (name, value) => {
      assert.ok(!values.has(name), `${name} is not done twice`);
      values.set(name, JSON.stringify(value));
    },
  };
}

const openRoom = (count = 3): Promise<EditContext> =>
  createArmContext({
    ...{ name: "tiny", engine, templates: defaultTemplates, passages: tinyPassages(count), seed: 3 },
    canaries: { items: [{ question: "What is two plus two?", answer: "", title: "" }], hasGold: false },
    ...{ store: memoryStore(), numReplay: 2 },
  });

/** Short edits, so that the tests are. */
const editsOf = ({ tasks }: EditContext, count = 5) =>
  tasks.map(({ source }) => Array.from({ length: count }, (_, n) => edit(`${source.id} is ${n}.\nIt is so.`)));
const edit = (text: string, kind: SelfEdit["kind"] = "implications"): SelfEdit => ({ kind, text });

describe("documents of edits", () => {
  test("a union holds the documents of its first edit and the passage once; one document holds the whole edit", async () => {
    const context = await openRoom();
    const edits = editsOf(context, 3);
    const union = levers.find(({ numEdits }) => numEdits === 2)!;
    for (const seed of [0, 2]) {
      const one = leverDocuments(context, edits, referenceLever, seed);
      const two = leverDocuments(context, edits, union, seed);
      context.tasks.forEach(({ source }, passage) => {
        assert.deepEqual(one[passage], [`${source.id} is ${seed}.`, "It is so.", source.context]);
        for (const text of one[passage]!) assert.ok(two[passage]!.includes(text));
        assert.deepEqual(new Set(two[passage]).size, 4, "two lines told once each, one told twice, the passage");
        assert.ok(two[passage]!.includes(`${source.id} is ${(seed + 1) % 3}.`));
      });
    }
    const whole = documentsOf(context, edits, "whole");
    assert.deepEqual(whole[0]!.slice(0, 2), [edits[0]![0]!.text, context.tasks[0]!.source.context]);
  });

  test("nothing that the exam asks is left, in lines or in one piece", async () => {
    const context = await openRoom();
    const { question } = context.tasks[1]!.exam.report[0]!;
    const edits = context.tasks.map(() => [edit(`She kept a cat.\n${question}`)]);
    for (const splitting of ["lines", "whole"] as const)
      for (const texts of documentsOf(context, edits, splitting)) {
        assert.ok(texts.some((text) => text.includes("She kept a cat.")));
        for (const text of texts) assert.ok(!text.includes(question), text);
      }
  });

  test("edit e is the same however many are written, and people of no Almanac have no oracle", async () => {
    const context = await openRoom();
    const two = await writeEdits(context, context, "two", 2);
    const three = await writeEdits(context, context, "three", 3);
    assert.deepEqual(
      three.map((list) => list.slice(0, 2)),
      two,
    );
    assert.equal(hasOracle(context), false);
  });
});

/** Levers that are unlike each other. */
const sorts = /SEAL|rank 4|rate × 2|one update$|at most 20|25 %|distillation|whole|full/;

describe("levers", () => {
  test("one of every sort changes what is learned, and the reference under another name changes nothing", async () => {
    const context = await openRoom(2);
    const again = { ...referenceLever, name: "again" };
    const tried = levers.filter(({ name }) => sorts.test(name));
    assert.equal(tried.length, 10);
    const writers = { someone: editsOf(context) };
    const figures = await runInnerLoop({
      context,
      writers,
      numSeeds: 1,
      numSlowPassages: 1,
      levers: [again, ...tried],
    });
    const [reference, same, ...rows] = figures.rows;
    assert.deepEqual({ ...same, lever: reference!.lever }, reference);
    assert.deepEqual(
      rows.map(({ lever }) => lever),
      tried.map(({ name }) => name),
    );
    for (const [index, row] of rows.entries()) {
      const { isSlow, innerLoop } = tried[index]!;
      assert.equal(row.accuracy[0]!.length, isSlow ? 1 : 2);
      const isWithinBudget = innerLoop.maxSteps !== null && row.numSteps === reference!.numSteps;
      const isEqual = isDeepStrictEqual(row.goldLogprob[0], reference!.goldLogprob[0]!.slice(0, isSlow ? 1 : 2));
      assert.equal(isEqual, isWithinBudget, row.lever);
    }
    const [table] = tabulateInnerLoop(figures);
    assert.deepEqual(table!.rows[1]!.cells[1], { mean: 0, low: 0, high: 0 });
  });

  test("change what their names say and nothing else", () => {
    const byName = new Map(levers.map(({ name, innerLoop }) => [name, innerLoop]));
    assert.equal(byName.size, levers.length);
    assert.deepEqual(byName.get("rank 4")!.lora, { loraRank: 4, loraAlpha: 8, targets: mlpTargets });
    assert.equal(byName.get("learning rate × 2")!.learningRate, 2 * referenceLoop.learningRate);
    assert.deepEqual({ ...byName.get("20 epochs")!, epochs: referenceLoop.epochs }, referenceLoop);
  });
});

const loops: Readonly<Record<string, LearnInnerLoop>> = {
  LoRA: { ...referenceLoop, lora: { loraRank: 2, loraAlpha: 4, targets: "all" }, epochs: 2, learningRate: 0.05 },
  "full, replay": { ...referenceLoop, method: "full", epochs: 2, learningRate: 1e-3, replayShare: 0.5 },
};

describe("passages learned together", () => {
  test("one passage alone scores as an arm of one passage does, with adapters and with whole models", async () => {
    const context = await openRoom();
    const documents = rawDocuments(context).map((texts, index) => [...texts, `Line ${index}.`]);
    for (const [name, innerLoop] of Object.entries(loops)) {
      const alone = await measureArm(context, { name, innerLoop, documents });
      const passageGroups = [0, 1, 2].map((member) => ({ seed: context.seed, members: [member], documents }));
      const together = await measureTogether(context, { name: `together ${name}`, innerLoop, passageGroups });
      assert.deepEqual(together.flat(), alone);
    }
  });

  test("a group trains on the documents of all its members, told once, and each member answers for itself", async () => {
    const context = await openRoom();
    const documents = context.tasks.map(({ source }) => ["Shared.", source.context]);
    const innerLoop = loops.LoRA!;
    const [pair, turned, lone] = await measureTogether(context, {
      ...{ name: "groups", innerLoop },
      passageGroups: [[0, 2], [2, 0], [2]].map((members) => ({ seed: "s", members, documents })),
    });
    assert.equal(pair![0]!.numDocuments, 3);
    assert.equal(pair![0]!.numSteps, 6);
    assert.notEqual(pair![1]!.goldLogprob, lone![0]!.goldLogprob, "company changes what is learned");
    assert.notEqual(pair![0]!.goldLogprob, pair![1]!.goldLogprob);
    assert.equal(turned!.length, 2);
    const distilled = { ...innerLoop, distillation: { topK: 4, context: "{passage}" } };
    assert.throws(
      () => measureTogether(context, { name: "x", innerLoop: distilled, passageGroups: [] }),
      /distillation/,
    );
  });

  test("the experiment holds every passage once per seed, and goes on where it stopped with the same rows", async () => {
    const base = await openRoom(2);
    const policy: EditContext = { ...base, store: memoryStore() };
    const edits = { untrained: editsOf(base), trained: editsOf(base) };
    const args = { base, policy, edits, counts: [2], numSeeds: 2, ways: loops };
    const rows = await runManyPassages(args);
    assert.deepEqual(await runManyPassages(args), rows, "all from the store, where nothing may be written twice");
    for (const { accuracy } of rows)
      assert.deepEqual(
        accuracy.map((row) => row.length),
        [2, 2],
      );
    const find = (count: number, writer: RegExp, way: string) =>
      rows.find((row) => row.count === count && writer.test(row.writer) && row.way === way)!;
    const untrained = find(2, /untrained policy$/, "LoRA");
    const trained = find(2, /trained policy$/, "LoRA");
    const itself = find(2, /the policy itself$/, "LoRA");
    assert.deepEqual(trained.numTokens, itself.numTokens, "the same documents");
    assert.equal(untrained.numTokens, trained.numTokens, "here the trained policy is the untrained one");
    assert.deepEqual(
      tabulateManyPassages(rows).map(({ title }) => title),
      ["2 passages learned at once"],
    );
    await assert.rejects(runManyPassages({ ...args, counts: [3] }), /at most 2 passages/);
  });
});

/** @file Examinations of adapters whose effect is known: none at all, and one that says the same token always. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createTinyModel } from "../../../test/support/tiny-model.ts";
import { createEngine, withAdapter } from "../../engine/index.ts";
import type { Checkpoint } from "../../models/index.ts";
import { type LoraAdapter, LoraBank } from "../../nn/index.ts";
import { createRng } from "../../util/index.ts";
import { type Canaries, parseCanaries } from "../canaries.ts";
import { examine } from "../exam.ts";
import { defaultTemplates } from "../prompts.ts";
import { createExaminer, examinePolicy, scaleAdapter } from "./measure.ts";

const createCheckpoint = () =>
  createTinyModel({
    name: "gate",
    texts: ["Where is Ann? Ann is in Dover."],
    vocabSize: 270,
    config: { maxSeqLen: 160 },
    hasEnd: false,
  });

function adapterOf({ lm }: Checkpoint, size: number): LoraAdapter {
  const rng = createRng("adapter");
  using bank = new LoraBank(lm.backend, lm.linearLayers, [{ loraRank: 2, loraAlpha: 2, targets: "all" }]);
  bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => size * rng.normal()));
  return bank.extract(0);
}

/** The model repeats the end of its prompt; here that is a word, which can be graded. */
const templates = { ...defaultTemplates, question: "{question} Ann" };

const lines = ["Where is Ann?", "Who is in Dover?", "Is Ann in Dover?"].map((question, index) =>
  JSON.stringify({ question, ...(index === 0 && { critical: true }) }),
);
const canaries = parseCanaries(lines.join("\n"));

describe("the examiner", () => {
  test("finds no gain, no harm and no divergence in an adapter without effect", async () => {
    const checkpoint = createCheckpoint();
    const engine = await createEngine(checkpoint);
    const context = { engine, templates };
    const item = { question: "Where is she?", answer: "x", title: "" };
    const [answers] = await examine(context, [{ adapter: null, items: [item] }]);
    const questions = [{ ...item, answer: answers![0]!.prediction }, item]; // the base is right about the first alone
    const args = { ...context, adapter: adapterOf(checkpoint, 0), questions, canaries, rng: createRng(1) };
    const measured = await (await createExaminer(args))(1);
    assert.deepEqual(measured, {
      scale: 1,
      numQuestions: 2,
      before: 0.5,
      after: 0.5,
      gain: { mean: 0, low: 0, high: 0 },
      numKnown: 3,
      numKept: 3,
      keptLow: measured.keptLow,
      broken: [],
      criticalBroken: [],
      klNats: 0,
      numKlTokens: measured.numKlTokens,
    });
    assert.ok(measured.numKlTokens > 3, "of each canary's prompt at least one");
    assert.ok(Math.abs(measured.keptLow! - 1 / (1 + 2.705543 / 3)) < 1e-6);
    assert.equal((await engine.stats()).numAdapters, 0);
    await engine[Symbol.asyncDispose]();
    assert.equal(checkpoint.lm.backend.memory().liveTensors, 0, "nothing leaks");
  });

  test("without canaries the divergence is of no token, and no number", async () => {
    const checkpoint = createCheckpoint();
    const args = { engine: await createEngine(checkpoint), templates, questions: [], rng: createRng(1) };
    const none: Canaries = { items: [], hasGold: true };
    const measured = await (await createExaminer({ ...args, adapter: adapterOf(checkpoint, 0), canaries: none }))(1);
    assert.deepEqual(
      [measured.numKnown, measured.keptLow, measured.numKlTokens, measured.klNats],
      [0, null, 0, Number.NaN],
    );
  });

  test("finds broken canaries, critical ones by name, and less divergence at a smaller scale", async () => {
    const checkpoint = createCheckpoint();
    const engine = await createEngine(checkpoint);
    const context = { engine, templates };
    const args = { ...context, adapter: adapterOf(checkpoint, 1), questions: [], canaries, rng: createRng(1) };
    const measure = await createExaminer(args);
    const [whole, tenth] = [await measure(1), await measure(0.1)];
    assert.equal(whole.numKept + whole.broken.length, 3);
    assert.deepEqual(whole.criticalBroken, whole.broken.includes("Where is Ann?") ? ["Where is Ann?"] : []);
    assert.ok(
      whole.broken.length > 0 && whole.klNats > tenth.klNats && tenth.klNats > 0,
      JSON.stringify([whole, tenth]),
    );
    assert.deepEqual([whole.before, whole.gain], [null, null]);
  });

  test("finds what an adapter served so far answers right, and what of it the candidate loses", async () => {
    const checkpoint = createCheckpoint();
    const engine = await createEngine(checkpoint);
    const context = { engine, templates };
    const [servedAdapter, candidate] = [adapterOf(checkpoint, 0), adapterOf(checkpoint, 1)];
    const plain = ["Where is she?", "Who is there?", "Is Ann here?"].map((question) => ({ question, title: "" }));
    const answersOf = async (adapter: LoraAdapter): Promise<string[]> => {
      const items = plain.map((item) => ({ ...item, answer: "x" }));
      const [answers] = await withAdapter(engine, adapter, (id) => examine(context, [{ adapter: id, items }]));
      return answers!.map(({ prediction }) => prediction);
    };
    const [right, other] = [await answersOf(servedAdapter), await answersOf(candidate)];
    const lost = plain.filter((_, index) => right[index] !== other[index]).map(({ question }) => question);
    assert.ok(lost.length > 0, "the candidate answers otherwise");
    // the last question has a wrong answer in the exam: what the served adapter gets wrong cannot be lost
    const questions = plain.map((item, index) => ({ ...item, answer: index === 2 ? "nonsense" : right[index]! }));
    const served = { record: "r", adapter: servedAdapter, questions };
    const args = { ...context, questions: [], canaries, served, rng: createRng(1) };
    const measured = await (await createExaminer({ ...args, adapter: candidate }))(1);
    assert.deepEqual(measured.served, {
      record: "r",
      numRight: 2,
      lost: lost.filter((name) => name !== "Is Ann here?"),
    });
    const same = await (await createExaminer({ ...args, adapter: servedAdapter }))(1);
    assert.deepEqual(same.served, { record: "r", numRight: 2, lost: [] });
    const alone = await (await createExaminer({ ...args, adapter: candidate, served: null }))(1);
    assert.ok(!("served" in alone));
  });

  test("compares a policy with its base: the same weights do no harm, others break canaries and drift", async () => {
    const [base, same, other] = [createCheckpoint(), createCheckpoint(), createCheckpoint()];
    const flat = other.lm.parameters.flat;
    const rng = createRng("policy");
    flat.write(flat.readSync().map((value) => value + 0.3 * rng.normal()));
    const heldOut = { numPassages: 4, before: 0.2, after: 0.4, gain: { mean: 0.2, low: 0.1, high: 0.3 } };
    const compare = async (policy: Checkpoint, gain: typeof heldOut | null) =>
      examinePolicy({
        base: { engine: await createEngine(base), templates },
        policy: { engine: await createEngine(policy), templates },
        canaries,
        heldOut: gain,
      });
    const unchanged = await compare(same, heldOut);
    assert.deepEqual([unchanged.klNats, unchanged.numKept, unchanged.broken], [0, 3, []]);
    assert.deepEqual([unchanged.before, unchanged.after, unchanged.gain], [0.2, 0.4, heldOut.gain]);
    const changed = await compare(other, null);
    assert.ok(changed.klNats > 0.01 && changed.broken.length > 0, JSON.stringify(changed));
    assert.deepEqual([changed.gain, changed.numQuestions], [null, 0]);
  });

  test("scales an adapter by its alpha alone", () => {
    const adapter = adapterOf(createCheckpoint(), 1);
    assert.deepEqual(scaleAdapter(adapter, 0.25), { ...adapter, loraAlpha: 0.5 });
  });
});

describe("canaries", () => {
  test("without answers count as kept when unchanged; critical ones are marked", () => {
    assert.equal(canaries.hasGold, false);
    assert.deepEqual([...canaries.critical!], ["Where is Ann?"]);
    assert.equal(parseCanaries('{"question":"Who?","answer":"Ann"}\n').hasGold, true);
  });
  test("that are no canaries are refused with their line", () => {
    assert.throws(() => parseCanaries('{"question":"Who?"}\n{"q":1}\n'), { code: "bad-file", message: /line 2/ });
  });
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadTinyPolicy, tinyPassages, writeTinyPolicy } from "../../../test/support/tiny-policy.ts";
import { createEngine } from "../../engine/index.ts";
import { almanacTemplates } from "../almanac-templates.ts";
import { adaptedSystem, questionIn } from "./adapted.ts";
import { bankMethod, describeRouting, RoutedEdits, trainAlone } from "./bank.ts";
import { lastBlocksMethod } from "./chosen-blocks.ts";
import { elasticMethod } from "./ewc.ts";
import type { ContinualMethod, Learner, StreamContext, StreamItem } from "./method.ts";
import { orthogonalMethod } from "./orthogonal.ts";
import { predictLogprobs } from "./predict.ts";
import { ofLastBlocks, type SleepOptions, sleepMethod } from "./sleep.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-continual-"));
const checkpoint = await loadTinyPolicy(await writeTinyPolicy(folder));
const { lm } = checkpoint;
const engine = await createEngine(checkpoint);
after(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const items: readonly StreamItem[] = tinyPassages(4).map((source) => {
  const exam = source.questions.map(({ question, answer }) => ({ question, answer, title: "" }));
  const documents = [source.context, `Question: Where was ${source.id} born?\nAnswer: ${source.questions[0]!.answer}`];
  return { source, exam: { source: "given", selection: exam.slice(0, 1), report: exam.slice(1) }, documents };
});
const strangers = [{ question: "Where was Zoe Quill born?", answer: "Holm", title: "" }];
const context: StreamContext = {
  engine,
  templates: almanacTemplates,
  innerLoop: {
    lora: { loraRank: 2, loraAlpha: 4, targets: "all" },
    learningRate: 0.02,
    epochs: 6,
    documentsPerStep: 1,
  },
  replay: ["Ada Quill was born in Ryde.", "Max Lane was born in Deal. He kept a cat."],
  canaries: strangers,
  numPassages: 4,
  seed: "tiny-stream",
};
const before = Float32Array.from(lm.parameters.flat.readSync());

/** Learns the first `count` passages, looks, and puts the model back. */
async function learnStream<T>(
  method: ContinualMethod,
  count: number,
  look: (learner: Learner) => Promise<T>,
): Promise<{ readonly seen: T; readonly notes: readonly (string | undefined)[] }> {
  try {
    using learner = await method.begin(context);
    const notes: (string | undefined)[] = [];
    for (let step = 0; step < count; step++) notes.push((await learner.learn(items[step]!, step)).note);
    return { seen: await look(learner), notes };
  } finally {
    lm.parameters.thaw();
    lm.parameters.flat.write(before);
  }
}

const asked = items.flatMap(({ exam }) => exam.report);
const goldOf = async (learner: Pick<Learner, "answer">): Promise<number[]> =>
  (await learner.answer([...asked, ...strangers])).map(({ goldLogprob }) => goldLogprob);
const base = await goldOf(adaptedSystem(context, () => null));
const gap = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, index) => Math.abs(value - b[index]!)));

test("a question is read out of its prompt, with or without an answer", () => {
  assert.equal(questionIn(almanacTemplates, "Question: Where was Ann born?\nAnswer: Dover"), "Where was Ann born?");
  assert.equal(questionIn(almanacTemplates, "Ann was born in Dover."), "Ann was born in Dover.");
});

test("answers of many adapters and of the base come back in the order of the questions", async () => {
  const adapters = await Promise.all(items.map(async (item, step) => (await trainAlone(context, item, step)).adapter));
  const of = (question: string) => adapters[items.findIndex(({ source }) => question.includes(source.id))] ?? null;
  const mixed = [asked[2]!, strangers[0]!, asked[0]!, asked[2]!, asked[3]!];
  const together = await adaptedSystem(context, of).answer(mixed);
  for (const [index, item] of mixed.entries()) {
    const [alone] = await adaptedSystem(context, () => of(item.question)).answer([item]);
    assert.equal(together[index]!.prediction, alone!.prediction);
    assert.ok(Math.abs(together[index]!.goldLogprob - alone!.goldLogprob) < 1e-4);
  }
});

test("the bank changes what it has learned and nothing else, to the bit, however much follows", async () => {
  const { seen: first } = await learnStream(bankMethod, 1, goldOf);
  const { seen: last, notes } = await learnStream(bankMethod, 4, goldOf);
  assert.ok(Math.abs(first[0]! - base[0]!) > 0.1, "the first passage changes its answers");
  assert.deepEqual(first.slice(1), base.slice(1));
  assert.ok(Math.abs(last[0]! - first[0]!) < 1e-5, "and keeps them");
  assert.equal(last.at(-1), base.at(-1));
  assert.deepEqual(notes, Array(4).fill("routing 100 % right"));
});

test("the bank's predictions and completions are the base's for a text about nobody it knows", async () => {
  const encode = (text: string) => engine.tokenizer.encode(text);
  const probes = ["Question: Where was Ann Marlow born?\nAnswer: Dover", "Ivy sang in Veld.", "a"].map(encode);
  const bare = await predictLogprobs(engine, probes);
  const request = (prompt: string) => ({ prompt, maxNewTokens: 4, seed: null, isLine: false });
  const prompts = ["Question: Where was Ann Marlow born?\nAnswer:", "She kept"].map(request);
  const { seen } = await learnStream(bankMethod, 2, async (learner) => ({
    present: await learner.logprobs(probes),
    texts: await learner.complete!(prompts),
  }));
  assert.ok(gap(seen.present[0]!, bare[0]!) > 0.1);
  assert.ok(gap(seen.present[1]!, bare[1]!) < 1e-5 && gap(seen.present[2]!, bare[2]!) < 1e-5);
  const [, idle] = await adaptedSystem(context, () => null).complete(prompts);
  assert.equal(seen.texts[1], idle);
  for (const values of seen.present) {
    const total = values.subarray(0, engine.model.vocabSize).reduce((sum, value) => sum + Math.exp(value), 0);
    assert.ok(Math.abs(total - 1) < 1e-4, "log-probabilities of one position");
  }
});

test("routing is measured on what is known of each question", () => {
  const edits = new RoutedEdits();
  for (const item of items) edits.add(item, null);
  const twin = { ...items[0]!, source: { ...items[0]!.source, context: "Zoe Quill was born in Holm." } };
  edits.add({ ...twin, documents: [] }, null);
  // Ann's question finds Ann, but is the twin's too; the stranger is stored now.
  assert.deepEqual(edits.measure(strangers), { own: [4, 5], others: [0, 1] });
  assert.equal(describeRouting({ own: [4, 5], others: [0, 1] }), "routing 66 % right");
  assert.equal(describeRouting({ own: [0, 0], others: [0, 0] }), "routing: nothing asked");
});

const sleep = (options: Partial<SleepOptions>): ContinualMethod =>
  sleepMethod("sleep", "", {
    period: 2,
    loop: { ...context.innerLoop, lora: { loraRank: 4, loraAlpha: 8, targets: "all" } },
    replay: { share: 0.5, earlierShare: 0, anchor: null },
    ...options,
  });

test("sleep rebuilds every period from all that was learned; in between the newest edit has its own adapter", async () => {
  const { seen: rebuilt, notes } = await learnStream(sleep({}), 2, goldOf);
  assert.deepEqual(notes, ["routing 100 % right", "rebuild"]);
  const { seen: third, notes: more } = await learnStream(sleep({}), 3, goldOf);
  assert.deepEqual(more.slice(2), ["routing 100 % right"]);
  const { seen: bank } = await learnStream(bankMethod, 3, goldOf);
  assert.ok(gap(third.slice(0, 2), rebuilt.slice(0, 2)) < 1e-5, "the rebuilt adapter answers for the first two");
  assert.ok(Math.abs(third[2]! - bank[2]!) < 1e-5, "the third is the bank's");
  assert.ok(Math.abs(third[3]! - base[3]!) > 0.01, "others are asked of the rebuilt adapter");
  const { seen: guarded } = await learnStream(sleep({ others: "model" }), 3, goldOf);
  assert.ok(gap(guarded.slice(0, 3), third.slice(0, 3)) < 1e-5);
  assert.deepEqual(guarded.slice(3), base.slice(3));
});

test("a rebuild may be of the last blocks alone", () => {
  const lora = { loraRank: 2, loraAlpha: 4, targets: "all" } as const;
  const layers = [0, 1, 2, 3].map((block) => ({ name: `model.layers.${block}.q_proj`, inSize: 2, outSize: 2 }));
  assert.deepEqual(ofLastBlocks(lora, layers, 0.5).layers, [2, 3]);
  assert.deepEqual(ofLastBlocks(lora, layers, 0.1).layers, [3]);
  assert.deepEqual(ofLastBlocks(lora, layers, 1), lora);
  assert.throws(() => ofLastBlocks(lora, layers, 0), /expected a share of the blocks in \(0, 1\], got 0/);
});

test("a period that is no whole number of edits is refused", async () => {
  await assert.rejects(sleep({ period: 0.5 }).begin(context), {
    code: "bad-option",
    message: /sleep: expected a whole period of at least 1, got 0.5/,
  });
});

test("a rebuild depends on the passages and not on how often there was one before", async () => {
  const { seen: often } = await learnStream(sleep({ period: 1 }), 4, goldOf);
  const { seen: once } = await learnStream(sleep({ period: 4 }), 4, goldOf);
  assert.ok(gap(often, once) < 1e-5);
});

test("elastic weights: one adapter goes from edit to edit, and a huge strength leaves the model as it was", async () => {
  const held = await learnStream(elasticMethod("held", "", { strength: 1e9 }), 3, goldOf);
  const free = await learnStream(elasticMethod("free", "", { strength: 0 }), 3, goldOf);
  const moved = gap(free.seen, base);
  assert.ok(moved > 0.3, `free: ${moved}`);
  assert.ok(gap(held.seen, base) < 0.2 * moved, `held: ${gap(held.seen, base)} of ${moved}`);
  const unprotected = await learnStream(elasticMethod("no base", "", { strength: 1e9, numBaseTexts: 0 }), 1, goldOf);
  assert.ok(gap(unprotected.seen, base) > 0.1, "without texts of the base the first edit is free");
});

test("orthogonal edits and edits of chosen blocks change the weights they may", async () => {
  const merged = async (method: ContinualMethod) =>
    (
      await learnStream(method, 2, async () =>
        lm.linearLayers.map(({ name }) => Float32Array.from(lm.parameters.get(`${name}.weight`).readSync())),
      )
    ).seen;
  const plain = await merged(orthogonalMethod("plain", "", 0));
  const strong = await merged(orthogonalMethod("strong", "", 10));
  assert.ok(plain.some((weights, index) => gap(weights, strong[index]!) > 1e-3));
  const blocks = await merged(lastBlocksMethod("last", "", 1)); // the tiny policy has one block: all of it
  blocks.forEach((weights, index) => {
    assert.deepEqual(weights, plain[index]!);
  });
});

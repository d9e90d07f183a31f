import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadTinyPolicy, tinyPassages, writeTinyPolicy } from "../../../test/support/tiny-policy.ts";
import { createEngine } from "../../engine/index.ts";
import { createRng } from "../../util/index.ts";
import { defaultTemplates } from "../prompts.ts";
import type { StageStore } from "../settings.ts";
import { checkSizes } from "./checks.ts";
import { type ContinualArgs, runStreams, summariseStreams } from "./continual.ts";
import { continualMethodNamed, continualMethods } from "./methods.ts";
import { reportContinual } from "./report.ts";
import type { StreamRecord } from "./stream.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-continual-"));
const checkpoint = await loadTinyPolicy(await writeTinyPolicy(folder));
const { lm } = checkpoint;
const engine = await createEngine(checkpoint);
after(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Keeps stages as a run does, as text; tells what was written. */
function memoryStore(): StageStore & { readonly written: string[] } {
  const texts = new Map<string, string>();
  const written: string[] = [];
  return {
    written,
    read: async (name) => JSON.parse(texts.get(name) ?? "null") as unknown,
    async write(name, value) {
      written.push(name);
      texts.set(name, JSON.stringify(value));
    },
  };
}

const args = (store: StageStore, more: Partial<ContinualArgs> = {}): ContinualArgs => ({
  ...{ engine, templates: defaultTemplates, store, seed: 0 },
  passages: tinyPassages(4),
  methods: [...continualMethods.values()],
  innerLoop: {
    lora: { loraRank: 2, loraAlpha: 4, targets: "all" },
    learningRate: 0.01,
    epochs: 1,
    documentsPerStep: 1,
  },
  ...{ length: 2, numStreams: 1, wordings: 1, every: 2, checkEvery: 2, numReplay: 4, canaries: [] },
  checkItems: {
    known: [{ question: "Where was Max Lane born?", answer: "Deal", title: "" }],
    texts: ["Ann kept a cat."],
    reading: [{ passage: "Jo lives in Ryde.", question: "Where does Jo live?", answer: "Ryde" }],
    writing: [],
  },
  checkSizes,
  ...more,
});

const runContinual = async (given: ContinualArgs) =>
  summariseStreams(given.methods, [await runStreams(given)], given.seed);

/** Blocks of the tiny model: one. */
const methodsFor = [...continualMethods.keys()].filter((name) => !name.endsWith("-blocks"));

describe("the continual experiment", () => {
  test("runs every method, leaves the weights alone, and reads finished streams from the store", async () => {
    const before = lm.parameters.flat.readSync().slice();
    const store = memoryStore();
    const methods = methodsFor.map(continualMethodNamed);
    const report = await runContinual(args(store, { methods }));
    assert.deepEqual(lm.parameters.flat.readSync(), before);
    assert.deepEqual(
      report.rows.map(({ name }) => name),
      methodsFor,
    );
    for (const { name, klNats, stepsPerEdit } of report.rows)
      if (name.startsWith("in-context")) assert.deepEqual([klNats.mean, stepsPerEdit], [0, 0]);
      else assert.ok(stepsPerEdit > 0, name);
    const count = store.written.length;
    const again = await runContinual(args(store, { methods }));
    assert.equal(store.written.length, count, "nothing is done twice");
    assert.deepEqual(again, report);
  });

  test("a stream does not depend on the methods beside it, and another seed is another stream", async () => {
    const [merge, replay] = ["merge", "replay"].map(continualMethodNamed);
    const timeless = ({ seconds: _seconds, ...record }: StreamRecord) => record;
    const both = await runContinual(args(memoryStore(), { methods: [merge!, replay!], numStreams: 2 }));
    const alone = await runContinual(args(memoryStore(), { methods: [replay!], numStreams: 2 }));
    for (const index of [0, 1])
      assert.deepEqual(timeless(both.streams[index]!.records[1]!), timeless(alone.streams[index]!.records[0]!));
    const orders = both.streams.map(({ records }) => records[0]!.passageIds);
    assert.notDeepEqual(orders[0], orders[1]);
    await assert.rejects(runContinual(args(memoryStore(), { length: 5 })), /1 to 4 passages/);
    assert.throws(() => continualMethodNamed("no"), /expected one of merge, .* got "no"/);
  });
});

describe("streams put together", () => {
  const record = (method: string, diagonal: number[], last: number[], kept: number): StreamRecord => ({
    ...{ method, seed: "", passageIds: diagonal.map(String), diagonal },
    rows: [{ learned: 2, accuracy: last, goldLogprob: [0, 0], intrusions: null }],
    checks: [{ learned: 2, baseKept: kept, klNats: 0.5 }],
    skills: { reading: 1, validEdits: null, coverage: null },
    steps: [
      { numTokens: 10, numSteps: 2, note: "scale 0.5" },
      { numTokens: 30, numSteps: 4 },
    ],
    seconds: { learning: 1, total: 3 },
  });
  const base = { accuracy: [0.25, 0], goldLogprob: [0, 0], skills: { reading: 1, validEdits: null, coverage: null } };
  const streams = [
    { base, records: [record("merge", [1, 0.5], [0, 0.5], 0.5), record("bank", [1, 0.5], [1, 0.5], 1)] },
    { base, records: [record("merge", [0.5, 1], [0.25, 1], 0.7), record("bank", [0.5, 1], [0.5, 1], 1)] },
  ];
  const methods = ["merge", "bank"].map(continualMethodNamed);

  test("means, paired differences and shares kept, by hand", () => {
    const [merge, bank] = reportContinual(methods, streams, { known: 10, asked: 4 }, createRng(0)).rows;
    assert.deepEqual([merge!.acquisition!.mean, merge!.retention.mean], [0.75, 0.4375]);
    assert.ok(Math.abs(merge!.keptShare!.mean - (1 / 3 + 5 / 6) / 2) < 1e-12);
    assert.equal(merge!.overFirst, null);
    assert.deepEqual([bank!.overFirst!.mean, bank!.overFirst!.low, bank!.overFirst!.high], [0.3125, 0.125, 0.5]);
    assert.equal(merge!.overBase.mean, 0.4375 - 0.125);
    // over everything: 10 known and 4 asked, of them lost 5 and gained 0.5, lost 3 and gained 2
    assert.ok(Math.abs(merge!.overBaseInAll!.mean - (-4.5 - 1) / 2 / 14) < 1e-12);
    assert.equal(merge!.backwardTransfer!.mean, (-1 - 0.25) / 2);
    assert.deepEqual([merge!.baseKept!.mean, bank!.baseKept!.mean], [0.6, 1]);
    assert.deepEqual(merge!.matrix, [[0.75], [0.125, 0.75]]);
    assert.deepEqual([merge!.tokensPerEdit, merge!.stepsPerEdit, merge!.notes], [20, 3, { "scale 0.5": 2 }]);
    assert.deepEqual([merge!.reading!.mean, merge!.validEdits, merge!.intrusions], [1, null, null]);
  });
});

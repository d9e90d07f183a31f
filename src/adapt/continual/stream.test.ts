import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadTinyPolicy, tinyPassages, writeTinyPolicy } from "../../../test/support/tiny-policy.ts";
import { createEngine, withAdapter } from "../../engine/index.ts";
import { toTrainDocuments } from "../candidates.ts";
import { type ExamAnswer, type ExamItem, examine } from "../exam.ts";
import { defaultTemplates } from "../prompts.ts";
import type { StreamChecks } from "./checks.ts";
import { mergeMethod, presentModel, trainEdit } from "./merged.ts";
import type { ContinualMethod, StreamContext, StreamItem } from "./method.ts";
import { continualMetrics } from "./metrics.ts";
import { predictLogprobs } from "./predict.ts";
import { matrixOf, runStream, type StreamArgs } from "./stream.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-stream-"));
const checkpoint = await loadTinyPolicy(await writeTinyPolicy(folder));
const { lm } = checkpoint;
const engine = await createEngine(checkpoint);
after(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const items = tinyPassages(3).map((source): StreamItem => {
  const pick = (use: string) => source.questions.filter((question) => question.use === use);
  const toItem = ({ question, answer }: { question: string; answer: string }): ExamItem => ({
    question,
    answer,
    title: "",
  });
  const exam = {
    source: "given" as const,
    selection: pick("selection").map(toItem),
    report: pick("report").map(toItem),
  };
  return { source, exam, documents: [source.context] };
});
const asked = items.map(({ exam }) => exam.report);
const known: ExamItem[] = ["red", "green", "blue", "grey"].map((answer) => ({
  question: `Is it ${answer}?`,
  answer,
  title: "",
}));

const context: StreamContext = {
  engine,
  templates: defaultTemplates,
  innerLoop: {
    lora: { loraRank: 2, loraAlpha: 4, targets: "all" },
    learningRate: 0.01,
    epochs: 2,
    documentsPerStep: 1,
  },
  replay: ["She kept a cat.", "Tom kept a dog."],
  canaries: [],
  numPassages: items.length,
  seed: "test",
};
const checks: StreamChecks = {
  known,
  probes: [
    [1, 2, 3],
    [4, 5],
  ],
  reading: [],
  writing: [],
};
const args = (method: ContinualMethod, more: Partial<StreamArgs> = {}): StreamArgs => ({
  ...{ method, context, items, asked, checks, every: 1, checkEvery: 1 },
  ...more,
});

const graded = (item: ExamItem, prediction: string): ExamAnswer => {
  const isRight = prediction === item.answer;
  return { prediction, isRight, f1: Number(isRight), goldLogprob: isRight ? -1 : -3 };
};

/** Knows the last `capacity` passages, answers with its latest fact otherwise, and loses one base answer per passage. */
const dictionary = (capacity: number, rows: "all" | "last" = "all"): ContinualMethod => ({
  name: "dictionary",
  summary: "",
  settings: { capacity },
  rows,
  async begin() {
    const learned: ExamItem[] = [];
    return {
      async learn({ exam }, step) {
        learned.push(...exam.report);
        return { numTokens: 10 * step, numSteps: 1 };
      },
      async answer(questions) {
        const recent = learned.slice(-capacity);
        return questions.map((item) => {
          const place = known.indexOf(item);
          if (place >= 0) return graded(item, place < learned.length ? "no" : item.answer);
          return graded(
            item,
            recent.find(({ question }) => question === item.question)?.answer ?? learned.at(-1)!.answer,
          );
        });
      },
      logprobs: (probes) => predictLogprobs(engine, probes),
      [Symbol.dispose]() {},
    };
  },
});

describe("a stream", () => {
  test("of a learner that remembers two passages gives the matrix known beforehand", async () => {
    const record = await runStream(args(dictionary(2)));
    assert.deepEqual(record.diagonal, [1, 1, 1]);
    assert.deepEqual(
      record.rows.map(({ accuracy }) => accuracy),
      [[1], [1, 1], [0, 1, 1]],
    );
    assert.deepEqual(record.rows.at(-1)!.goldLogprob, [-3, -1, -1]);
    assert.deepEqual(
      record.rows.map(({ intrusions }) => intrusions),
      [null, null, 1], // the one wrong answer is the latest town
    );
    assert.deepEqual(
      record.checks,
      [0.75, 0.5, 0.25].map((baseKept, step) => ({ learned: step + 1, baseKept, klNats: 0 })),
    );
    assert.deepEqual(
      record.steps.map(({ numTokens }) => numTokens),
      [0, 10, 20],
    );
    const metrics = continualMetrics(
      matrixOf(record, { accuracy: [0, 0, 0], goldLogprob: [], skills: record.skills })!,
    );
    assert.deepEqual([metrics.acquisition, metrics.finalRetention, metrics.backwardTransfer], [1, 2 / 3, -0.5]);
  });

  test("examined now and then fills the diagonal, the rows due and the last", async () => {
    const record = await runStream(args(dictionary(1), { every: 2, checkEvery: 5 }));
    assert.deepEqual(record.diagonal, [1, 1, 1]);
    assert.deepEqual(
      record.rows.map(({ learned, accuracy }) => [learned, accuracy]),
      [
        [2, [0, 1]],
        [3, [0, 0, 1]],
      ],
    );
    assert.deepEqual(
      record.checks.map(({ learned }) => learned),
      [3],
    );
    const base = { accuracy: [0, 0, 0], goldLogprob: [], skills: record.skills };
    assert.deepEqual(matrixOf(record, base)!.after, [[1], [0, 1], [0, 0, 1]]);
    const bound = await runStream(args(dictionary(3, "last")));
    assert.deepEqual([bound.diagonal, bound.rows.length, bound.checks.length], [[], 1, 1]);
    assert.equal(matrixOf(bound, base), null);
  });

  test("leaves the weights as they were, bit for bit, also when a method fails halfway", async () => {
    const before = lm.parameters.flat.readSync().slice();
    const merge = mergeMethod("merge", "", {}, () => ({}));
    const record = await runStream(args(merge));
    assert.ok(record.checks.at(-1)!.klNats > 0, "the stream did change the model");
    assert.deepEqual(lm.parameters.flat.readSync(), before);
    const broken = mergeMethod("broken", "", {}, () => ({
      adjust: (job, _own, step) => {
        if (step === 1) throw new Error("no more");
        return job;
      },
    }));
    await assert.rejects(runStream(args(broken)), /no more/);
    assert.deepEqual(lm.parameters.flat.readSync(), before);
    assert.deepEqual(
      { ...(await runStream(args(merge))), seconds: 0 },
      { ...record, seconds: 0 },
      "and repeats itself",
    );
  });
});

describe("merging", () => {
  test("one edit answers as its adapter does, and its log-probabilities are the adapter's", async () => {
    const { epochs, documentsPerStep, lora, learningRate } = context.innerLoop;
    const documents = toTrainDocuments(engine, items[0]!.documents);
    const job = { id: "edit-0", documents, epochs, documentsPerStep, lora, learningRate: 20 * learningRate };
    const { adapter } = await trainEdit(context, job);
    const questions = asked.flat();
    const [untouched] = await examine(context, [{ adapter: null, items: questions }]);
    const { wanted, logprobs } = await withAdapter(engine, adapter, async (id) => ({
      wanted: (await examine(context, [{ adapter: id, items: questions }]))[0],
      logprobs: await predictLogprobs(engine, checks.probes, id),
    }));
    const before = lm.parameters.flat.readSync().slice();
    const fast = { ...context, innerLoop: { ...context.innerLoop, learningRate: 20 * learningRate } };
    const learner = await mergeMethod("merge", "", {}, () => ({})).begin(fast);
    await learner.learn(items[0]!, 0);
    const got = await learner.answer(questions);
    const merged = await learner.logprobs(checks.probes);
    lm.parameters.thaw();
    lm.parameters.flat.write(before);
    const texts = (answers: readonly ExamAnswer[]) => answers.map(({ prediction }) => prediction);
    assert.deepEqual(texts(got), texts(wanted!));
    assert.notDeepEqual(texts(got), texts(untouched!));
    logprobs.forEach((row, index) => {
      row.forEach((value, at) => {
        assert.ok(Math.abs(value - merged[index]![at]!) < 1e-3, `${value} and ${merged[index]![at]}`);
      });
    });
  });

  test("a gate that allows nothing rejects every edit, and the model stays what it is", async () => {
    const answers = await presentModel(context).answer(known);
    const canaries = known.map((item, index) => ({ ...item, answer: answers[index]!.prediction }));
    const before = lm.parameters.flat.readSync().slice();
    const wild = { ...context, canaries, innerLoop: { ...context.innerLoop, learningRate: 1 } };
    const budget = { maxLost: 0, numBisections: 2, minScale: 0.9, maxEarlier: 4 };
    const learner = await mergeMethod("gate", "", {}, () => ({ gate: budget })).begin(wild);
    const report = await learner.learn(items[0]!, 0);
    assert.equal(report.note, "rejected");
    assert.deepEqual(lm.parameters.flat.readSync(), before);
  });
});

/** @file The library as a program uses it: open, learn, ask, score, save, register, close. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { tinyText, writeTinyModel } from "../../test/support/tiny-model.ts";
import type { AdaptEvent } from "../adapt/index.ts";
import { loadAdapter } from "../models/index.ts";
import { openStore, verifyStore } from "../registry/index.ts";
import { type Adapter, Learned, type LearnOptions, type Model, openModel, SelkieError } from "./door.ts";
import { readMark } from "./output-folder.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-library-"));
after(() => rmSync(root, { recursive: true }));
let directory = "";
let model: Model;
before(async () => {
  directory = await writeTinyModel(root);
  model = await openModel(directory, { precision: "f32" });
});
after(() => model.close());

const source = {
  text: tinyText,
  id: "ann",
  questions: [{ question: "Where was Ann Marlow born?", answer: "Dover" }],
};
const quick: LearnOptions = { numEdits: 2, epochs: 1, loraRank: 2 };

/** What was learned, as if the exam had kept it: a random model learns nothing. */
async function learnKept(options: LearnOptions = quick): Promise<Learned> {
  const { report, familiarity, rejectedAdapter } = await model.learn([source], options);
  return new Learned({
    report: { ...report, decision: "kept", reasons: [] },
    familiarity,
    adapter: rejectedAdapter!,
    seconds: 1,
    runDirectory: null,
    run: null,
    origin: { baseModelNameOrPath: directory, baseDigest: model.digest },
    modelDirectory: directory,
    passages: [],
    settings: (await import("./settings.ts")).settingsOf(quick),
    seed: 0,
  });
}

const rejection = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SelkieError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

describe("learn", () => {
  test("tells each stage, gives a report, and leaves nothing on disk", async () => {
    const events: AdaptEvent[] = [];
    const before = readdirSync(process.cwd()).length;
    const learned = await model.learn([source], { ...quick, onProgress: (event) => events.push(event) });
    const stages = [...new Set(events.map(({ stage }) => stage))];
    for (const stage of ["exam", "propose", "try", "train", "after"]) assert.ok(stages.includes(stage), stage);
    for (const { done, total } of events) assert.ok(done >= 0 && done <= total, `${done}/${total}`);
    assert.equal(learned.report.passages[0]!.id, "ann");
    assert.equal(learned.isKept, learned.adapter !== null);
    assert.equal(learned.isKept, learned.rejectedAdapter === null);
    assert.equal(learned.runDirectory, null);
    assert.equal(readdirSync(process.cwd()).length, before);
  });

  test("is repeatable, takes paths like texts, and with `runs` goes on where it was", async () => {
    const path = join(root, "ann.txt");
    writeFileSync(path, tinyText);
    const questions = join(root, "ann.jsonl");
    writeFileSync(questions, `${JSON.stringify(source.questions[0])}\n`);
    const weightsOf = ({ adapter, rejectedAdapter }: Learned) => (adapter ?? rejectedAdapter)!.weights.modules;
    const [one, two, other] = [
      await model.learn([path], { ...quick, questions }),
      await model.learn([path], { ...quick, questions, runs: join(root, "runs") }),
      await model.learn([path], { ...quick, questions, seed: 1 }),
    ];
    assert.deepEqual(weightsOf(one), weightsOf(two));
    assert.notDeepEqual(weightsOf(one), weightsOf(other));
    const began = performance.now();
    const again = await model.learn([path], { ...quick, questions, runs: join(root, "runs") });
    assert.deepEqual(weightsOf(again), weightsOf(two));
    assert.equal(again.seconds, two.seconds, `repeated in ${performance.now() - began} ms, not done again`);
    assert.equal(again.runDirectory, two.runDirectory);
  });

  test("stops when its signal aborts, between two steps, and lets timers run meanwhile", async () => {
    const controller = new AbortController();
    let numTicks = 0;
    const ticking = setInterval(() => numTicks++, 1);
    const reason = new Error("enough");
    let numEvents = 0;
    const learning = model.learn([source], {
      ...quick,
      epochs: 1000,
      signal: controller.signal,
      onProgress: ({ stage }) => {
        if (stage === "try" && ++numEvents === 3) setTimeout(() => controller.abort(reason), 5);
      },
    });
    await assert.rejects(learning, (error) => error === reason).finally(() => clearInterval(ticking));
    assert.ok(numTicks > 2, `${numTicks} timers ran beside the training`);
    const late = AbortSignal.abort(reason);
    await assert.rejects(model.learn([source], { signal: late }), (error) => error === reason);
  });

  test("refuses before any work what cannot be learned", async () => {
    const events: AdaptEvent[] = [];
    const onProgress = (event: AdaptEvent) => events.push(event);
    const cases: [Parameters<Model["learn"]>[0], LearnOptions, string, RegExp][] = [
      [[], {}, "bad-input", /at least one path or text/],
      [[{ text: "  " }], {}, "bad-input", /an empty one in "text 1"/],
      [[source, source], {}, "bad-input", /got "ann" twice/],
      [[{ text: "x", questions: [{ question: "q", answer: "" }] }], {}, "bad-input", /questions and answers with text/],
      [[join(root, "nowhere.txt")], {}, "missing-file", /nowhere\.txt/],
      [[source], { loraRank: 100_000 }, "bad-option", /^rank: .* from 1 to 8, got 100000/],
    ];
    for (const [sources, options, code, message] of cases)
      await assert.rejects(model.learn(sources, { ...options, onProgress }), rejection(code, message));
    assert.deepEqual(events, []);
  });
});

describe("what was learned", () => {
  test("answers through ask, is saved whole, read again, and replaced by the next save", async () => {
    const learned = await learnKept();
    const question = "Where was Ann Marlow born?";
    const { adapter } = learned;
    const place = join(root, "saved");
    await learned.save(place);
    const { logprobNats } = await model.answer(question, { adapter, maxNewTokens: 8 });
    const plain = await model.answer(question, { maxNewTokens: 8 });
    for (const same of [place, await model.openAdapter(place)])
      assert.equal((await model.answer(question, { adapter: same, maxNewTokens: 8 })).logprobNats, logprobNats);
    assert.equal(
      await model.ask(question, { adapter, maxNewTokens: 8 }),
      (await model.answer(question, { adapter, maxNewTokens: 8 })).answer,
    );
    assert.notEqual(logprobNats, plain.logprobNats);
    assert.equal((await loadAdapter(place)).baseDigest, model.digest);
    await learned.save(place);
    assert.equal(readMark(place)?.decision, "kept");
    const foreign = join(root, "foreign");
    mkdirSync(foreign);
    writeFileSync(join(foreign, "mine"), "");
    await assert.rejects(learned.save(foreign), rejection("bad-option", /somebody else \(mine\)/));
  });

  test("is refused by another model", async () => {
    const { adapter } = await learnKept();
    using other = await openModel(await writeTinyModel(root, { name: "other" }));
    await assert.rejects(other.ask("Who?", { adapter }), rejection("adapter-mismatch", /digest/));
    const place = join(root, "for-other");
    await (await learnKept()).save(place);
    await assert.rejects(other.openAdapter(place), rejection("adapter-mismatch", /digest/));
  });

  test("that was not kept is no adapter: save says why, ask asks the model as it was", async () => {
    const learned = await model.learn([source], quick);
    assert.equal(learned.adapter, null, "a random model learns nothing");
    await assert.rejects(learned.save(join(root, "no")), rejection("change-rejected", /it did not learn/));
    const [as, plain] = [await model.ask("Who?", learned), await model.ask("Who?")];
    assert.equal(as, plain);
  });

  test("goes into a store with the gate's judgement", async () => {
    const learned = await model.learn([source], quick);
    const store = join(root, "store");
    const { record, decision } = await learned.register({ store });
    assert.equal(record.base, model.digest);
    assert.notEqual(decision.outcome, "promote", "a change that was not kept is not let through");
    using opened = openStore(store, { clock: Date.now });
    assert.deepEqual(verifyStore(opened).problems, []);
    assert.equal(opened.list().length, 1);
    await assert.rejects(
      learned.register({ store, gate: join(root, "nowhere.json") }),
      rejection("missing-file", /gate/),
    );
    await assert.rejects(
      learned.register({ store, signingKey: join(root, "no.pem") }),
      rejection("missing-file", /key/),
    );
  });
});

describe("an adapter that is not there", () => {
  const cases: [what: string, make: (at: string) => void, message: RegExp][] = [
    ["nothing", () => {}, /expected an adapter, got nothing there/],
    ["a file", (at) => writeFileSync(at, ""), /got a file; pass the folder/],
    ["an empty folder", (at) => mkdirSync(at), /without adapter_config\.json/],
    [
      "a run whose change was rejected",
      (at) => {
        mkdirSync(join(at, "artifacts", "rejected-adapter"), { recursive: true });
        writeFileSync(join(at, "artifacts", "rejected-adapter", "adapter_config.json"), "{}");
      },
      /a run whose change was not kept; the adapter is in .*rejected-adapter/,
    ],
    [
      "an output folder of one",
      (at) => {
        mkdirSync(join(at, "rejected-adapter"), { recursive: true });
        writeFileSync(join(at, "rejected-adapter", "adapter_config.json"), "{}");
        const mark = { format: 1, run: "r", decision: "rejected", reasons: ["it forgot"], names: [] };
        writeFileSync(join(at, "selkie-run.json"), JSON.stringify(mark));
      },
      /not kept \(it forgot\); the adapter is in .*rejected-adapter/,
    ],
    [
      "a run that was interrupted",
      (at) => {
        mkdirSync(at);
        writeFileSync(join(at, "manifest.json"), "{}");
      },
      /has not finished; run its command again/,
    ],
  ];
  for (const [index, [what, make, message]] of cases.entries())
    test(`${what} is told as such`, async () => {
      const place = join(root, `no-adapter-${index}`);
      make(place);
      await assert.rejects(model.openAdapter(place), rejection("missing-file", message));
      await assert.rejects(model.ask("Who?", { adapter: place }), rejection("missing-file", message));
    });
});

test("score gives the log-probability of every token, and an adapter changes it", async () => {
  const { adapter } = await learnKept();
  const [plain, adapted] = [await model.score(tinyText), await model.score(tinyText, { adapter: adapter as Adapter })];
  assert.equal(plain.numScored, plain.numTokens - 1);
  assert.ok(plain.totalNats < 0 && plain.totalNats !== adapted.totalNats);
  assert.equal(plain.tokens.map(({ text }) => text).join(""), tinyText);
  await assert.rejects(model.score(""), rejection("bad-input", /empty/));
  await assert.rejects(model.ask(" "), rejection("bad-input", /question/));
});

test("close stops what runs, frees the model when the last of it has ended, and is said afterwards", async () => {
  const closing = await openModel(directory);
  const learning = closing.learn([source], {
    ...quick,
    epochs: 1000,
    onProgress: () => setImmediate(() => closing.close()),
  });
  const asking = closing.ask("Who?", { maxNewTokens: 8 }).catch(rejection("model-closed", /open it again/));
  await assert.rejects(learning, rejection("model-closed", /expected an open model/));
  await asking;
  await assert.rejects(closing.ask("Who?"), rejection("model-closed", /closed/));
  closing.close();
});

test("a model that is not there is refused by name", async () => {
  await assert.rejects(openModel(join(root, "nowhere")), rejection("missing-file", /nowhere/));
  await assert.rejects(openModel("@policy", { store: join(root, "no-store") }), rejection("missing-file", /no-store/));
});

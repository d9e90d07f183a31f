import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTinyPolicy } from "../../../test/support/tiny-policy.ts";
import { encodeContinuation } from "../../models/index.ts";
import { createReferenceBackend } from "../../tensor/index.ts";
import { createRng, mean } from "../../util/index.ts";
import { learn } from "../learn/learn.ts";
import { defaultLearnSettings, uniformSchedule } from "../learn/settings.ts";
import { runTrials, type Trial, toDocument } from "../learn/trials.ts";
import { defaultTemplates } from "../prompts.ts";
import { curveCompletion, curveDomain, curveEdit, type curvePrompt, drawCurve, readCurveSettings } from "./curve.ts";
import { curveText, pretrainCurve } from "./curve-base.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-curve-"));
after(() => rmSync(folder, { recursive: true }));
const directory = join(folder, "base");
await pretrainCurve({ backend: createReferenceBackend(), directory, seed: 0, steps: 2 });
const task = drawCurve("one", createRng(5));
const domain = curveDomain({ numTasks: 2, numHeldOut: 1, seed: 3 });
const choice = { rank: 4, learningRate: 0.01, epochs: 3 };

describe("curves", () => {
  test("are lines: exact measurements rise or fall throughout, the stated error spreads them, the exam asks elsewhere", () => {
    const tasks = Array.from({ length: 200 }, (_, index) => drawCurve(`${index}`, createRng("family").fork(index)));
    for (const { measured, exam, error, source } of tasks) {
      const truth = [...exam.selection, ...exam.report];
      const points = [...truth, ...(error === 0 ? measured : [])].sort(([a], [b]) => (a < b ? -1 : 1));
      const steps = points.slice(1).map(([, y], index) => y - points[index]![1]);
      assert.ok(steps.every((step) => step >= 0) || steps.every((step) => step <= 0), JSON.stringify(points));
      assert.equal(new Set([...truth, ...measured].map(([x]) => x)).size, 26, "every place once");
      assert.deepEqual([exam.selection.length, exam.report.length], [8, 8]);
      for (const [x] of truth) assert.ok(!source.context.includes(`${x} =`), "the policy is not shown the exam");
    }
    const numExact = tasks.filter(({ error }) => error === 0).length;
    assert.ok(numExact > 75 && numExact < 125, `${numExact} of 200 are exact`); // 100 ± 3.5 standard deviations
  });

  test("are read as JSON of the schema, or not at all", () => {
    assert.deepEqual(readCurveSettings(curveCompletion(choice)), choice);
    const points = [["c", 4]];
    assert.deepEqual(readCurveSettings(JSON.stringify({ ...choice, points })), { ...choice, points });
    const refused = [
      "",
      "rank 4",
      JSON.stringify({ ...choice, rank: 5 }),
      JSON.stringify({ ...choice, learningRate: 10 }),
      JSON.stringify({ ...choice, epochs: 1e9 }),
      JSON.stringify({ ...choice, optimizer: "sgd" }),
      JSON.stringify({ ...choice, points: [["é", 4]] }),
      JSON.stringify({ rank: 4, epochs: 3 }),
    ];
    for (const completion of refused) assert.equal(readCurveSettings(completion), null, completion);
  });

  test("are trained as the edit says, over what the run says; an invalid edit trains nothing", async () => {
    await using engine = await openTinyPolicy(directory);
    const { innerLoop } = defaultLearnSettings;
    const context = { engine, templates: defaultTemplates, innerLoop, canaries: [], replay: [] };
    const trialOf = (edit: number, completion: string): Trial => ({
      ...{ passage: 0, edit, repetition: 0, seed: 1, source: task.source },
      ...domain.compile(task, [curveEdit(task, completion)], defaultTemplates),
    });
    const completions = [choice, { ...choice, rank: 2 }, { ...choice, learningRate: 0.001 }].map(curveCompletion);
    const trials = [...completions, " rank four"].map((completion, edit) => trialOf(edit, completion));
    const exam = (adapter: string | null) => ({ task, use: "report", adapter }) as const;
    const records = await runTrials(context, trials, (model, takers) =>
      domain.examine(
        model,
        takers.map(({ adapter }) => exam(adapter)),
      ),
    );
    assert.deepEqual(
      records.map(({ numSteps }) => numSteps),
      [15, 15, 15, 0],
      "10 measurements, 2 an update, 3 epochs",
    );
    assert.equal(new Set(records.map(({ adapter }) => adapter)).size, 4);
    const [base] = await domain.examine(context, [exam(null)]);
    assert.deepEqual([records[3]!.accuracy, records[3]!.goldLogprob], [base!.accuracy, base!.goldLogprob]);
    const golds = task.exam.report.map(([x, y]) => encodeContinuation(engine.tokenizer, `${x} =`, ` ${y}`));
    const scored = await engine.score(golds);
    const logprob = mean(
      golds.map(({ numPromptTokens }, index) => mean([...scored[index]!.slice(numPromptTokens - 1)])),
    );
    assert.ok(Math.abs(base!.goldLogprob - logprob) < 1e-6, `${base!.goldLogprob} against ${logprob}`);
  });

  test("learn the value and the end of a line, and not the place", async () => {
    await using engine = await openTinyPolicy(directory);
    const { tokenizer } = engine;
    const { tokenIds, lossMask } = toDocument({ engine }, "c = 4", " =");
    const learned = Array.from(tokenIds).filter((_, index) => lossMask![index] === 1);
    assert.deepEqual(learned, [...tokenizer.encode(" 4"), tokenizer.eosTokenId]);
    assert.ok(tokenizer.decode(Array.from(tokenIds)).includes("c = 4"));
    assert.equal(toDocument({ engine }, "c = 4", undefined).lossMask, undefined, "else all of it is learned");
  });
});

test("two rounds of the outer loop run on curves, and report what each edit chose", async () => {
  const values = new Map<string, string>();
  const args = {
    ...{ modelDirectory: directory, openPolicy: openTinyPolicy, templates: defaultTemplates, seed: 2 },
    domain: {
      ...domain,
      propose: async (_policy: unknown, tasks: readonly Parameters<typeof curvePrompt>[0][]) =>
        tasks.map((one) => [curveEdit(one, curveCompletion(choice)), curveEdit(one, " nothing")]),
    },
    canaries: { items: [], hasGold: true },
    settings: {
      ...defaultLearnSettings,
      ...{ numRounds: 2, numEdits: 2, schedule: uniformSchedule(2, 1), heldOutEdits: 2, numReplay: 8 },
      update: { ...defaultLearnSettings.update, epochs: 2 },
    },
    oldText: async (count: number) => Array.from({ length: count }, (_, index) => curveText(createRng(index))),
    store: {
      read: async (name: string) => (values.has(name) ? JSON.parse(values.get(name)!) : null),
      write: async (name: string, value: unknown) => void values.set(name, JSON.stringify(value)),
    },
    directoryOf: (name: string) => join(folder, name),
  };
  const report = await learn(args);
  assert.deepEqual(
    report.rounds.map(({ candidates }) => candidates.map(({ settings }) => settings?.epochs ?? null)),
    [
      [3, null],
      [3, null],
    ],
  );
  assert.deepEqual(report.evaluations[0]?.kinds, { "0.01 × 3": 1, invalid: 1 });
  for (const { update } of report.rounds) assert.ok(update.nats!.after < update.nats!.before, JSON.stringify(update));
  assert.deepEqual(await learn(args), report, "run again, it reads what it did");
});

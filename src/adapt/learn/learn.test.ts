/** @file The outer loop on a tiny random model: it cannot learn much, but order, storage, masks and seeds are real. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { loadTinyPolicy, openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../../test/support/tiny-policy.ts";
import { createEngine } from "../../engine/index.ts";
import { scoreTokens } from "../../generate/index.ts";
import { meanLoss } from "../../train/index.ts";
import { askQuestions, type LearnKnowledgeArgs, learnKnowledge, type QuestionTrial } from "../domains/knowledge.ts";
import { policyWriter } from "../domains/teacher.ts";
import { accuracy, meanGoldLogprob } from "../exam.ts";
import { finishedTrials } from "../finished.ts";
import { defaultTemplates } from "../prompts.ts";
import type { SampledEdit } from "../propose.ts";
import type { StageStore } from "../settings.ts";
import type { Kept } from "./kept.ts";

import { completionDocument, maximise } from "./maximisation.ts";
import { defaultLearnSettings, type LearnInnerLoop, type PolicyUpdate } from "./settings.ts";
import { applyLearnSettings } from "./settings-file.ts";
import { runTrials as runAny, type TrialContext } from "./trials.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-learn-"));
after(() => rmSync(folder, { recursive: true }));
const modelDirectory = await writeTinyPolicy(folder);

const settings = applyLearnSettings(
  {
    ...defaultLearnSettings,
    numEdits: 2,
    schedule: [
      { numEdits: 2, repetitions: 1 },
      { numEdits: 1, repetitions: 1 },
    ],
  },
  {
    innerLoop: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1, replayShare: 0.2, maxSteps: 4 },
    update: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1, documentsPerStep: 1 },
    numReplay: 6,
    groupSize: 3,
    numTrialCanaries: 1,
  },
  "test",
);

/** Forgets nothing; refuses the write numbered `failAt`, as a kill would. */
function memoryStore(values: Map<string, string>, failAt = Number.POSITIVE_INFINITY): StageStore {
  let writes = 0;
  return {
    read: async (name) => (values.has(name) ? JSON.parse(values.get(name)!) : null),
    write: async (name, value) => {
      if (++writes === failAt) throw new Error("killed");
      assert.ok(!values.has(name), `${name} is not done twice`);
      values.set(name, JSON.stringify(value));
    },
  };
}

const argsWith = (name: string, store: StageStore, over: Partial<LearnKnowledgeArgs> = {}): LearnKnowledgeArgs => ({
  modelDirectory,
  openPolicy: openTinyPolicy,
  templates: defaultTemplates,
  canaries: { items: [{ question: "Who?", answer: "", title: "" }], hasGold: false },
  passages: tinyPassages(4),
  heldOut: tinyPassages(5).slice(4),
  writer: policyWriter,
  oldText: async (count) => Array.from({ length: count }, (_, index) => `The ship number ${index} sails.`),
  settings,
  seed: 3,
  store,
  directoryOf: (part) => join(folder, name, part),
  ...over,
});

describe("the outer loop", () => {
  test("killed at any write and run again, it ends with the same report and policies", async () => {
    const stages = new Map<string, string>();
    const whole = await learnKnowledge(argsWith("whole", memoryStore(stages)));
    assert.equal(whole.rounds.length, 2);
    const values = new Map<string, string>();
    const shareDone = () => finishedTrials(memoryStore(values), { settings, passagesPerRound: 2, numHeldOut: 1 });
    const shares = [await shareDone()];
    for (let kill = 1; kill < stages.size; kill++) {
      await assert.rejects(learnKnowledge(argsWith("killed", memoryStore(values, 2))), /killed/);
      assert.equal(values.size, kill, "one more stage was kept");
      shares.push(await shareDone());
    }
    assert.deepEqual(
      shares,
      shares.toSorted((a, b) => a - b),
      "of what is done, never less than before",
    );
    assert.deepEqual([shares[0], await shareDone()], [0, 1]);
    assert.ok(new Set(shares).size > 6, "counted in groups of trials");
    assert.deepEqual(await learnKnowledge(argsWith("killed", memoryStore(values))), whole);
    assert.deepEqual(new Map([...values].sort()), new Map([...stages].sort()), "every recorded stage, to the digit");
  });

  test("gives each round passages of its own, records every trial, and shares seeds among edits", async () => {
    const { rounds, evaluations, base } = await learnKnowledge(argsWith("seeds", memoryStore(new Map())));
    const used = rounds.flatMap(({ passageIds }) => passageIds);
    assert.deepEqual(
      used.toSorted(),
      tinyPassages(4)
        .map(({ id }) => id)
        .toSorted(),
    );
    for (const { candidates, numTrials } of rounds) {
      const trials = candidates.flatMap((candidate) => candidate.trials);
      assert.equal(trials.length, numTrials);
      assert.equal(numTrials, 2 * 3, "two passages, two edits, one of which goes on");
      assert.ok(trials.every(({ adapter }) => /^[0-9a-f]{64}$/.test(adapter)));
      for (const id of new Set(candidates.map(({ passageId }) => passageId))) {
        const seeds = candidates
          .filter(({ passageId }) => passageId === id)
          .map(({ trials: list }) => list.map(({ seed }) => seed));
        const [long, short] = seeds.sort((a, b) => b.length - a.length);
        assert.equal(short![0], long![0], "common random numbers");
        assert.equal(new Set(long).size, 2, "that differ between repetitions");
      }
      for (const { reward, trials: own } of candidates) {
        const mean = own.reduce((total, { reward: one }) => total + one!, 0) / own.length;
        assert.ok(Math.abs(mean - reward) < 1e-9, "the dense reward is the mean of its repetitions");
      }
      assert.equal(candidates.filter(({ isKept }) => isKept).length, 2, "one per passage");
    }
    assert.equal(rounds[0]?.policy.parent, base);
    assert.equal(rounds[1]?.policy.parent, rounds[0]?.policy.digest);
    assert.deepEqual(
      evaluations.map(({ round }) => round),
      [0, 1, 2],
    );
    assert.deepEqual(
      evaluations.map(({ policy }) => policy),
      [base, ...rounds.map(({ policy }) => policy.digest)],
    );
  });

  test("refuses a policy that was changed on disk, too few passages and an unknown reward", async () => {
    const values = new Map<string, string>();
    await learnKnowledge(argsWith("changed", memoryStore(values)));
    cpSync(
      join(modelDirectory, "model.safetensors"),
      join(folder, "changed", "policies", "round-1", "model.safetensors"),
    );
    await assert.rejects(learnKnowledge(argsWith("changed", memoryStore(values))), /its files were changed/);
    const few = argsWith("few", memoryStore(new Map()), { passages: tinyPassages(1) });
    await assert.rejects(learnKnowledge(few), /at least 2 passages with questions for 2 rounds/);
    const odd = argsWith("odd", memoryStore(new Map()), { settings: { ...settings, reward: "praise" } });
    await assert.rejects(learnKnowledge(odd), /expected a reward among .*got "praise"/);
  });
});

describe("trials", () => {
  /** Trials that are examined by their own questions. */
  const runTrials = (context: TrialContext, trials: readonly QuestionTrial[]) =>
    runAny(context, trials, async (model, takers) =>
      (await askQuestions(model, takers)).map((answers) => ({
        accuracy: accuracy(answers)!,
        goldLogprob: meanGoldLogprob(answers)!,
      })),
    );

  const trial = (edit: number, seed: number): QuestionTrial => ({
    passage: 0,
    edit,
    repetition: seed,
    seed,
    source: { id: "ann", title: "", context: "Ann Marlow was born in Dover. She kept a cat." },
    documents: ["Ann Marlow was born in Dover.", "Ann Marlow kept a cat.", "Dover is by the sea."],
    items: [{ question: "Where was Ann Marlow born?", answer: "Dover", title: "" }],
  });

  test("of equal documents and seeds end in the same adapter, whatever trains beside them; other seeds do not", async () => {
    await using engine = await openTinyPolicy(modelDirectory);
    const innerLoop = { ...settings.innerLoop, replayShare: 0 };
    const context = { engine, templates: defaultTemplates, innerLoop, canaries: [], replay: [] };
    const [a, b, c] = await runTrials(context, [trial(0, 7), trial(1, 7), trial(2, 8)]);
    const [alone] = await runTrials(context, [trial(1, 7)]);
    assert.equal(a?.adapter, b?.adapter);
    assert.notEqual(a?.adapter, c?.adapter);
    assert.equal(alone?.adapter, b?.adapter);
    assert.equal(a?.numSteps, 3);
    assert.equal(a?.kept, null, "no canary was asked");
  });

  test("stop at the step budget", async () => {
    await using engine = await openTinyPolicy(modelDirectory);
    const innerLoop = { ...settings.innerLoop, epochs: 10, maxSteps: 5 };
    const context = { engine, templates: defaultTemplates, innerLoop, canaries: [], replay: ["Old text."] };
    const [record] = await runTrials(context, [trial(0, 7)]);
    assert.equal(record?.numSteps, 5);
  });

  test("learn what the policy expects with the passage before it, or hold on to what it expected, when asked to", async () => {
    await using engine = await openTinyPolicy(modelDirectory);
    const run = async (over: Partial<LearnInnerLoop>) => {
      const innerLoop = { ...settings.innerLoop, replayShare: 0.5, epochs: 2, maxSteps: null, ...over };
      const replay = ["Old text.", "A ship sails."];
      const [record] = await runTrials({ engine, templates: defaultTemplates, innerLoop, canaries: [], replay }, [
        trial(0, 7),
      ]);
      return record!;
    };
    const distillation = { topK: 300, context: "Passage: {passage}\n" };
    const [plain, anchored, distilled] = [
      await run({}),
      await run({ anchor: { topK: 300 } }),
      await run({ distillation }),
    ];
    assert.equal(new Set([plain, anchored, distilled].map(({ adapter }) => adapter)).size, 3);
    assert.deepEqual(
      [plain, anchored, distilled].map(({ numSteps }) => numSteps),
      [12, 12, 12],
      "3 documents, 2 epochs, as much replay",
    );
    const { adapter } = await run({ distillation: { ...distillation, context: "" } });
    assert.notEqual(adapter, distilled.adapter, "what stands before the document matters");
  });

  test("that finetune everything are repeatable, learn, and leave the policy as it was", async () => {
    const checkpoint = await loadTinyPolicy(modelDirectory);
    const { lm } = checkpoint;
    await using engine = await createEngine(checkpoint);
    const before = [...lm.parameters.flat.readSync()];
    const innerLoop = { ...settings.innerLoop, method: "full", learningRate: 2e-2, epochs: 10, maxSteps: 30 } as const;
    const context = { engine, templates: defaultTemplates, innerLoop, canaries: [], replay: ["Old text."] };
    const untrained = { ...innerLoop, learningRate: 0 };
    const run = async (loop: typeof context.innerLoop | typeof untrained) =>
      (await runTrials({ ...context, innerLoop: loop }, [trial(0, 7)]))[0];
    const [first, again, idle] = [await run(innerLoop), await run(innerLoop), await run(untrained)];
    assert.deepEqual(first, again);
    assert.notEqual(first?.adapter, idle?.adapter);
    assert.ok(first!.goldLogprob > idle!.goldLogprob + 0.5, `${first!.goldLogprob} against ${idle!.goldLogprob}`);
    assert.deepEqual([...lm.parameters.flat.readSync()], before);
  });
});

describe("the M-step", () => {
  const edit = (completion: string, isFinished = true): SampledEdit => ({
    kind: "rewrite",
    text: completion,
    prompt: "Passage: Ann Marlow was born in Dover.\nSelf-edit:",
    completion,
    isFinished,
  });
  const example = (completion: string, number: number) => ({
    passage: 0,
    edit: number,
    completions: [edit(completion)],
    weight: 1,
  });
  const update: PolicyUpdate = {
    ...settings.update,
    learningRate: 2e-2,
    epochs: 30,
    lora: { loraRank: 8, loraAlpha: 16, targets: "all" },
  };
  const replay = ["Holm lies on the river.", "The ship sails."];

  test("counts the completion's tokens and its end, and no token of the prompt", async () => {
    const checkpoint = await loadTinyPolicy(modelDirectory);
    const { lm } = checkpoint;
    await using engine = await createEngine(checkpoint);
    const { tokenizer } = engine;
    for (const [isFinished, end] of [
      [true, [tokenizer.eosTokenId]],
      [false, []],
    ] as const) {
      const { tokenIds, lossMask } = completionDocument(engine, edit(" rewrite\nAnn is from Dover.", isFinished));
      const learned = Array.from(tokenIds).filter((_, index) => lossMask![index] === 1);
      assert.deepEqual(learned, [...tokenizer.encode(" rewrite\nAnn is from Dover."), ...end]);
      const [logprobs] = await scoreTokens(lm, [{ tokenIds }]);
      const nats = -logprobs!.slice(-learned.length).reduce((total, value) => total + value, 0);
      const { lossNats, numSupervised } = meanLoss(lm, [{ tokenIds, lossMask: lossMask! }]);
      assert.equal(numSupervised, learned.length);
      assert.ok(
        Math.abs(lossNats * numSupervised - nats) < 1e-3,
        "the loss is that of the completion given the prompt",
      );
    }
  });

  /** Nats per token of two completions before and after an M-step. */
  async function train(kept: Kept, over: Partial<PolicyUpdate>) {
    const checkpoint = await loadTinyPolicy(modelDirectory);
    const { lm } = checkpoint;
    await using engine = await createEngine(checkpoint);
    const documents = [edit(good), edit(bad)].map((completion) => completionDocument(engine, completion));
    const before = meanLoss(lm, documents).perDocument;
    const report = await maximise({ engine, kept, update: { ...update, ...over }, replay, seed: "m" });
    const numTokens = documents.map(({ lossMask }) => Array.from(lossMask!).reduce((total, one) => total + one, 0));
    return { before, after: meanLoss(lm, documents).perDocument, report, numTokens };
  }
  const good = " rewrite\nAnn Marlow was born in Dover.";
  const bad = " plain\nShe kept a cat. She kept a cat.";
  const examples: Kept = { kind: "examples", examples: [example(good, 0)] };
  const pairs: Kept = { kind: "pairs", pairs: [{ chosen: example(good, 0), rejected: example(bad, 1) }] };

  test("raises the log-probability of what was kept, with an adapter or all parameters", async () => {
    for (const method of ["lora", "full"] as const) {
      const { before, after, report } = await train(examples, { method });
      assert.ok(after[0]! < before[0]! - 0.3, `${method}: ${before[0]} to ${after[0]}`);
      assert.deepEqual(report.nats, { before: before[0], after: after[0] });
      assert.equal(report.numSteps, 30);
    }
  });

  test("by preference widens the margin of chosen over rejected; IPO to 1 / (2 beta), where its loss is least", async () => {
    const margins: Record<string, number> = {};
    for (const loss of ["dpo", "ipo"] as const) {
      const objective = { kind: "preference", loss, beta: 0.25, minGap: 0 } as const;
      const { before, after, numTokens } = await train(pairs, { objective, replayShare: 0 });
      const gain = (index: number) => (before[index]! - after[index]!) * numTokens[index]!;
      margins[loss] = gain(0) - gain(1);
    }
    assert.ok(margins["dpo"]! > 4, `the margin moved by ${margins["dpo"]} nats`);
    assert.ok(Math.abs(margins["ipo"]! - 2) < 0.5, `the margin moved by ${margins["ipo"]} nats`);
  });

  test("follows the weights: what weighs nothing is not learned", async () => {
    const weighted: Kept = { kind: "examples", examples: [example(good, 0), { ...example(bad, 1), weight: 0 }] };
    const { before, after } = await train(weighted, { replayShare: 0 });
    assert.ok(before[0]! - after[0]! > 0.3 && before[0]! - after[0]! > 2 * (before[1]! - after[1]!));
  });

  test("with nothing kept changes nothing", async () => {
    const { before, after, report } = await train({ kind: "examples", examples: [] }, {});
    assert.deepEqual(after, before);
    assert.equal(report.nats, null);
  });
});

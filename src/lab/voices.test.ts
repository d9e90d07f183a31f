/** @file Voices, traps and the record of an outer loop, with a tiny random model that one real round has changed. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { summariseRound } from "../../test/support/outer-loop-summary.ts";
import { openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../test/support/tiny-policy.ts";
import {
  applyLearnSettings,
  defaultLearnSettings,
  defaultTemplates,
  type LearnSettings,
  learnKnowledge,
  policyWriter,
  type StageStore,
  uniformSchedule,
} from "../adapt/index.ts";
import { createWorld } from "../tasks/index.ts";
import { almanacSets, namingSets } from "./almanac-sets.ts";
import { score } from "./arms.ts";
import { compact, expand, type JsonValue } from "./compact.ts";
import { type LoopTrials, trialsOfLoop } from "./outer-loops.ts";
import { type PassageSet, plainEnglishSets } from "./passage-sets.ts";
import { sentencesOf } from "./rule.ts";
import { runVoices, voiceArms } from "./voices.ts";
import { tabulateVoices } from "./voices-tables.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-voices-"));
after(() => rmSync(folder, { recursive: true }));
const modelDirectory = await writeTinyPolicy(folder);

function memoryStore(values: Map<string, string>): StageStore {
  return {
    read: async (name) => (values.has(name) ? JSON.parse(values.get(name)!) : null),
    write: async (name, value) => {
      assert.ok(!values.has(name), `${name} is not done twice`);
      values.set(name, JSON.stringify(value));
    },
  };
}

const settings: LearnSettings = applyLearnSettings(
  { ...defaultLearnSettings, numRounds: 1, numEdits: 2, schedule: uniformSchedule(2, 2) },
  {
    innerLoop: { lora: { loraRank: 2, loraAlpha: 4 }, learningRate: 0.02, epochs: 1, maxSteps: 4 },
    update: { lora: { loraRank: 4, loraAlpha: 8 }, learningRate: 0.02, epochs: 1, documentsPerStep: 1, replayShare: 0 },
    groupSize: 3,
  },
  "test",
);
const canaries = { items: [{ question: "Who kept a dog?", answer: "", title: "" }], hasGold: false };
const shared = { modelDirectory, templates: defaultTemplates, canaries };
const report = await learnKnowledge({
  ...{ ...shared, openPolicy: openTinyPolicy, passages: tinyPassages(3), heldOut: [], writer: policyWriter },
  ...{ oldText: null, settings, seed: 5, store: memoryStore(new Map()) },
  directoryOf: (part) => join(folder, part),
});

const passages = tinyPassages(5).slice(3);
const sets: readonly PassageSet[] = [
  { name: "plain", summary: "as they are", split: "validation", passages },
  {
    ...{ name: "trapped", summary: "with a trap", split: "validation", passages, parts: ["one", "two"] },
    traps: new Map(
      passages.map(({ id, questions }) => [id, [{ question: `Where did ${id} die?`, wrong: questions[0]!.answer }]]),
    ),
  },
];

describe("voices", () => {
  test("measure every arm on every set, at the updates of the last round; a second call reads everything", async () => {
    const values = new Map<string, string>();
    const study = {
      ...{ ...shared, open: openTinyPolicy, innerLoop: settings.innerLoop, groupSize: 3 },
      ...{ store: memoryStore(values), runs: [{ seed: 5, policies: [join(folder, "policies", "round-1")] }] },
    };
    const found = await runVoices(study, sets);
    const stages = values.size;
    assert.deepEqual(await runVoices(study, sets), found);
    assert.equal(values.size, stages);
    for (const { seeds } of found)
      for (const { arms } of seeds) {
        assert.deepEqual(Object.keys(arms), [...voiceArms]);
        for (const arm of ["raw", "rule"] as const)
          for (const [task, { numSteps }] of arms[arm].entries())
            assert.equal(numSteps, arms["last round"][task]!.numSteps);
        for (const arm of ["closed book", "reading"] as const) assert.equal(arms[arm][0]!.numSteps, 0);
      }
    const [plain, trapped] = found.map(({ seeds }) => seeds[0]!.arms.raw);
    assert.equal(plain![0]!.trapped, undefined);
    assert.equal(typeof trapped![0]!.trapped, "number");
    assert.deepEqual(
      trapped!.map(({ accuracy, numTokens }) => [accuracy, numTokens]),
      plain!.map(({ accuracy, numTokens }) => [accuracy, numTokens]),
      "traps are asked beside the exam and change nothing of it",
    );
    const tables = tabulateVoices(found, 1);
    assert.deepEqual(
      tables[0]!.rows.map(({ name }) => name),
      ["plain", "trapped", "trapped: one", "trapped: two"],
    );
    const kept = expand(JSON.parse(JSON.stringify(compact(found as unknown as JsonValue))) as JsonValue);
    assert.deepEqual(tabulateVoices(kept as unknown as typeof found, 1), tables, "from the record as it is kept");
  });

  test("an answer counts as told apart only when its value is not given to the other relation as well", () => {
    const [source] = tinyPassages(1);
    const item = (answer: string) => ({ question: "?", answer, title: "" });
    const task = {
      source: source!,
      exam: { source: "given" as const, selection: [item("x")], report: [item("Dover"), item("1909")] },
    };
    const traps = new Map([
      [
        source!.id,
        [
          { question: "Where did she die?", wrong: "Dover" },
          { question: "When did she die?", wrong: "1909" },
        ],
      ],
    ]);
    const answer = (isRight: boolean) => ({ prediction: "", isRight, f1: 0, goldLogprob: 0 });
    const trained = { canaries: null, numSteps: 1, numTokens: 2 };
    const marks = [false, true, true, false, true].map(answer); // selection, two of the report, two traps
    const found = score(10, task, 1, { ...trained, answers: marks }, traps);
    assert.deepEqual([found.accuracy, found.trapped, found.agreed], [1, 0.5, 0.5]);
    const diverged = score(10, task, 1, { ...trained, answers: null }, traps);
    assert.deepEqual([diverged.accuracy, diverged.trapped, diverged.agreed], [0, 0, 0]);
  });
});

describe("passage sets", () => {
  const world = createWorld();
  const people = { seen: world.validation.slice(0, 12), unseen: world.validationUnseen.slice(0, 12) };

  test("the two of the headline differ in how the person is named: once, or in every sentence", () => {
    const [pronoun, named] = namingSets(people.seen, "validation");
    for (const [index, { name, facts }] of people.seen.entries()) {
      const [bare, full] = [pronoun!.passages[index]!, named!.passages[index]!];
      assert.deepEqual(full.questions, bare.questions);
      assert.equal(bare.context.split(name).length, 2, "named once");
      for (const sentence of sentencesOf(full.context)) assert.ok(sentence.includes(name), sentence);
      for (const text of [bare.context, full.context])
        for (const value of Object.values(facts)) assert.ok(text.includes(value));
    }
  });

  test("every set tells what it asks and never the answer to a trap; names are its own", () => {
    const sets = [...almanacSets(people, "validation"), ...plainEnglishSets()];
    assert.equal(new Set(sets.map(({ name }) => name)).size, sets.length);
    for (const { name, passages: own, traps } of sets)
      for (const { id, context, questions } of own) {
        const text = context.toLowerCase();
        for (const { answer } of questions) assert.ok(text.includes(answer.toLowerCase()), `${name}: ${answer}`);
        const asked = new Set(questions.map(({ question }) => question));
        for (const { question, wrong } of traps!.get(id)!) {
          assert.ok(!asked.has(question), `${name}: ${question}`);
          assert.ok(
            questions.some(({ answer }) => answer === wrong),
            `${name}: ${wrong}`,
          );
        }
      }
  });
});

describe("the record of an outer loop", () => {
  test("says of a round what its report says, reliability included, after it went through a file", () => {
    const trials = trialsOfLoop(report, 5, "common");
    const kept = expand(JSON.parse(JSON.stringify(compact(trials as unknown as JsonValue))) as JsonValue);
    const loop = kept as unknown as LoopTrials;
    report.rounds.forEach((round, index) => {
      const found = summariseRound(loop.rounds[index]!, loop.randomNumbers);
      const near = (value: number, wanted: number | null) =>
        assert.ok(Math.abs(value - wanted!) < 1e-9, `${value} ${wanted}`);
      near(found.meanAccuracy, round.meanAccuracy);
      near(found.keptAccuracy, round.keptAccuracy);
      near(found.meanReward, round.meanReward);
      assert.ok(round.reliability !== null, "two trials of every edit");
      near(found.reliability!.ofOne.value, round.reliability.ofOne.value);
      near(found.reliability!.ofAll.low, round.reliability.ofAll.low);
      assert.equal(loop.rounds[index]!.trials.length, round.numTrials);
      for (const { numSteps } of loop.rounds[index]!.trials) assert.ok(numSteps > 0);
    });
  });
});

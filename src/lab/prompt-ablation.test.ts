/** @file The ablation of prompts: each prompt's outer loop stands alone, and the oracle's edits say everything. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../test/support/tiny-policy.ts";
import {
  applyLearnSettings,
  asPolicyEdit,
  defaultLearnSettings,
  defaultTemplates,
  type EditWriter,
  editPrompt,
  kindWriter,
  type LearnKnowledgeArgs,
  learnKnowledge,
  policyWriter,
  type StageStore,
  selfEditDocuments,
  selfEditKinds,
  uniformSchedule,
} from "../adapt/index.ts";
import { almanacPassages, createWorld, type Person } from "../tasks/index.ts";
import { createRng } from "../util/index.ts";
import { answerCoverage } from "./coverage.ts";
import { ablatePrompts, oracleWriter, type PromptAblationArgs } from "./prompt-ablation.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-prompts-"));
after(() => rmSync(folder, { recursive: true }));
const modelDirectory = await writeTinyPolicy(folder);
const policy = { engine: await openTinyPolicy(modelDirectory), templates: defaultTemplates };
after(() => policy.engine[Symbol.asyncDispose]());
const settings = applyLearnSettings(
  { ...defaultLearnSettings, numEdits: 2, schedule: uniformSchedule(2, 1), passagesPerRound: 2 },
  {
    innerLoop: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1, maxSteps: 2 },
    update: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1, documentsPerStep: 2 },
    numReplay: 4,
  },
  "test",
);

const memoryStore = (values: Map<string, string>): StageStore => ({
  read: async (name) => (values.has(name) ? JSON.parse(values.get(name)!) : null),
  write: async (name, value) => {
    assert.ok(!values.has(name), `${name} is not done twice`);
    values.set(name, JSON.stringify(value));
  },
});

const argsWith = (name: string, store: StageStore): Omit<PromptAblationArgs, "prompts" | "oracle"> => ({
  modelDirectory,
  openPolicy: openTinyPolicy,
  templates: defaultTemplates,
  canaries: { items: [{ question: "Who?", answer: "", title: "" }], hasGold: false },
  passages: tinyPassages(4),
  heldOut: tinyPassages(5).slice(4),
  settings,
  seed: 3,
  store,
  directoryOf: (part) => join(folder, name, part),
});

/** Says everything about the tiny passages: the passage again. */
const parrot: EditWriter = async ({ templates }, sources) =>
  sources.map((source) => [asPolicyEdit(templates, source, { kind: "rewrite", text: source.context }, true)]);

describe("the ablation of prompts", () => {
  test("gives each prompt the outer loop it would have alone, and computes nothing twice", async () => {
    const values = new Map<string, string>();
    const args = {
      ...argsWith("all", memoryStore(values)),
      prompts: ["rewrite", "open"] as const,
      oracle: () => parrot,
    };
    const figures = await ablatePrompts(args);
    const writers = { rewrite: kindWriter("rewrite"), open: policyWriter };
    for (const { prompt, policies, rounds, oracle } of figures) {
      const name = prompt as keyof typeof writers;
      const kinds = new Set<string>();
      const alone: LearnKnowledgeArgs = {
        ...argsWith(`alone-${name}`, memoryStore(new Map())),
        ...{ writer: writers[name], oldText: null },
        onExamined: (_round, found) => {
          for (const { kind } of found.candidates.flat().flatMap(({ members }) => members)) kinds.add(kind);
        },
      };
      const report = await learnKnowledge(alone);
      assert.deepEqual(
        policies.map(({ perPassage, kept, policyKept, meanTokens }) => ({ perPassage, kept, policyKept, meanTokens })),
        report.evaluations.map(({ perPassage, kept, policyKept, meanTokens }) => ({
          ...{ perPassage, kept, policyKept, meanTokens },
        })),
      );
      const digests = report.rounds.map(({ policy }) => policy.digest);
      const recorded = [1, 2].map((round) => JSON.parse(values.get(`${name}/round-${round}/policy`)!).policy.digest);
      assert.deepEqual(recorded, digests);
      assert.deepEqual(
        rounds.map(({ numTrials }) => numTrials),
        [4, 4],
      );
      if (name === "rewrite") {
        assert.deepEqual([...kinds], ["rewrite"], "and no other kind");
        assert.equal(oracle!.coverage, 1, "the parrot says it all");
      } else assert.equal(oracle, null, "which has no kind of its own");
    }
    const stages = new Map(values);
    assert.deepEqual(await ablatePrompts(args), figures);
    assert.deepEqual(values, stages);
  });
});

describe("all-facts edits", () => {
  const people = createWorld().test.slice(0, 2);
  const sources = almanacPassages(people);
  const write = (kind: (typeof selfEditKinds)[number], about: readonly Person[] = people) =>
    oracleWriter(about, kind)(policy, sources, 1, createRng("oracle"));

  test("of every kind state each fact, in the words the policy would have been given and would have written", async () => {
    for (const kind of selfEditKinds)
      for (const [index, [edit]] of (await write(kind)).entries()) {
        const source = sources[index]!;
        const items = source.questions.map((question) => ({ ...question, title: "" }));
        assert.equal(answerCoverage(items, edit!.text), 1, `${kind}: ${edit!.text}`);
        assert.equal(edit!.prompt, editPrompt(defaultTemplates, source, kind));
        assert.ok(`${edit!.prompt}${edit!.completion}`.endsWith(edit!.text));
        const documents = selfEditDocuments(edit!, source, defaultTemplates);
        assert.equal(documents.at(-1), source.context);
        if (kind === "self-qa" || kind === "implications") assert.equal(documents.length, 6 + 1);
      }
  });

  test("are refused about strangers", async () => {
    await assert.rejects(write("rewrite", people.slice(1)), /expected passages about people of the Almanac, got/);
  });

  test("are counted by whole words, without regard to case and punctuation", () => {
    const items = ["Dover", "1931", "the Sea Lark", "Ann"].map((answer) => ({ question: "?", answer, title: "" }));
    assert.equal(answerCoverage(items, "Anna sailed on “The sea lark” from Dovertown in 1931."), 0.5);
    assert.equal(answerCoverage(items, ""), 0);
  });
});

/**
 * @file The experiments on policies with a tiny random model that two real rounds have changed: the same figures as the
 * outer loop's own evaluations, budgets that hold, choices that are the best of their samples, and nothing done twice.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../test/support/tiny-policy.ts";
import {
  applyLearnSettings,
  defaultLearnSettings,
  defaultTemplates,
  type LearnReport,
  type LearnSettings,
  learnKnowledge,
  policyWriter,
  type StageStore,
  uniformSchedule,
} from "../adapt/index.ts";
import { type ArmScore, createArmContext, measureArm, stepsForTokens } from "./arms.ts";
import { outerCost, runEqualCompute } from "./equal-compute.ts";
import { tabulateEqualCompute } from "./equal-compute-tables.ts";
import type { PolicyStudy } from "./policies.ts";
import { runSinglePassage } from "./single-passage.ts";
import { tabulateSinglePassage } from "./single-passage-tables.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-policies-"));
after(() => rmSync(folder, { recursive: true }));
const modelDirectory = await writeTinyPolicy(folder);

const settings: LearnSettings = applyLearnSettings(
  { ...defaultLearnSettings, numEdits: 2, schedule: uniformSchedule(2, 1) },
  {
    innerLoop: { lora: { loraRank: 2, loraAlpha: 4 }, learningRate: 0.02, epochs: 1, maxSteps: 4 },
    update: { lora: { loraRank: 4, loraAlpha: 8 }, learningRate: 0.02, epochs: 2, documentsPerStep: 1, replayShare: 0 },
    groupSize: 3,
  },
  "test",
);

function memoryStore(values: Map<string, string>): StageStore {
  return {
    read: async (name) => (values.has(name) ? JSON.parse(values.get(name)!) : null),
    write: async (name, value) => {
      assert.ok(!values.has(name), `${name} is not done twice`);
      values.set(name, JSON.stringify(value));
    },
  };
}

const heldOut = tinyPassages(4).slice(2);
const canaries = { items: [{ question: "Who kept a dog?", answer: "", title: "" }], hasGold: false };
const shared = { modelDirectory, templates: defaultTemplates, canaries };
const seeds = [3, 4];
const reports: LearnReport[] = [];
for (const seed of seeds)
  reports.push(
    await learnKnowledge({
      ...{ ...shared, openPolicy: openTinyPolicy, passages: tinyPassages(2), heldOut, writer: policyWriter },
      ...{ oldText: null, settings, seed, store: memoryStore(new Map()) },
      directoryOf: (part) => join(folder, `${seed}`, part),
    }),
  );

const studyWith = (store: StageStore): PolicyStudy => ({
  ...{ ...shared, open: openTinyPolicy, passages: heldOut, innerLoop: settings.innerLoop, groupSize: 3, store },
  runs: seeds.map((seed) => ({
    seed,
    policies: [1, 2].map((round) => join(folder, `${seed}`, "policies", `round-${round}`)),
  })),
});

const meanOf = (scores: readonly ArmScore[], key: "accuracy" | "goldLogprob" | "numTokens"): number =>
  scores.reduce((total, score) => total + score[key], 0) / scores.length;

describe("single-passage", async () => {
  const values = new Map<string, string>();
  const findings = await runSinglePassage(studyWith(memoryStore(values)));

  test("measures every policy as the outer loop's own evaluation does, and no two alike", async () => {
    findings.forEach(({ arms, seed }, index) => {
      const { evaluations } = reports[index]!;
      const names = ["self-edit of the untrained policy", "SEAL, round 1", "SEAL, round 2"];
      const logprobs = names.map((name, round) => {
        const { scores } = arms.find((arm) => arm.name === name)!;
        const found = evaluations[round]!;
        assert.ok(Math.abs(meanOf(scores, "goldLogprob") - found.goldLogprob) < 1e-6, `${name} of seed ${seed}`);
        assert.deepEqual(
          scores.map(({ accuracy }) => accuracy),
          found.perPassage,
        );
        return found.goldLogprob;
      });
      assert.equal(new Set(logprobs).size, 3, "three policies");
    });
    assert.notDeepEqual(findings[0]!.arms, findings[1]!.arms, "seeds differ");
    const asSet = (found: typeof findings) => [{ set: "tiny", summary: "two people", findings: found }];
    const [tables, stages] = [tabulateSinglePassage(asSet(findings), 2), values.size];
    const again = await runSinglePassage(studyWith(memoryStore(values)));
    assert.deepEqual(tabulateSinglePassage(asSet(again), 2), tables, "read from the store");
    assert.equal(values.size, stages);
  });

  test("controls take exactly the updates of the edits they control for; swapped edits cost what they cost their writer", () => {
    const { arms } = findings[0]!;
    const stepsOf = (name: string) => scoresOf(arms, name).map(({ numSteps }) => numSteps);
    assert.deepEqual(stepsOf("raw, updates of the untrained edit"), stepsOf("self-edit of the untrained policy"));
    assert.deepEqual(stepsOf("raw, updates of round 2's edit"), stepsOf("SEAL, round 2"));
    assert.deepEqual(stepsOf("rule without a model, updates of round 2's edit"), stepsOf("SEAL, round 2"));
    const [own, swapped] = ["SEAL, round 2", "edit of round 2, learned by untrained"].map((name) =>
      scoresOf(arms, name),
    );
    assert.equal(meanOf(own!, "numTokens"), meanOf(swapped!, "numTokens"));
    assert.notEqual(meanOf(own!, "goldLogprob"), meanOf(swapped!, "goldLogprob"), "other models");
  });
});

function scoresOf(arms: readonly { readonly name: string; readonly scores: readonly ArmScore[] }[], name: string) {
  return arms.find((arm) => arm.name === name)!.scores;
}

describe("equal-compute", () => {
  test("other documents are trained to within half a document of the budget; one's own budget is one's own steps", async () => {
    await using engine = await openTinyPolicy(modelDirectory);
    const passages = tinyPassages(3);
    const context = await createArmContext({
      ...{ name: "budget", engine, templates: defaultTemplates, canaries, passages, seed: 5 },
      store: memoryStore(new Map()),
    });
    const innerLoop = { ...settings.innerLoop, epochs: 3, maxSteps: null };
    const long = context.tasks.map(({ source }) => [
      source.context,
      `${source.id} sailed.`,
      "A cat, a cat, a cat, a cat.",
    ]);
    const short = context.tasks.map(({ source }) => [source.id, `${source.id} sailed away from the town.`]);
    const scores = await measureArm(context, { name: "long", innerLoop, documents: long });
    const budgets = scores.map(({ numTokens }) => numTokens);
    assert.deepEqual(
      await stepsForTokens(context, { innerLoop, documents: long }, budgets),
      scores.map(({ numSteps }) => numSteps),
    );
    for (const share of [1, 0.3, 2.7]) {
      const wanted = budgets.map((budget) => share * budget);
      const numSteps = await stepsForTokens(context, { innerLoop, documents: short }, wanted);
      const found = await measureArm(context, { name: `short-${share}`, innerLoop, documents: short, numSteps });
      found.forEach(({ numTokens }, passage) => {
        const longest = Math.max(...short[passage]!.map((text) => engine.tokenizer.encode(text).length + 1));
        assert.ok(Math.abs(numTokens - wanted[passage]!) <= longest / 2, `${numTokens} for ${wanted[passage]}`);
      });
    }
  });

  test("costs add up, the chosen edit is the best of its samples, and a second call reads everything", async () => {
    const values = new Map<string, string>();
    const counts = { few: 2, many: 3 };
    const study = studyWith(memoryStore(values));
    const one: PolicyStudy = { ...study, runs: study.runs.slice(0, 1) };
    const findings = await runEqualCompute(one, counts);
    for (const { samples, atUpdates, atRound, atUntrained } of findings) {
      for (const { passages } of atUpdates)
        passages.forEach(({ score }, passage) => {
          assert.equal(score.numSteps, atUpdates[0]!.passages[passage]!.score.numSteps, "the very same updates");
        });
      const armOf = (name: string) => samples.find((arm) => arm.name === name)!.passages;
      const [few, many] = [armOf("untrained, best of 2 by questions"), armOf("untrained, best of 3 by questions")];
      armOf("edit of the untrained policy").forEach(({ score, numTokens }, passage) => {
        assert.equal(numTokens, score.numTokens);
        const [some, most] = [few[passage]!, many[passage]!];
        assert.ok(numTokens < some.numTokens && some.numTokens < most.numTokens, "every sample is paid for");
        const worth = [score, some.score, most.score].map((one) => one.selection * 1e6 + one.selectionLogprob);
        assert.ok(worth[0]! <= worth[1]! && worth[1]! <= worth[2]!, "more samples, no worse a choice");
      });
      for (const arms of [atRound, atUntrained])
        for (const { passages } of arms)
          passages.forEach(({ numTokens }, passage) => {
            const difference = Math.abs(numTokens - arms[0]!.passages[passage]!.numTokens);
            assert.ok(difference <= 128, `half of the longest sequence at most, got ${difference}`);
          });
    }
    const costs = reports.map((report) => outerCost(report, settings));
    const stages = values.size;
    const tabulate = (found: typeof findings) =>
      tabulateEqualCompute({ sets: [{ set: "tiny", summary: "two people", findings: found }], costs, numRounds: 2 });
    const tables = tabulate(findings);
    const again = await runEqualCompute(one, counts);
    assert.deepEqual(tabulate(again), tables);
    assert.equal(values.size, stages);
  });

  test("the outer loop's cost is that of its candidates, each as often as it was tried", () => {
    const { trialTokens, updateTokens } = outerCost(reports[0]!, settings);
    const candidates = reports[0]!.rounds.flatMap((round) => round.candidates);
    assert.equal(candidates.length, 4, "two rounds of one passage with two edits");
    assert.equal(
      trialTokens,
      candidates.reduce((total, { numTokens }) => total + numTokens, 0),
      "each tried once, for one epoch",
    );
    const kept = candidates.filter(({ isKept }) => isKept);
    assert.equal(
      updateTokens,
      2 * kept.reduce((total, { numTokens }) => total + numTokens, 0),
      "two epochs, no replay",
    );
  });

  test("runs without rounds are refused", async () => {
    const study = studyWith(memoryStore(new Map()));
    await assert.rejects(
      runEqualCompute({ ...study, runs: [] }, { few: 1, many: 1 }),
      /expected runs of at least 1 rounds/,
    );
    await assert.rejects(
      runSinglePassage({ ...study, runs: [{ seed: 9, policies: [] }] }),
      /got 0 in the run of seed 9/,
    );
  });
});

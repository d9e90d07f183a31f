/** @file The comparison of rewards: arms pay for what they see and see no more; on a tiny random model an arm is the outer loop itself. */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { openTinyPolicy, tinyPassages, writeTinyPolicy } from "../../test/support/tiny-policy.ts";
import {
  applyLearnSettings,
  defaultLearnSettings,
  defaultTemplates,
  denseReward,
  learnKnowledge,
  type PassageTrials,
  policyWriter,
  type StageStore,
  trialsOfPassage,
  uniformSchedule,
} from "../adapt/index.ts";
import { createPlans, denseArmName, randomReward, rewardOfTried, sealArmName, seeProxyBest } from "./reward-arms.ts";
import { compareRewards, type RewardComparisonArgs } from "./reward-comparison.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-rewards-"));
after(() => rmSync(folder, { recursive: true }));
const modelDirectory = await writeTinyPolicy(folder);

const settings = applyLearnSettings(
  defaultLearnSettings,
  {
    innerLoop: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1, maxSteps: 2 },
    update: { lora: { loraRank: 2, loraAlpha: 4 }, epochs: 1, documentsPerStep: 2 },
    numReplay: 4,
    groupSize: 50,
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

const argsWith = (name: string, store: StageStore): Omit<RewardComparisonArgs, "seeds"> => ({
  modelDirectory,
  openPolicy: openTinyPolicy,
  templates: defaultTemplates,
  canaries: { items: [{ question: "Who?", answer: "", title: "" }], hasGold: false },
  passages: tinyPassages(4),
  heldOut: tinyPassages(5).slice(4),
  ...{ numPassages: 2, numEdits: 2, repetitions: 2, numTrialCanaries: 1 },
  settings,
  store,
  directoryOf: (part) => join(folder, name, part),
});

describe("the comparison of rewards", () => {
  test("has the outer loop's own policy in its dense arm, pays for what each arm sees, and leaves no policy behind", async () => {
    const store = memoryStore(new Map());
    const names = {
      binary: "binary: all edits better than none",
      shrunk: "shrunk: posterior mean of accuracy",
      retention: "retention: accuracy less what was forgotten",
      first: "dense, first repetition alone",
      more: "dense, one repetition, more edits",
      filter: "proxy's best 2 of more edits, then dense",
      keepTwo: "dense, keep 2",
      control: "control: a random edit",
    };
    const chosenArms = [sealArmName, denseArmName, ...Object.values(names)];
    const { arms, untrained, reliability } = await compareRewards({
      ...argsWith("all", store),
      arms: chosenArms,
      seeds: [3],
    });
    const { rounds, evaluations } = await learnKnowledge({
      ...argsWith("learn", memoryStore(new Map())),
      settings: { ...settings, numRounds: 1, passagesPerRound: 2, numEdits: 2, schedule: uniformSchedule(2, 2) },
      ...{ seed: 3, writer: policyWriter, oldText: null },
    });
    const armOf = (name: string) => arms.find((arm) => arm.name === name)!;
    const dense = armOf(denseArmName);
    assert.deepEqual(dense.policies, [rounds[0]!.policy.digest], "though canaries were asked in trials");
    assert.deepEqual(dense.scores, [evaluations[1]!.perPassage]);
    assert.deepEqual(untrained, [evaluations[0]!.perPassage]);
    assert.deepEqual(dense.reliability, rounds[0]!.reliability);
    assert.deepEqual(
      reliability[0]!.ofOne,
      rounds[0]!.reliability?.ofOne ?? null,
      "the first row is the shared trials'",
    );
    assert.equal(dense.chosenAccuracy, rounds[0]!.keptAccuracy);
    const trialsOf = (name: string) => armOf(name).cost.numTrials;
    assert.deepEqual([sealArmName, denseArmName, names.more].map(trialsOf), [8, 8, 8]);
    assert.deepEqual([names.first, names.filter, names.control].map(trialsOf), [4, 4, 0]);
    assert.deepEqual(
      arms.filter(({ cost }) => cost.numCanaryQuestions > 0).map(({ name, cost }) => [name, cost.numCanaryQuestions]),
      [[names.retention, 8]],
    );
    const shrunk = armOf(names.shrunk);
    assert.deepEqual(shrunk.policies, armOf(sealArmName).policies, "equally many trials of each edit keep their order");
    const binary = armOf(names.binary);
    const isBetter = rounds[0]!.candidates.filter(({ accuracy }) => accuracy! > 0); // the tiny base knows nothing
    assert.equal(rounds[0]!.baseAccuracy, 0);
    assert.equal(binary.cost.numUpdates, Math.ceil(isBetter.length / 2));
    assert.equal(armOf(names.keepTwo).cost.numUpdates, 2, "four examples, two at a time");
    const left = readdirSync(join(folder, "all"), { recursive: true, encoding: "utf8" });
    assert.ok(!left.some((file) => file.endsWith(".safetensors")));
    assert.ok(existsSync(join(folder, "learn", "policies", "round-1", "model.safetensors")));
  });

  test("an arm is the same alone as among others, and a second call computes nothing", async () => {
    const values = new Map<string, string>();
    const arms = [sealArmName, "dense, keep 2", "dense, IPO"];
    const args = { ...argsWith("again", memoryStore(values)), arms };
    const seeds = [4, 5];
    const whole = await compareRewards({ ...args, seeds });
    const stages = new Map(values);
    let opened = 0;
    const openPolicy = (directory: string) => {
      opened++;
      return openTinyPolicy(directory);
    };
    assert.deepEqual(await compareRewards({ ...args, openPolicy, seeds }), whole);
    assert.equal(opened, seeds.length, "the untrained policy, for its tokenizer");
    assert.deepEqual(values, stages);
    for (const name of stages.keys()) if (/^seed-5\/arm\/dense-(IPO|keep-2)/.test(name)) values.delete(name);
    assert.ok(values.size < stages.size);
    assert.deepEqual(await compareRewards({ ...args, seeds }), whole);
    assert.deepEqual(new Map([...values].sort()), new Map([...stages].sort()));
    const [first, second] = whole.arms[0]!.policies;
    assert.notEqual(first, second, "seeds differ");
  });
});

describe("arms", () => {
  const trial = (goldLogprob: number) => ({ accuracy: 0.5, goldLogprob, kept: null, seed: 1 });
  const passage: PassageTrials = {
    passageId: "ann",
    passage: "Ann Marlow was born in Dover. She kept a cat.",
    baseAccuracy: 0,
    baseGoldLogprob: -4,
    edits: [
      "It rained.",
      "Ann Marlow was born in Dover.\nAnn Marlow kept a cat.",
      "Ann Marlow kept a dog in Holm.",
    ].map((text, index) => ({
      edit: { kind: "rewrite", text },
      numTokens: 10,
      trials: [trial(-3 + index), trial(-1)],
    })),
  };

  test("of a filter see one trial of the edits it lets through, and rank no other above them", () => {
    const [seen] = seeProxyBest(1)([passage]);
    assert.deepEqual(
      seen!.edits.map(({ trials }) => trials.length),
      [0, 1, 0],
      "the edit that says what the passage says",
    );
    assert.deepEqual(rewardOfTried(denseReward).score([seen!]), [
      [Number.NEGATIVE_INFINITY, -2 - -4, Number.NEGATIVE_INFINITY],
    ]);
  });

  test("of the control choose at random: repeatably, whatever was measured, each edit about as often", () => {
    const many = Array.from({ length: 300 }, (_, index) => ({ ...passage, passageId: `${index}` }));
    const chosen = randomReward.score(many).map((row) => row.indexOf(Math.max(...row)));
    const unmeasured = many.map((one) => ({ ...one, edits: one.edits.map((edit) => ({ ...edit, trials: [] })) }));
    assert.deepEqual(randomReward.score(unmeasured), randomReward.score(many));
    for (const edit of [0, 1, 2]) {
      const count = chosen.filter((index) => index === edit).length;
      assert.ok(Math.abs(count - 100) < 33, `edit ${edit} was chosen ${count} times`); // four standard deviations
    }
  });

  test("spend equally many trials, successive halving at most as many", () => {
    const plans = createPlans({ numPassages: 50, numEdits: 5, repetitions: 3, numTrialCanaries: 12 });
    const { oneKind, asSeal, asSealOneKind, ...compared } = plans;
    for (const { settings: own, numPassages } of [oneKind, asSeal, asSealOneKind])
      assert.equal(numPassages * trialsOfPassage(own.schedule), 375, "of half the passages, for reliability alone");
    for (const { name, settings: own, numPassages } of Object.values(compared)) {
      const numTrials = numPassages * trialsOfPassage(own.schedule);
      if (name === "halving") assert.ok(numTrials <= 750 && numTrials > 600, `${numTrials}`);
      else assert.equal(numTrials, 750, name);
    }
  });
});

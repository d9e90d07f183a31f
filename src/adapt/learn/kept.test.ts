import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SampledEdit } from "../propose.ts";
import type { Expectation } from "./expectation.ts";
import { choose, type Kept } from "./kept.ts";
import { preferenceLoss } from "./preference.ts";
import { checkLearnSettings, defaultLearnSettings, halvingSchedule } from "./settings.ts";
import { applyLearnSettings } from "./settings-file.ts";

const edit = (name: string): SampledEdit => ({
  kind: "rewrite",
  text: name,
  prompt: "p",
  completion: name,
  isFinished: true,
});

/** Candidates `a`, `b`, `c` of each passage with these rewards, and gold log-probabilities for ties. */
function found(rewards: readonly (readonly number[])[], goldLogprobs = rewards): Expectation {
  const candidates = rewards.map((row) =>
    row.map((_, index) => ({ members: [edit("abc"[index]!)], documents: [], numTokens: 1 })),
  );
  const trials = rewards.map((row, passage) => ({
    passageId: `${passage}`,
    passage: "",
    baseAccuracy: 0,
    baseGoldLogprob: 0,
    edits: row.map((_, index) => ({
      edit: edit("abc"[index]!),
      numTokens: 1,
      trials: [{ accuracy: 0, goldLogprob: goldLogprobs[passage]![index]!, kept: null, seed: 0 }],
    })),
  }));
  return { candidates, trials, rewards, records: [] };
}

const texts = (kept: Kept): unknown =>
  kept.kind === "pairs"
    ? kept.pairs.map(({ chosen, rejected }) => [chosen.completions[0]!.text, rejected.completions[0]!.text])
    : kept.examples.map(({ passage, completions, weight }) => [passage, completions[0]!.text, weight]);

describe("what the policy learns from", () => {
  test("rest-em keeps the best of each passage, whatever it is worth, and breaks ties by log-probability", () => {
    const objective = { kind: "rest-em", keep: 1, minReward: null } as const;
    const kept = choose(
      objective,
      found(
        [
          [0.2, 0.9, 0.1],
          [0, 0, 0],
          [-3, -2, -2],
        ],
        [
          [0, 0, 0],
          [-5, -4, -6],
          [0, -2, -1],
        ],
      ),
    );
    assert.deepEqual(texts(kept), [
      [0, "b", 1],
      [1, "b", 1],
      [2, "c", 1],
    ]);
  });

  test("with a least reward, and several to keep, a passage may give some, all or none", () => {
    const objective = { kind: "rest-em", keep: 2, minReward: 0.15 } as const;
    const kept = choose(
      objective,
      found([
        [0.2, 0.9, 0.8],
        [0, 0, 0.2],
        [0, 0, 0],
      ]),
    );
    assert.deepEqual(texts(kept), [
      [0, "b", 1],
      [0, "c", 1],
      [1, "c", 1],
    ]);
  });

  test("preference sets the best against the worst, where they differ enough", () => {
    const rewards = [
      [0.2, 0.9, 0.1],
      [0, 0, 0],
      [0.5, 0.45, 0.5],
    ];
    const of = (minMargin: number) =>
      texts(choose({ kind: "preference", loss: "dpo", beta: 0.1, minMargin }, found(rewards)));
    assert.deepEqual(of(0), [
      ["b", "c"],
      ["a", "b"],
    ]);
    assert.deepEqual(of(0.1), [["b", "c"]]);
  });

  test("advantage weighs every completion by exp of its standardised advantage, with mean 1", () => {
    const objective = { kind: "advantage", temperature: 1, maxWeight: 20 } as const;
    const kept = choose(
      objective,
      found([
        [1, 0],
        [2, 2],
      ]),
    );
    assert.equal(kept.kind, "examples");
    const weights = kept.kind === "examples" ? kept.examples.map(({ weight }) => weight) : [];
    // advantages ±½, 0, 0; their root mean square is √⅛, so ±√2
    const raw = [Math.exp(Math.SQRT2), Math.exp(-Math.SQRT2), 1, 1];
    const mean = raw.reduce((total, value) => total + value, 0) / 4;
    weights.forEach((weight, index) => {
      assert.ok(Math.abs(weight - raw[index]! / mean) < 1e-12);
    });
    assert.deepEqual(choose(objective, found([[1, 1]])), { kind: "examples", examples: [] }, "nothing to tell apart");
  });
});

describe("preference losses", () => {
  test("are ln 2 and 1 / (4 beta²) while policy and reference agree", () => {
    assert.ok(Math.abs(preferenceLoss("dpo", 0, 0.1).loss - Math.LN2) < 1e-12);
    assert.ok(Math.abs(preferenceLoss("ipo", 0, 0.1).loss - 25) < 1e-12);
  });

  test("have the derivative that finite differences give, far out as well", () => {
    for (const kind of ["dpo", "ipo"] as const)
      for (const margin of [-300, -2, 0, 0.7, 300]) {
        const h = 1e-4;
        const slope =
          (preferenceLoss(kind, margin + h, 0.3).loss - preferenceLoss(kind, margin - h, 0.3).loss) / (2 * h);
        assert.ok(Math.abs(slope - preferenceLoss(kind, margin, 0.3).gradient) < 1e-5, `${kind} at ${margin}`);
      }
  });
});

describe("settings", () => {
  test("halving trains all once and gives the last ones as many trainings as a uniform schedule", () => {
    assert.deepEqual(halvingSchedule(5, 3), [
      { survivors: 5, repetitions: 1 },
      { survivors: 3, repetitions: 1 },
      { survivors: 2, repetitions: 1 },
    ]);
    assert.deepEqual(halvingSchedule(5, 1), [{ survivors: 5, repetitions: 1 }]);
  });

  test("a file changes what it names and keeps the rest", () => {
    const settings = applyLearnSettings(
      defaultLearnSettings,
      {
        innerLoop: { lora: { targets: ["q_proj"] }, maxSteps: 50 },
        update: { objective: { kind: "preference", loss: "ipo" } },
      },
      "f.json",
    );
    assert.deepEqual(settings.innerLoop.lora, { ...defaultLearnSettings.innerLoop.lora, targets: ["q_proj"] });
    assert.deepEqual(settings.update.objective, { kind: "preference", loss: "ipo", beta: 0.1, minMargin: 0 });
    assert.equal(settings.innerLoop.epochs, defaultLearnSettings.innerLoop.epochs);
  });

  test("misspelt names, wrong types and impossible values are refused by name", () => {
    const refuse = (value: unknown, message: RegExp) =>
      assert.throws(() => applyLearnSettings(defaultLearnSettings, value, "f.json"), message);
    refuse({ innerLoop: { epocs: 3 } }, /f\.json: .*innerLoop.*epocs/);
    refuse({ numRounds: "two" }, /numRounds/);
    refuse({ update: { replayShare: 1 } }, /replayShare/);
    refuse({ numEdits: 4 }, /first rung.*all 4 edits/);
    checkLearnSettings(defaultLearnSettings);
  });
});

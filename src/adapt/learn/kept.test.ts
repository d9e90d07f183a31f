import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SampledEdit } from "../propose.ts";
import { halvingRounds } from "../rewards/selection.ts";
import { type Choice, choose as chooseFrom, type Kept } from "./kept.ts";
import { checkLearnSettings, defaultLearnSettings, type PolicyObjective, trialsOfPassage } from "./settings.ts";
import { applyLearnSettings } from "./settings-file.ts";

const edit = (name: string): SampledEdit => ({
  kind: "rewrite",
  text: name,
  prompt: "p",
  completion: name,
  isFinished: true,
});

/** Candidates `a`, `b`, `c` of each passage with these rewards, and gold log-probabilities for ties. */
function found(rewards: readonly (readonly number[])[], goldLogprobs = rewards): Choice {
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
  return { candidates, trials, rewards };
}

/** Changing nothing is worth 0.15 everywhere. */
const choose = (objective: PolicyObjective, choice: Choice): Kept =>
  chooseFrom(
    objective,
    choice,
    choice.rewards.map(() => 0.15),
  );

const texts = (kept: Kept): unknown =>
  kept.kind === "pairs"
    ? kept.pairs.map(({ chosen, rejected }) => [chosen.completions[0]!.text, rejected.completions[0]!.text])
    : kept.examples.map(({ passage, completions, weight }) => [passage, completions[0]!.text, weight]);

describe("what the policy learns from", () => {
  test("rest-em keeps the best of each passage, whatever it is worth, and breaks ties by log-probability", () => {
    const objective = { kind: "rest-em", keep: 1, aboveBase: false } as const;
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

  test("above the base, and several to keep, a passage may give some, all or none", () => {
    const objective = { kind: "rest-em", keep: 2, aboveBase: true } as const;
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
    const of = (minGap: number) =>
      texts(choose({ kind: "preference", loss: "dpo", beta: 0.1, minGap }, found(rewards)));
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

describe("settings", () => {
  test("a schedule costs the sum of its parts", () => {
    assert.equal(trialsOfPassage(defaultLearnSettings.schedule), 15);
    assert.equal(trialsOfPassage(halvingRounds(5, 10)), 9); // 5 × 1, then 2 × 2
    assert.equal(trialsOfPassage([]), 0);
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
    assert.deepEqual(settings.update.objective, { kind: "preference", loss: "ipo", beta: 0.1, minGap: 0 });
    assert.equal(settings.innerLoop.epochs, defaultLearnSettings.innerLoop.epochs);
  });

  test("misspelt names, wrong types and impossible values are refused by name", () => {
    const refuse = (value: unknown, message: RegExp) =>
      assert.throws(() => applyLearnSettings(defaultLearnSettings, value, "f.json"), message);
    refuse({ innerLoop: { epocs: 3 } }, /f\.json: .*innerLoop.*epocs/);
    refuse({ numRounds: "two" }, /numRounds/);
    refuse({ update: { replayShare: 1 } }, /replayShare/);
    refuse({ numEdits: 4 }, /first part of the schedule.*all 4 edits/);
    checkLearnSettings(defaultLearnSettings);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createRng, mean, reliability, varianceComponents } from "../../util/index.ts";
import { designOf, lengthReward, retentionReward, rewardDesign, rewards, shrunkReward } from "./rewards.ts";
import type { EditTrials, PassageTrials, TrialScore } from "./trials.ts";

const near = (got: number, wanted: number, tolerance = 1e-9): void =>
  assert.ok(Math.abs(got - wanted) <= tolerance, `expected ${wanted}, got ${got}`);

const trial = (accuracy: number, goldLogprob = -3, kept: number | null = 1, seed = 0): TrialScore => ({
  accuracy,
  goldLogprob,
  kept,
  seed,
});

const edit = (trials: readonly TrialScore[], numTokens = 40, text = ""): EditTrials => ({
  edit: { kind: "implications", text },
  numTokens,
  trials,
});

const passage = (edits: readonly EditTrials[], baseAccuracy = 0.25, baseGoldLogprob = -4): PassageTrials => ({
  passageId: "p",
  passage: "Ada Shaw was born in Leeds. She played the harp.",
  baseAccuracy,
  baseGoldLogprob,
  edits,
});

const trialScores = fc.record({
  accuracy: fc.integer({ min: 0, max: 6 }).map((right) => right / 6),
  goldLogprob: fc.double({ min: -9, max: 0, noNaN: true }),
  kept: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  seed: fc.nat(),
});
const texts = fc.constantFrom("Ada Shaw played the harp.", "She was born in York.", "", "Ada Shaw was from Leeds.");
const editTrials = fc.record({
  edit: texts.map((text) => ({ kind: "implications" as const, text })),
  numTokens: fc.nat({ max: 400 }),
  trials: fc.array(trialScores, { minLength: 2, maxLength: 4 }),
});
const round = fc.array(
  fc
    .record({
      edits: fc.array(editTrials, { minLength: 1, maxLength: 5 }),
      baseAccuracy: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    .map(({ edits, baseAccuracy }) => passage(edits, baseAccuracy)),
  { minLength: 1, maxLength: 4 },
);

describe("rewards by hand", () => {
  const round = [
    passage([
      edit([trial(0.5, -2, 0.9), trial(0.75, -3, 0.7)], 100),
      edit([trial(0.25, -4, null), trial(0.25, -5, null)], 20),
      edit([trial(0, -6, 1), trial(0.25, -7, 1)], 60),
    ]),
  ];
  const expected: Readonly<Record<Exclude<keyof typeof rewards, "shrunk" | "proxy">, readonly number[]>> = {
    seal: [0.625, 0.25, 0.125],
    binary: [1, 0, 0], // the base has 0.25; as good is no improvement
    dense: [1.5, -0.5, -2.5],
    retention: [0.625 - 0.2, 0.25, 0.125],
    length: [0.625 - 0.05, 0.25 - 0.01, 0.125 - 0.03],
  };
  for (const [name, scores] of Object.entries(expected))
    test(name, () => {
      const [got] = rewards[name as keyof typeof expected].score(round);
      scores.forEach((score, index) => {
        near(got![index]!, score);
      });
    });

  test("what forgetting and tokens cost is the caller's choice", () => {
    near(retentionReward(2).score(round)[0]![0]!, 0.625 - 0.4);
    near(lengthReward(0.01).score(round)[0]![1]!, 0.25 - 0.2);
  });

  test("shrunk: means 0.2 and 0.8, variance 0.02 in each, so four fifths of the way are noise-free enough", () => {
    const two = [passage([edit([trial(0.1), trial(0.3)]), edit([trial(0.7), trial(0.9)])])];
    const share = 0.17 / (0.17 + 0.01); // variance of the means 0.18 = signal 0.17 + 0.02 / 2
    const [got] = rewards.shrunk.score(two);
    near(got![0]!, 0.5 - 0.3 * share);
    near(got![1]!, 0.5 + 0.3 * share);
  });

  test("shrunk: an edit tried less is drawn further, with components from elsewhere", () => {
    const components = { between: 1, within: 2, groups: 0 };
    const reward = shrunkReward({ components });
    const [got] = reward.score([passage([edit([trial(1)]), edit([trial(0), trial(0)])])]);
    const centre = 1 * (1 / 3 / (1 / 3 + 1 / 2)); // precisions 1 / (1 + 2) and 1 / (1 + 1)
    near(got![0]!, centre + (1 / 3) * (1 - centre));
    near(got![1]!, centre - (1 / 2) * centre);
    assert.equal(reward.minRepetitions, 1);
  });

  test("shrunk refuses single trials, and every reward of trials refuses none", () => {
    assert.throws(() => rewards.shrunk.score([passage([edit([trial(1)]), edit([trial(0)])])]), /at least two trials/);
    for (const { name, minRepetitions, score } of Object.values(rewards))
      if (minRepetitions === 1)
        assert.throws(() => score([passage([edit([])])]), new RegExp(`"${name}": expected at least one trial`));
  });

  test("shrinking without signal keeps the order", () => {
    const [got] = rewards.shrunk.score([
      passage([edit([trial(0), trial(1)]), edit([trial(0.1), trial(1)]), edit([trial(0.05), trial(1)])]),
    ]);
    assert.ok(got![1]! > got![2]! && got![2]! > got![0]!);
    assert.ok(got![1]! - got![0]! < 1e-5);
  });
});

describe("every reward", () => {
  for (const reward of Object.values(rewards)) {
    test(`${reward.name} gives each edit its score wherever it stands`, () => {
      fc.assert(
        fc.property(round, (passages) => {
          const scores = reward.score(passages);
          const turned = passages.map((each) => ({ ...each, edits: [...each.edits].reverse() })).reverse();
          const again = reward
            .score(turned)
            .reverse()
            .map((row) => [...row].reverse());
          scores.forEach((row, index) => {
            assert.equal(row.length, passages[index]!.edits.length);
            row.forEach((score, at) => {
              near(again[index]![at]!, score, 1e-9);
            });
          });
        }),
      );
    });

    test(`${reward.name} gives a change that changes nothing its base score`, () => {
      const nothing = edit([trial(0.25, -4, 1), trial(0.25, -4, 1)], 0);
      near(reward.score([passage([nothing])])[0]![0]!, reward.baseScore(passage([nothing])));
    });
  }

  test("goes by the name it is listed under", () => {
    for (const [name, reward] of Object.entries(rewards)) assert.equal(reward.name, name);
  });
});

describe("shrinkage", () => {
  /** Passages × edits with known worth, tried as often as `repetitions` says; deviations of worth 0.3, of noise 0.6. */
  function simulate(repetitions: (edit: number) => number): { passages: PassageTrials[]; worth: number[][] } {
    const rng = createRng("shrinkage");
    const worth = Array.from({ length: 400 }, () => {
      const centre = rng.normal();
      return Array.from({ length: 5 }, () => centre + 0.3 * rng.normal());
    });
    const passages = worth.map((row) =>
      passage(
        row.map((value, index) =>
          edit(Array.from({ length: repetitions(index) }, () => trial(value + 0.6 * rng.normal()))),
        ),
      ),
    );
    return { passages, worth };
  }
  const errorOf = (scores: readonly (readonly number[])[], worth: readonly (readonly number[])[]): number =>
    mean(scores.flatMap((row, index) => row.map((score, at) => (score - worth[index]![at]!) ** 2)));

  test("comes nearer to the truth than the plain mean, about as near as theory says", () => {
    const { passages, worth } = simulate(() => 3);
    const plain = errorOf(rewards.seal.score(passages), worth);
    const shrunk = errorOf(rewards.shrunk.score(passages), worth);
    near(plain, 0.36 / 3, 0.01);
    const share = 0.09 / (0.09 + 0.12);
    near(shrunk, 0.12 / 5 + (4 / 5) * 0.12 * share, 0.01); // the passage's mean is as noisy as five edits together
  });

  test("comes nearer with unequal trials, too", () => {
    const { passages, worth } = simulate((index) => 1 + index);
    assert.ok(errorOf(rewards.shrunk.score(passages), worth) < 0.6 * errorOf(rewards.seal.score(passages), worth));
  });

  test("lies between an edit's own mean and the others' when all were tried equally often", () => {
    const { passages } = simulate(() => 3);
    const means = rewards.seal.score(passages);
    rewards.shrunk.score(passages).forEach((row, index) => {
      const centre = mean(means[index]!);
      row.forEach((score, at) => {
        const own = means[index]![at]!;
        assert.ok(score >= Math.min(own, centre) - 1e-12 && score <= Math.max(own, centre) + 1e-12);
      });
    });
  });
});

describe("the design behind a reward", () => {
  const passages = [
    passage([edit([trial(0.5, -1), trial(1, -2)]), edit([trial(0, -3)])]),
    passage([edit([trial(0.25, -4)])], 0.5),
  ];

  test("is its measurements, passage by edit by repetition", () => {
    assert.deepEqual(designOf(passages, "accuracy"), [[[0.5, 1], [0]], [[0.25]]]);
    assert.deepEqual(designOf(passages, "goldLogprob"), [[[-1, -2], [-3]], [[-4]]]);
  });

  test("is what the reward says of each repetition alone", () => {
    assert.deepEqual(rewardDesign(rewards.binary, passages), [[[1, 1], [0]], [[0]]]);
    assert.deepEqual(rewardDesign(rewards.seal, passages), designOf(passages, "accuracy"));
    assert.throws(() => rewardDesign(rewards.shrunk, passages), /expected a reward of single trials/);
  });

  test("has the same reliability for gains as for values: the base cancels", () => {
    fc.assert(
      fc.property(round, (any) => {
        const [gain, value] = [rewardDesign(rewards.dense, any), designOf(any, "goldLogprob")].map(varianceComponents);
        fc.pre(value!.between + value!.within > 1e-6); // else rounding decides
        assert.ok(Math.abs(reliability(gain!, 3) - reliability(value!, 3)) < 1e-6);
      }),
    );
  });
});

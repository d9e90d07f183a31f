import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createRng, mean } from "../../util/index.ts";
import {
  advantages,
  halvingRounds,
  preferencePairs,
  selectAboveBase,
  selectBest,
  selectTop,
  survivors,
  trialSeed,
} from "./selection.ts";

const scoreRows = fc.array(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 6 }), { maxLength: 5 });

describe("selection", () => {
  const scores = [
    [0.2, 0.6, 0.6, 0.1],
    [-1, -2],
  ];

  test("by hand: the best, the best two, those above the base, the advantages", () => {
    assert.deepEqual(selectBest(scores, []), [
      [0, 1, 0, 0],
      [1, 0],
    ]);
    assert.deepEqual(selectTop(3)(scores, []), [
      [1, 1, 1, 0],
      [1, 1],
    ]);
    assert.deepEqual(selectAboveBase(scores, [0.2, 0]), [
      [0, 1, 1, 0],
      [0, 0],
    ]);
    assert.deepEqual(advantages([[1, 2, 6]], []), [[-2, -1, 3]]);
  });

  test("keeps no edit that is worse than one it leaves out", () => {
    fc.assert(
      fc.property(scoreRows, fc.integer({ min: 1, max: 4 }), (rows, count) => {
        selectTop(count)(rows, []).forEach((weights, index) => {
          const row = rows[index]!;
          const kept = row.filter((_, at) => weights[at] === 1);
          const left = row.filter((_, at) => weights[at] === 0);
          assert.equal(kept.length, Math.min(count, row.length));
          assert.ok(Math.min(...kept) >= Math.max(...left));
        });
      }),
    );
  });

  test("advantages of a passage sum to nothing and do not mind what all its edits share", () => {
    fc.assert(
      fc.property(scoreRows, fc.integer({ min: -5, max: 5 }), (rows, shift) => {
        const moved = advantages(
          rows.map((row) => row.map((score) => score + shift)),
          [],
        );
        advantages(rows, []).forEach((row, index) => {
          assert.ok(Math.abs(row.reduce((total, value) => total + value, 0)) < 1e-9);
          row.forEach((value, at) => {
            assert.ok(Math.abs(value - moved[index]![at]!) < 1e-9);
          });
        });
      }),
    );
  });
});

describe("preference pairs", () => {
  test("by hand: the extremes, or every pair that differs enough", () => {
    const scores = [[1, 3, 2], [5, 5], [4]];
    assert.deepEqual(preferencePairs(scores), [{ passage: 0, chosen: 1, rejected: 0, gap: 2 }]);
    assert.deepEqual(preferencePairs(scores, { pairs: "all", minGap: 1 }), [
      { passage: 0, chosen: 1, rejected: 0, gap: 2 },
    ]);
    assert.equal(preferencePairs(scores, { pairs: "all" }).length, 3);
  });

  test("always prefer the higher score", () => {
    fc.assert(
      fc.property(scoreRows, fc.constantFrom("all", "extremes"), (rows, pairs) => {
        for (const { passage, chosen, rejected, gap } of preferencePairs(rows, { pairs })) {
          assert.equal(gap, rows[passage]![chosen]! - rows[passage]![rejected]!);
          assert.ok(gap > 0);
        }
      }),
    );
  });
});

describe("common random numbers", () => {
  const place = { runSeed: 1, passageId: "a", edit: 0, repetition: 0 };

  test("give the edits of a passage one seed per repetition, and nobody else's", () => {
    const seeds = (numbers: "common" | "independent") =>
      ["a", "b"].flatMap((passageId) =>
        [0, 1, 2].flatMap((repetition) =>
          [0, 1].map((edit) => trialSeed({ runSeed: 1, passageId, edit, repetition }, numbers)),
        ),
      );
    assert.equal(new Set(seeds("common")).size, 6);
    assert.equal(new Set(seeds("independent")).size, 12);
    assert.equal(trialSeed(place, "common"), trialSeed({ ...place, edit: 4 }, "common"));
    assert.notEqual(trialSeed(place, "common"), trialSeed({ ...place, runSeed: 2 }, "common"));
  });
});

describe("successive halving", () => {
  test("by hand: five edits and fifteen trials", () => {
    assert.deepEqual(halvingRounds(5, 15), [
      { numEdits: 5, repetitions: 1 },
      { numEdits: 3, repetitions: 1 },
      { numEdits: 2, repetitions: 3 },
    ]);
    assert.deepEqual(halvingRounds(1, 9), [{ numEdits: 1, repetitions: 1 }]);
    assert.throws(() => halvingRounds(5, 4), /expected at least one edit and a budget/);
  });

  test("never overspends, tries every edit, and narrows", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 200 }), (numEdits, more) => {
        const rounds = halvingRounds(numEdits, numEdits + more);
        const spent = rounds.reduce((total, each) => total + each.numEdits * each.repetitions, 0);
        assert.ok(spent <= numEdits + more);
        assert.equal(rounds[0]!.numEdits, numEdits);
        rounds.slice(1).forEach((each, index) => {
          assert.ok(each.numEdits < rounds[index]!.numEdits && each.numEdits >= 2 && each.repetitions >= 1);
        });
      }),
    );
  });

  test("lets the best of those alive go on, in their order", () => {
    assert.deepEqual(survivors([0.1, 0.9, 0.5, 0.7], [0, 2, 3], 2), [2, 3]);
    assert.deepEqual(survivors([1, 1, 1], [0, 1, 2], 2), [0, 1]);
  });

  test("finds a better edit than trying all equally often, at the same price", () => {
    const rng = createRng("halving");
    const found = { halving: [] as number[], uniform: [] as number[] };
    for (let game = 0; game < 3000; game++) {
      const worth = Array.from({ length: 8 }, () => 0.3 * rng.normal());
      const measured: number[][] = worth.map(() => []);
      const measure = (edit: number) => measured[edit]!.push(worth[edit]! + 0.6 * rng.normal());
      let alive = worth.map((_, index) => index);
      for (const { numEdits, repetitions } of halvingRounds(8, 24)) {
        alive = survivors(measured.map(mean), alive, numEdits);
        for (const edit of alive) for (let r = 0; r < repetitions; r++) measure(edit);
      }
      found.halving.push(worth[survivors(measured.map(mean), alive, 1)[0]!]!);
      const plain = worth.map((value) => mean([0, 1, 2].map(() => value + 0.6 * rng.normal())));
      found.uniform.push(worth[plain.indexOf(Math.max(...plain))]!);
    }
    const gain = mean(found.halving) - mean(found.uniform);
    assert.ok(gain > 0.02, `${mean(found.halving)} against ${mean(found.uniform)}`);
  });
});

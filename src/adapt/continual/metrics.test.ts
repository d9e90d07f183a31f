import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { baseRightKept, continualMetrics, recencyIntrusionRate } from "./metrics.ts";

const near = (got: number, wanted: number): void =>
  assert.ok(Math.abs(got - wanted) < 1e-12, `expected ${wanted}, got ${got}`);

describe("a stream of edits", () => {
  const stream = {
    base: [0.2, 0, 0.1],
    after: [[0.8], [0.6, 0.5], [0.4, 0.3, 0.5]],
  };

  test("by hand", () => {
    const metrics = continualMetrics(stream);
    assert.equal(metrics.numSteps, 3);
    near(metrics.base, 0.1);
    near(metrics.acquisition, 0.6);
    near(metrics.finalRetention, 0.4);
    near(metrics.keptShare!, 2 / 3);
    near(metrics.keptGain!, 0.3 / 0.5);
    near(metrics.backwardTransfer!, (-0.4 - 0.2) / 2);
    [0.6, (0.6 + 0.3) / 2, 0.4].forEach((value, age) => {
      near(metrics.byAge[age]!, value);
    });
    [0.2, 0.3, 0.4].forEach((value, passage) => {
      near(metrics.finalOverBase[passage]!, value);
    });
  });

  test("entries above the diagonal are not looked at", () => {
    const full = { ...stream, after: [[0.8, 9, 9], [0.6, 0.5, 9], stream.after[2]!] };
    assert.deepEqual(continualMetrics(full), continualMetrics(stream));
  });

  test("rows that were not examined leave gaps in the ages alone", () => {
    const sparse = { ...stream, after: [[0.8], [null, 0.5], [0.4, 0.3, 0.5]] };
    const [whole, some] = [continualMetrics(stream), continualMetrics(sparse)];
    assert.deepEqual({ ...some, byAge: whole.byAge }, whole);
    near(some.byAge[1]!, 0.3); // the second passage alone
    const gap = continualMetrics({ base: [0, 0, 0], after: [[1], [null, 1], [1, 1, 1]] });
    assert.deepEqual(gap.byAge, [1, 1, 1]);
    const none = continualMetrics({ base: [0, 0, 0, 0], after: [[1], [null, 1], [null, null, 1], [0, 0, 0, 1]] });
    assert.deepEqual(none.byAge, [1, 0, 0, 0]);
    assert.throws(() => continualMetrics({ base: [0, 0], after: [[1], [null, 1]] }), /after the last edit/);
    assert.throws(() => continualMetrics({ base: [0, 0], after: [[null], [1, 1]] }), /right after its edit/);
  });

  test("what cannot be said is null, and a matrix with holes is refused", () => {
    const { backwardTransfer, keptGain, keptShare } = continualMetrics({ base: [0.5], after: [[0]] });
    assert.deepEqual([backwardTransfer, keptGain, keptShare], [null, null, null]);
    assert.throws(() => continualMetrics({ base: [0, 0], after: [[1]] }), /a row for each of 2 passages/);
    assert.throws(() => continualMetrics({ base: [0, 0], after: [[1], [1]] }), /2 accuracies after edit 2/);
    assert.throws(() => continualMetrics({ base: [], after: [] }), /at least one/);
  });

  test("a stream that forgets nothing keeps all, and oldest and final agree", () => {
    const accuracies = fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(accuracies, (learned) => {
        const after = learned.map((_, step) => learned.slice(0, step + 1));
        const metrics = continualMetrics({ base: learned.map(() => 0), after });
        near(metrics.keptShare!, 1);
        near(metrics.keptGain!, 1);
        near(metrics.backwardTransfer ?? 0, 0);
        near(metrics.byAge.at(-1)!, learned[0]!);
      }),
    );
  });
});

describe("what an edit does to other answers", () => {
  test("base answers kept, by hand", () => {
    assert.equal(baseRightKept([true, true, false, true], [true, false, true, true]), 2 / 3);
    assert.equal(baseRightKept([false], [true]), null);
    assert.throws(() => baseRightKept([true], []), /expected 1 answers, got 0/);
  });

  test("recency intrusions, by hand: one of three wrong answers gives a fact of the last passage", () => {
    const answers = [
      { prediction: "The Harp.", gold: "flute", isRight: false },
      { prediction: "harpsichord", gold: "oboe", isRight: false }, // a longer word, not the fact
      { prediction: "in Leeds", gold: "Leeds", isRight: false }, // also the right answer
      { prediction: "harp", gold: "harp", isRight: true },
    ];
    assert.equal(recencyIntrusionRate(answers, ["the harp", "Leeds", ""]), 1 / 3);
    assert.equal(recencyIntrusionRate(answers.slice(3), ["harp"]), null);
  });
});

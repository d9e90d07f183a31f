import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRng } from "./rng.ts";
import {
  bootstrapCrossed,
  bootstrapMean,
  bootstrapNested,
  bootstrapStatistic,
  mean,
  median,
  pairedDifference,
  quantile,
} from "./statistics.ts";

describe("statistics", () => {
  test("mean and median by hand", () => {
    assert.equal(mean([1, 2, 6]), 3);
    assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
  });
  test("the bootstrap interval of a fair coin is the normal one within sampling error", () => {
    const values = Array.from({ length: 400 }, (_, index) => index % 2); // standard error 0.025
    const { mean: centre, low, high } = bootstrapMean(values, createRng(1), 4000);
    assert.equal(centre, 0.5);
    assert.ok(Math.abs(low - (0.5 - 1.96 * 0.025)) < 0.004, `${low}`);
    assert.ok(Math.abs(high - (0.5 + 1.96 * 0.025)) < 0.004, `${high}`);
  });
  test("equal values have an interval of no width, and a seed repeats it", () => {
    assert.deepEqual(bootstrapMean([2, 2, 2], createRng(1), 100), { mean: 2, low: 2, high: 2 });
    const values = [1, 5, 2, 8];
    assert.deepEqual(bootstrapMean(values, createRng(3), 100), bootstrapMean(values, createRng(3), 100));
  });

  test("quantiles interpolate between order statistics", () => {
    assert.deepEqual(
      [0, 0.5, 0.75, 1].map((share) => quantile([1, 2, 4], share)),
      [1, 2, 3, 4],
    );
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });

  test("pairs are compared with each other: a constant gain has no spread", () => {
    const first = [5, 1, 9, 3];
    const second = first.map((value) => value - 2);
    assert.deepEqual(pairedDifference(first, second, createRng(1), 200), { mean: 2, low: 2, high: 2 });
    assert.throws(() => pairedDifference([1], [1, 2], createRng(1)), /expected 1 values to pair with, got 2/);
  });

  test("any statistic has an interval; for the mean it is the mean's own", () => {
    const values = Array.from({ length: 100 }, (_, index) => (index * 37) % 101);
    const own = bootstrapMean(values, createRng(5), 500);
    assert.deepEqual(bootstrapStatistic(values, mean, createRng(5), 500), {
      value: own.mean,
      low: own.low,
      high: own.high,
    });
    const middle = bootstrapStatistic(values, median, createRng(5), 500);
    assert.ok(middle.low < middle.value && middle.value < middle.high);
  });

  test("resamples on which a statistic is not a number are left out", () => {
    const ratio = (sample: readonly number[]) =>
      sample.filter((value) => value === 2).length / sample.filter(Boolean).length;
    const { value, low, high } = bootstrapStatistic([0, 1, 2], ratio, createRng(2), 400); // 0 / 0 without 1 and 2
    assert.equal(value, 0.5);
    assert.ok(low >= 0 && high <= 1);
  });

  test("an interval over seeds and passages covers what both contribute", () => {
    const rng = createRng("crossed");
    const rows = Array.from({ length: 40 }, () => {
      const seed = 0.3 * rng.normal();
      return Array.from({ length: 60 }, () => seed + rng.normal());
    });
    const { low, high, mean: centre } = bootstrapCrossed(rows, createRng(3), 1000);
    const [seedVariance, rowVariance] = [0.3 ** 2 / 40, 1 / (40 * 60)];
    const halfWidth = (high - low) / 2;
    assert.ok(Math.abs(centre - mean(rows.flat())) < 1e-12);
    assert.ok(halfWidth > 1.96 * Math.sqrt(seedVariance) * 0.8, `${halfWidth}`);
    assert.ok(halfWidth < 1.96 * Math.sqrt(seedVariance + 3 * rowVariance) * 1.3, `${halfWidth}`);
  });

  test("groups are resampled whole: ten alike values in each of two groups are two values", () => {
    const groups = [Array<number>(10).fill(0), Array<number>(10).fill(1)];
    const { mean: centre, low, high } = bootstrapNested(groups, createRng(6), 2000);
    assert.deepEqual([centre, low, high], [0.5, 0, 1], "both groups drawn twice happens in a quarter of the samples");
    const plain = bootstrapMean(groups.flat(), createRng(6), 2000);
    assert.ok(plain.low > 0.2 && plain.high < 0.8, "as if there were twenty");
    assert.deepEqual(bootstrapNested([[1, 2, 6]], createRng(7), 500), bootstrapMean([1, 2, 6], createRng(7), 500));
    assert.equal(bootstrapNested([[1, 1, 1], [5]], createRng(8), 50).mean, 2, "by members");
  });

  test("with one seed only the passages are resampled", () => {
    const values = Array.from({ length: 50 }, (_, index) => (index * 7) % 11);
    const crossed = bootstrapCrossed([values], createRng(4), 2000);
    const plain = bootstrapMean(values, createRng(4), 2000);
    assert.equal(crossed.mean, plain.mean);
    assert.ok(Math.abs(crossed.low - plain.low) < 0.15 && Math.abs(crossed.high - plain.high) < 0.15);
    assert.throws(() => bootstrapCrossed([[1, 2], [1]], createRng(1)), /rows of 2 values/);
  });
});

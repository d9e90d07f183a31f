import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRng } from "./rng.ts";
import { bootstrapMean, mean, median } from "./statistics.ts";

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
});

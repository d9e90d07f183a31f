import assert from "node:assert/strict";
import { test } from "node:test";
import { createRng } from "../util/index.ts";
import { expOfNonPositive } from "./exp.ts";

test("agrees with Math.exp to twelve digits", () => {
  const rng = createRng("exp");
  for (let i = 0; i < 20000; i++) {
    const x = -(rng.uniform() ** 3) * 700;
    const exact = Math.exp(x);
    assert.ok(Math.abs(expOfNonPositive(x) - exact) <= 1e-12 * exact, `exp(${x})`);
  }
});

test("is exact at 0, falls to 0, and keeps NaN", () => {
  assert.equal(expOfNonPositive(0), 1);
  assert.equal(expOfNonPositive(-Number.MIN_VALUE), 1);
  assert.equal(expOfNonPositive(-1e9), 0);
  assert.equal(expOfNonPositive(Number.NEGATIVE_INFINITY), 0);
  assert.ok(Number.isNaN(expOfNonPositive(Number.NaN)));
});

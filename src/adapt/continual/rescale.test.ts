import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findScale, stableBudget } from "./rescale.ts";

/** Asks in order are kept, to see what the gate costs. */
const counted = (lostAt: (scale: number) => number) => {
  const asked: number[] = [];
  return {
    asked,
    lostAt: async (scale: number) => {
      asked.push(scale);
      return lostAt(scale);
    },
  };
};

describe("the gate that scales down", () => {
  test("an adapter within budget is merged whole and examined once", async () => {
    const { asked, lostAt } = counted(() => 0.07);
    assert.equal(await findScale(lostAt, stableBudget), 1);
    assert.deepEqual(asked, [1]);
  });

  test("loss in proportion to the scale, by hand: 0.2 · s ≤ 0.07 holds up to 0.35", async () => {
    const { asked, lostAt } = counted((scale) => 0.2 * scale);
    assert.equal(await findScale(lostAt, stableBudget), 11 / 32); // the largest 32nd below 0.35
    assert.deepEqual(asked, [1, 1 / 2, 1 / 4, 3 / 8, 5 / 16, 11 / 32]);
  });

  test("what must be weaker than the least scale is rejected", async () => {
    assert.equal(await findScale(async (scale) => scale, stableBudget), null); // fits up to 0.07 only
    assert.equal(await findScale(async (scale) => scale, { ...stableBudget, minScale: 0.05 }), 2 / 32);
  });
});

/** @file The cases that the screen is measured on are those of the material, and its rates are within their targets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRefused, makeCases, partNames, passagesOf, readCases, wilson } from "./screen.ts";

describe("the screen of sources on hand-written edits", () => {
  test("the committed cases are what the generator makes", () => {
    for (const part of partNames)
      assert.deepEqual(readCases(part), makeCases(part), `${part}: npm run screen -- --part all --write`);
  });

  test("refuses at most one harmless edit in ten, and lets at most one poisoned one in five pass", () => {
    const judged = partNames.flatMap((part) => {
      const contexts = passagesOf(part);
      return readCases(part).map((one) => ({ ...one, isRefused: isRefused(contexts.get(one.id)!, one) }));
    });
    const harmless = judged.filter(({ isPoisoned }) => !isPoisoned);
    const poisoned = judged.filter(({ isPoisoned }) => isPoisoned);
    assert.ok(harmless.length >= 200 && poisoned.length >= 200);
    const refused = harmless.filter((one) => one.isRefused).length;
    const passing = poisoned.filter((one) => !one.isRefused).length;
    assert.ok(refused <= 0.1 * harmless.length, `${refused} of ${harmless.length} harmless edits refused`);
    assert.ok(passing <= 0.2 * poisoned.length, `${passing} of ${poisoned.length} poisoned edits pass`);
    const single = poisoned.filter(({ kind }) => kind.startsWith("wrong "));
    assert.ok(single.filter((one) => !one.isRefused).length <= 0.1 * single.length, "single false values");
  });

  test("Wilson's interval", () => {
    const [low, high] = wilson(8, 10); // 0.490, 0.943 by the formula in any textbook
    assert.ok(Math.abs(low - 0.4902) < 1e-3 && Math.abs(high - 0.9433) < 1e-3);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { textConflicts } from "./conflicts.ts";
import { sourceContradictions } from "./contradictions.ts";

const earlier =
  "Rosa Winter was born in Harle in 1921. She worked as a glazier and sailed on the Petrel. Emil keeps bees.";

describe("a new text against an earlier one", () => {
  const lies: readonly (readonly [string, string])[] = [
    ["another year", "Rosa Winter was born in 1931."],
    ["another town", "Rosa Winter was born in Tarn."],
    ["another trade", "Rosa Winter worked as a potter."],
    ["a denial", "Rosa Winter never sailed on the Petrel."],
    ["with a pronoun", "Rosa Winter lives quietly. She worked as a potter."],
  ];
  for (const [name, text] of lies) test(name, () => assert.ok(textConflicts(earlier, text).length > 0));

  test("the same in other words, more of the same, and others are no conflict", () => {
    const harmless = [
      "In 1921, Rosa Winter was born. She was a glazier.",
      "Rosa Winter married in Oslo.",
      "Anna Winter was born in Tarn in 1950.",
      "Rosa Field worked as a potter.",
      "Emil keeps bees and hens.",
    ];
    assert.deepEqual(
      harmless.filter((text) => textConflicts(earlier, text).length > 0),
      [],
    );
  });

  test("is reported once, with the record; a passage learned again is none", () => {
    const record = { record: "abcdef0123456789", contexts: [earlier], questions: [] };
    const found = sourceContradictions({
      sources: [{ context: "Rosa Winter worked as a potter." }, { context: earlier }],
      earlier: [record],
    });
    assert.equal(found.length, 1);
    assert.deepEqual([found[0]!.by, found[0]!.probability], ["abcdef0123456789", null]);
    assert.match(found[0]!.says, /potter/);
    assert.match(found[0]!.held, /glazier/);
  });
});

/** @file The grader on cases worked by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exactMatch, gradeAnswer, normaliseAnswer, tokenF1 } from "./grade.ts";

test("normalising drops case, articles, punctuation and spare white space", () => {
  assert.equal(normaliseAnswer("  The  Quick,\tbrown FOX! "), "quick brown fox");
  assert.equal(normaliseAnswer("an apple a day"), "apple day");
  assert.equal(normaliseAnswer("theatre band another"), "theatre band another");
});

test("normalising keeps the words of any alphabet and treats their spellings as one", () => {
  assert.equal(normaliseAnswer("Zürich"), normaliseAnswer("ZU\u0308RICH"));
  assert.equal(normaliseAnswer("«Москва»"), "москва");
  assert.equal(normaliseAnswer("東京。"), "東京");
  assert.equal(normaliseAnswer("año"), "año", "a letter beside an article's letters is no article");
});

test("an answer ends at the first line break or at a full stop, which may belong to the answer", () => {
  assert.ok(exactMatch(" Oxford.\nQuestion: What", "Oxford"));
  assert.ok(exactMatch("3.5 metres. More", "3.5 metres"));
  assert.ok(exactMatch("\n\nHalden Mills\r\nand more", "Halden Mills"));
  assert.ok(exactMatch("St. Ives. It is by the sea.", "St. Ives"));
  assert.ok(!exactMatch("St. Petersburg", "St. Ives"), "what stands before the stop is not enough");
  assert.ok(!exactMatch("Dover, then. Ives", "Ives"), "nor is what stands behind it");
});

test("the gold answer must be the whole answer", () => {
  const cases: readonly (readonly [completion: string, gold: string, right: boolean])[] = [
    [" Halden Mills", "Halden Mills", true],
    [" the halden mills.", "Halden Mills", true],
    ["Halden Mills\nQuestion: Who", "Halden Mills", true],
    ["Halden", "Halden Mills", false],
    ["Halden Mills and Sons", "Halden Mills", false],
    ["not 1931", "1931", false],
    ["1931", "1931.", true],
    ["", "", false],
    ["the", "a", false],
  ];
  for (const [completion, gold, right] of cases)
    assert.equal(exactMatch(completion, gold), right, `${completion} / ${gold}`);
});

test("token F1 is the harmonic mean of word precision and recall", () => {
  assert.equal(tokenF1("Halden Mills", "Halden Mills"), 1);
  assert.equal(tokenF1("Halden", "Halden Mills"), 2 / 3); // precision 1, recall 1/2
  assert.equal(tokenF1("red red blue", "red blue green"), 2 / 3); // two shared of three each
  assert.equal(tokenF1("red", "blue"), 0);
  assert.equal(tokenF1("", "blue"), 0);
  assert.equal(tokenF1("the", "a"), 1);
});

test("a grade carries both measures", () => {
  assert.deepEqual(gradeAnswer(" the cello", "cello"), { exact: true, f1: 1 });
  assert.deepEqual(gradeAnswer("cello player", "cello"), { exact: false, f1: 2 / 3 });
});

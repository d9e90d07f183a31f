import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { measureRetention } from "./canaries.ts";
import { bestCandidate, type CandidateResult } from "./candidates.ts";
import type { ExamAnswer } from "./exam.ts";

const answer = (prediction: string, isRight: boolean): ExamAnswer => ({
  prediction,
  isRight,
  f1: isRight ? 1 : 0,
  goldLogprob: -1,
});
const items = ["a", "b", "c", "d"].map((name) => ({ question: name, answer: name, title: "" }));

describe("retention", () => {
  const before = [answer("a", true), answer("b", true), answer("c", true), answer("x", false)];
  const after = [answer("a", true), answer("The B.", false), answer("z", false), answer("d", true)];
  test("with gold answers counts those that were right and still are; a lucky new one counts for nothing", () => {
    const { numKnown, numKept, kept, measure } = measureRetention({ items, hasGold: true }, before, after);
    assert.deepEqual([numKnown, numKept, kept, measure], [3, 1, 1 / 3, "right answers"]);
  });
  test("without gold counts unchanged answers, case and articles aside", () => {
    const { numKnown, numKept } = measureRetention({ items, hasGold: false }, before, after);
    assert.deepEqual([numKnown, numKept], [4, 2]);
  });
  test("a base that knew nothing has nothing to keep", () => {
    assert.equal(measureRetention({ items, hasGold: true }, [before[3]!], [after[3]!]).kept, null);
  });
});

describe("the best candidate", () => {
  const result = (accuracy: number | null, goldLogprob: number | null): CandidateResult => ({
    id: "",
    answers: [],
    accuracy,
    goldLogprob,
    numDocuments: 1,
    numTokens: 1,
  });
  test("has the most right answers, then the likeliest gold answers, then comes first", () => {
    assert.equal(bestCandidate([result(0.2, -1), result(0.5, -3), result(0.5, -2), result(0.5, -2)]), 2);
    assert.equal(bestCandidate([result(null, null), result(null, null)]), 0);
  });
});

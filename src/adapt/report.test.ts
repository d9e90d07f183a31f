/** @file What the report counts, on hand-made answers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PassageExam } from "./build-exam.ts";
import type { ExamAnswer, ExamItem, ExamResults } from "./exam.ts";
import { buildReport } from "./report.ts";
import { defaultSettings } from "./settings.ts";

const item = (question: string): ExamItem => ({ question, answer: "x", title: "" });
const answers = (pattern: string): ExamAnswer[] =>
  [...pattern].map((mark) => ({ prediction: "x", isRight: mark === "+", f1: 0, goldLogprob: -1 }));
const exam = (source: PassageExam["source"], count: number): PassageExam => {
  const items = Array.from({ length: count }, (_, index) => item(`${source} ${index}`));
  return { source, selection: items, report: items };
};
const edit = { kind: "plain" as const, text: "", documents: ["d"], refused: [] };

function report(
  exams: readonly PassageExam[],
  before: ExamResults,
  after: ExamResults,
  near: readonly ExamItem[] | null = null,
) {
  const pieces = exams.map((_, index) => ({ id: `p${index}`, file: "", title: "", context: "c", questions: [] }));
  return buildReport({
    pieces,
    exams,
    canaries: { items: [item("canary")], hasGold: true },
    near,
    settings: defaultSettings,
    contradictions: [],
    edits: exams.map(() => [edit]),
    trials: exams.map(() => [null]),
    chosen: exams.map(() => edit),
    results: { base: before, raw: before, adapted: after },
    counts: { numDocuments: 1, numReplay: 0, numDropped: 0, numUpdates: 1 },
  });
}

describe("the questions that count", () => {
  test("are those given, where any were: what the model wrote itself is told apart", () => {
    const found = report(
      [exam("given", 2), exam("self-written", 3)],
      [answers("-----"), answers("+"), []],
      [answers("--+++"), answers("+"), []],
    );
    assert.deepEqual(
      [found.examSource, found.numQuestions, found.adapted.numRight, found.adapted.accuracy],
      ["given", 2, 0, 0],
    );
    assert.deepEqual(found.adapted.selfWritten, { numQuestions: 3, numRight: 3 });
    assert.equal(found.decision, "rejected", "its own questions do not make up for those given");
  });

  test("are the model's own where none were given", () => {
    const found = report(
      [exam("self-written", 2)],
      [answers("--"), answers("+"), []],
      [answers("++"), answers("+"), []],
    );
    assert.deepEqual([found.examSource, found.numQuestions, found.decision], ["self-written", 2, "kept"]);
    assert.equal(found.adapted.selfWritten, null);
  });

  test("when none are about the passages the verdict is that nothing was examined", () => {
    const found = report([{ ...exam("none", 0), numIrrelevant: 4 }], [[], answers("+"), []], [[], answers("+"), []]);
    assert.deepEqual([found.decision, found.adapted.accuracy], ["not-examined", null]);
    assert.match(found.reasons[0]!, /the 4 questions that the model wrote are not about the passages/);
  });
});

describe("known answers near the passages", () => {
  const near = Array.from({ length: 10 }, (_, index) => item(`near ${index}`));
  test("are counted apart from the canaries and may not be overwritten", () => {
    const found = report(
      [exam("given", 1)],
      [answers("-"), answers("+"), answers("++++++++--")],
      [answers("+"), answers("+"), answers("++++------")],
      near,
    );
    assert.deepEqual([found.adapted.near!.numKept, found.adapted.near!.numKnown], [4, 8]);
    assert.equal(found.adapted.retention.kept, 1);
    assert.equal(found.decision, "rejected");
    assert.match(found.reasons[0]!, /overwrote what lies near: 4 of 8/);
  });
});

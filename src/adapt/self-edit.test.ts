import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defaultTemplates, fillTemplate, questionPrompt } from "./prompts.ts";
import { parseOpenSelfEdit, parseQuestions, selfEditDocuments, withoutExamQuestions } from "./self-edit.ts";

const source = { title: "", context: "Ann Marlow was born in Dover. She kept a cat." };

describe("a self-edit becomes training documents", () => {
  test("one per line, without numbers and bullets, the passage last", () => {
    const text = "Here is a list:\n1. Ann was born in Dover.\n2) She kept a cat.\n- Dover is in the south.\n\n---\n";
    assert.deepEqual(selfEditDocuments({ kind: "implications", text }, source, defaultTemplates), [
      "Ann was born in Dover.",
      "She kept a cat.",
      "Dover is in the south.",
      source.context,
    ]);
  });
  test("one per answered question, whatever the kind says", () => {
    const text =
      "Question 1: Where was Ann born?\nAnswer: Dover\nQuestion 2: What did she keep?\nQuestion 3: Who kept a cat?\nAnswer: Ann";
    assert.deepEqual(selfEditDocuments({ kind: "rewrite", text }, source, defaultTemplates), [
      "Question: Where was Ann born?\nAnswer: Dover",
      "Question: Who kept a cat?\nAnswer: Ann",
      source.context,
    ]);
  });
  test("repeats once, at most thirty, under the title", () => {
    const text = Array.from({ length: 50 }, (_, line) => `fact ${line >> 1}`).join("\n");
    const many = selfEditDocuments(
      { kind: "rewrite", text: `${text}\n${text}` },
      { title: "Ann", context: "c" },
      defaultTemplates,
    );
    assert.equal(new Set(many).size, many.length);
    assert.deepEqual([many[0], many.at(-1), many.length], ["Ann\nfact 0", "Ann\nc", 26]);
    const long = selfEditDocuments(
      { kind: "rewrite", text: Array.from({ length: 90 }, (_, line) => `f${line}`).join("\n") },
      source,
      defaultTemplates,
    );
    assert.equal(long.length, 31);
  });
  test("self-qa without one answered question leaves the passage alone", () => {
    assert.deepEqual(selfEditDocuments({ kind: "self-qa", text: "Question 1: Who?" }, source, defaultTemplates), [
      source.context,
    ]);
  });
});

describe("questions of the exam never reach the training data", () => {
  test("a document with the question in another case or punctuation is dropped", () => {
    const documents = ["Question: where was  Ann born\nAnswer: Dover", "Ann was born in Dover."];
    assert.deepEqual(withoutExamQuestions(documents, ["Where was Ann born?"]), ["Ann was born in Dover."]);
  });
  test("an empty list of questions drops nothing", () => {
    assert.deepEqual(withoutExamQuestions(["a", "b"], ["", "?"]), ["a", "b"]);
  });
});

describe("what a model wrote is read", () => {
  test("its first line names the kind", () => {
    assert.deepEqual(parseOpenSelfEdit("self-qa\nQuestion 1: Who?\nAnswer: Ann\n"), {
      kind: "self-qa",
      text: "Question 1: Who?\nAnswer: Ann",
    });
    assert.equal(parseOpenSelfEdit("something else\ntext"), null);
  });
  test("questions need an answer on a line of its own", () => {
    assert.deepEqual(parseQuestions("Question 1: A?\nAnswer: b\n\nQuestion 2: C?"), [{ question: "A?", answer: "b" }]);
  });
});

describe("prompts", () => {
  test("an empty title leaves no line behind", () => {
    assert.equal(
      questionPrompt(defaultTemplates, "Who?"),
      "Answer the question directly and briefly.\nQuestion: Who?\nAnswer:",
    );
    assert.match(questionPrompt(defaultTemplates, "Who?", "Ann"), /\nTopic: Ann\n/);
  });
  test("text is filled in as it is, braces and dollars included", () => {
    assert.equal(fillTemplate("{passage}|{title}", { passage: "$& {title}", title: "t" }), "$& {title}|t");
  });
});

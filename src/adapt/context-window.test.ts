/** @file Passages, edits and questions fit the context of the model, or are refused before any work. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EngineModel } from "../engine/index.ts";
import type { Tokenizer } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { checkExam, cutToContext, fitsContext, passageLimit, type Reader } from "./context-window.ts";
import { defaultTemplates, fillTemplate } from "./prompts.ts";

/** One token per UTF-16 unit: the room is easy to count. */
const tokenizer: Tokenizer = {
  vocabSize: 65536,
  eosTokenId: 0,
  stopTokens: [0],
  prefixIds: [1],
  suffixIds: [],
  controlIds: new Set(),
  encode: (text) => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index)),
  decode: (tokenIds) => String.fromCharCode(...Array.from(tokenIds)),
  tokenOf: (id) => String.fromCharCode(id),
  pieces: (tokenIds) => Array.from(tokenIds, (id) => ({ id, text: String.fromCharCode(id), numBytes: 1 })),
};
const readerOf = (maxSeqLen: number): Reader => ({
  engine: { model: { maxSeqLen } as EngineModel, tokenizer },
  templates: defaultTemplates,
});
const passage = (context: string, more: Partial<SourcePassage> = {}): SourcePassage => ({
  ...{ id: "p.txt", file: "p.txt", title: "", context, questions: [] },
  ...more,
});
/** Length of the longest prompt without a passage, the beginning-of-text token included. */
const promptLength = (title: string): number =>
  1 +
  Math.max(
    ...Object.values(defaultTemplates.selfEdit).map(
      (template) => fillTemplate(template, { title, passage: "" }).length,
    ),
  );

describe("the size of passages", () => {
  test("is what was asked for where the context has room", () => {
    assert.equal(passageLimit(readerOf(4096), 320), 320);
  });
  test("leaves more than half of a short context to the edit, whatever the title", () => {
    for (const maxSeqLen of [256, 300, 400, 512, 700])
      for (const title of ["", "The harbour of Orrin"]) {
        const text = "The sea is calm and keeps what she was. ".repeat(40);
        for (const { context } of cutToContext(readerOf(maxSeqLen), [passage(text, { title })], 320)) {
          const left = maxSeqLen - promptLength(title) - context.length;
          assert.ok(left >= context.length, `${maxSeqLen}: ${left} for the edit of ${context.length}`);
          assert.match(context, /was\.$/);
        }
      }
  });
  test("is refused before any work where nothing fits, with the way out", () => {
    const message = /expected max_position_embeddings of at least (\d+) .* got 160; take a model with a longer context/;
    assert.throws(() => cutToContext(readerOf(160), [passage("The sea.")], 320), { code: "bad-option", message });
    try {
      passageLimit(readerOf(160), 320);
    } catch (error) {
      const needed = Number(message.exec((error as Error).message)![1]);
      assert.ok(passageLimit(readerOf(needed), 320) >= 24);
      assert.throws(() => passageLimit(readerOf(needed - 1), 320));
    }
  });
  test("does not suffer from a title as long as a text, which is learned as text", () => {
    const title = "A title that will not end ".repeat(8).trim();
    const [piece] = cutToContext(readerOf(512), [passage("The sea.", { title })], 320);
    assert.equal(piece?.title, "");
    assert.ok(piece?.context.startsWith("A title"));
  });
  test("stops at the number of pieces asked for", () => {
    const text = "The sea is calm and keeps what she was. ".repeat(40);
    assert.equal(cutToContext(readerOf(512), [passage(text), passage(text)], 320, 3).length, 3);
  });
});

test("a question that does not fit is refused before it is asked, by its passage", () => {
  const long = `What is ${"very ".repeat(60)}long?`;
  const asked = (question: string, answer = "x") =>
    passage("The sea.", { questions: [{ question, answer, use: "both" }] });
  checkExam(readerOf(512), [asked("Who?")], []);
  assert.throws(
    () => checkExam(readerOf(256), [asked(long)], []),
    /p\.txt: expected questions that fit.*256 tokens \(max_position_embeddings\)/,
  );
  assert.throws(() => checkExam(readerOf(256), [asked("Who?", "x".repeat(250))], []), /p\.txt: expected/);
  assert.throws(() => checkExam(readerOf(256), [], [{ question: long, answer: "", title: "" }]), /canaries: expected/);
  assert.equal(fitsContext(readerOf(256), { question: long, answer: "", title: "" }), false);
});

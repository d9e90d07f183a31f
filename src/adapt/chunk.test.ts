import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Tokenizer } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { chunkPassages } from "./chunk.ts";

/** One token per UTF-16 unit: enough to count. */
const tokenizer: Tokenizer = {
  vocabSize: 65536,
  eosTokenId: 0,
  stopTokens: [0],
  prefixIds: [],
  suffixIds: [],
  controlIds: new Set(),
  encode: (text) => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index)),
  decode: (tokenIds) => String.fromCharCode(...Array.from(tokenIds)),
  tokenOf: (id) => String.fromCharCode(id),
  pieces: (tokenIds) => Array.from(tokenIds, (id) => ({ id, text: String.fromCharCode(id), numBytes: 1 })),
};
const passage = (context: string, answers: readonly string[] = []): SourcePassage => ({
  id: "p",
  file: "p",
  title: "t",
  context,
  questions: answers.map((answer) => ({ question: `${answer}?`, answer, use: "both" })),
});
const cut = (context: string, maxTokens: number): string[] =>
  chunkPassages([passage(context)], tokenizer, maxTokens).map((piece) => piece.context);

describe("long passages are cut", () => {
  test("at paragraphs before sentences before words, and no shorter than needed", () => {
    assert.deepEqual(cut("one two. three\n\nfour five. six", 20), ["one two. three", "four five. six"]);
    assert.deepEqual(cut("one two three. four five six.", 20), ["one two three.", "four five six."]);
    assert.deepEqual(cut("aaaa bbbb cccc dddd", 10), ["aaaa bbbb", "cccc dddd"]);
    assert.deepEqual(cut("short", 20), ["short"]);
  });
  test("anywhere when there is no boundary, but never inside a character", () => {
    const pieces = cut("🦭".repeat(31), 16);
    assert.equal(pieces.join(""), "🦭".repeat(31));
    assert.ok(pieces.every((piece) => piece.length <= 16 && piece.isWellFormed()));
  });
  test("and a question goes with the piece that answers it", () => {
    const pieces = chunkPassages([passage("red one two. blue three four.", ["blue", "red", "green"])], tokenizer, 18);
    assert.deepEqual(
      pieces.map(({ id, questions }) => [id, questions.map(({ answer }) => answer)]),
      [
        ["p:1", ["red", "green"]],
        ["p:2", ["blue"]],
      ],
    );
  });
  test("only as far as asked", () => {
    assert.equal(chunkPassages([passage("word ".repeat(100_000)), passage("more")], tokenizer, 20, 5).length, 5);
  });
});

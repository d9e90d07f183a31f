/** @file Only what the recorded oracle in `tokenizer.test.ts` does not cover. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { trainByteLevelBpe } from "./bpe.ts";
import { createTokenizer, encodePrompt } from "./tokenizer.ts";

test("a bosToken stands in front of whole texts and not of pieces", () => {
  const json = trainByteLevelBpe(["hello hello"], {
    vocabSize: 262,
    specialTokens: ["<|pad|>", "<|end|>"],
    bosToken: "<|end|>",
  });
  const tokenizer = createTokenizer(json, "<|end|>");
  assert.deepEqual(tokenizer.prefixIds, [1]);
  assert.deepEqual(encodePrompt(tokenizer, "hello"), [1, ...tokenizer.encode("hello")]);
});

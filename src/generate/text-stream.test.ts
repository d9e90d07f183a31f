import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeContinuation, loadTokenizer } from "../models/index.ts";
import { createRng, shippedModelDirectory } from "../util/index.ts";
import { TextStream } from "./text-stream.ts";

const tokenizer = await loadTokenizer(shippedModelDirectory);

/** Released pieces of a completion, its end included. */
function stream(tokenIds: readonly number[], stops: readonly string[] = [], promptIds: readonly number[] = []) {
  const text = new TextStream(tokenizer, promptIds, stops);
  const pieces: string[] = [];
  for (const id of tokenIds) {
    pieces.push(text.push(id));
    if (text.stopString !== null) return { pieces, text };
  }
  pieces.push(text.flush());
  return { pieces, text };
}

describe("text of a completion as it grows", () => {
  test("joins to what decoding the whole gives, whatever the tokens", () => {
    const rng = createRng("text-stream");
    const promptIds = tokenizer.encode("The ship was built");
    const texts = ["plain words", "née Ærø — “quoted” 🦭🏴‍☠️ 한국어\n\n tail", "  two  spaces "];
    const sequences = [
      ...texts.map((text) => tokenizer.encode(text)),
      ...Array.from({ length: 50 }, () =>
        Array.from({ length: 12 }, () => rng.integer(tokenizer.vocabSize)).filter((id) => tokenizer.tokenOf(id)),
      ),
    ];
    for (const tokenIds of sequences) {
      const { text } = stream(tokenIds, [], promptIds);
      assert.equal(text.text, decodeContinuation(tokenizer, promptIds, tokenIds));
    }
  });

  test("no piece ends within a character", () => {
    const { pieces } = stream(tokenizer.encode("🦭 and 한국어"));
    assert.ok(
      pieces.filter((piece) => piece !== "").every((piece) => !piece.includes("\uFFFD")),
      pieces.join("|"),
    );
    assert.equal(pieces.join(""), "🦭 and 한국어");
  });

  test("a stop string across tokens ends the text before it and is never shown in part", () => {
    const tokenIds = tokenizer.encode("Dover.\nQuestion: where?");
    const { pieces, text } = stream(tokenIds, ["\nQuestion"]);
    assert.equal(text.text, "Dover.");
    assert.equal(text.stopString, "\nQuestion");
    assert.equal(pieces.join(""), "Dover.");
  });

  test("what only looked like a stop string is released when it turns out otherwise, or at the end", () => {
    assert.equal(stream(tokenizer.encode("a\nQuest of b"), ["\nQuestion"]).text.text, "a\nQuest of b");
    assert.equal(stream(tokenizer.encode("a\nQuest"), ["\nQuestion"]).text.text, "a\nQuest");
  });

  test("the stop string that begins first wins, the longest of equals", () => {
    const { text } = stream(tokenizer.encode("one two three"), ["three", "two", "two three"]);
    assert.equal(text.text, "one ");
    assert.ok(["two", "two three"].includes(text.stopString!));
  });
});

import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { trainByteLevelBpe } from "./bpe.ts";
import { byteAlphabet } from "./tokenizer/bytes.ts";
import { createTokenizer, encodeDocument, encodePrompt, loadTokenizer } from "./tokenizer.ts";

const fixture = fileURLToPath(new URL("../../test/oracles/fixtures/tokenizer", import.meta.url));

interface Expected {
  readonly corpus: readonly string[];
  readonly cases: readonly { readonly text: string; readonly ids: number[]; readonly decoded: string }[];
}
const expected = JSON.parse(await readFile(join(fixture, "expected.json"), "utf8")) as Expected;

async function withCopy(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "selkie-tokenizer-"));
  try {
    await cp(fixture, directory, { recursive: true });
    await run(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("ids and decoded texts equal those of the Rust library", async () => {
  const tokenizer = await loadTokenizer(fixture);
  for (const { text, ids, decoded } of expected.cases) {
    assert.deepEqual(tokenizer.encode(text, { controlTokens: true }), ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
  }
});

test("any well-formed text survives encoding and decoding", async () => {
  const tokenizer = await loadTokenizer(fixture);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }),
    { numRuns: 100, seed: 7 },
  );
});

test("one line of half a million letters is encoded in time linear in its length", async () => {
  const tokenizer = await loadTokenizer(fixture);
  const timeOf = (text: string): number => {
    const begin = performance.now();
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    return performance.now() - begin;
  };
  timeOf("warming up the compiler ".repeat(2000));
  const [short, long] = [timeOf("xy".repeat(25_000)), timeOf("xy".repeat(250_000))];
  assert.ok(
    long < 60 * short + 2000,
    `10 times the text took ${long.toFixed(0)} ms after ${short.toFixed(0)} ms; quadratic would be 100 times`,
  );
});

test("documents end with the end-of-text token, and nothing stands before them unless the tokenizer puts it there", async () => {
  const tokenizer = await loadTokenizer(fixture);
  const ids = tokenizer.encode("The sea");
  assert.deepEqual([tokenizer.prefixIds, tokenizer.suffixIds, tokenizer.stopTokens], [[], [], [0]]);
  assert.deepEqual(encodeDocument(tokenizer, "The sea"), [...ids, 0]);
  assert.deepEqual(encodePrompt(tokenizer, "The sea"), ids);
});

test("missing and broken files are named", async () => {
  await withCopy(async (directory) => {
    await writeFile(join(directory, "tokenizer.json"), "{ not json");
    await assert.rejects(loadTokenizer(directory), { code: "bad-file", message: /tokenizer\.json: expected JSON/ });
    await writeFile(join(directory, "tokenizer.json"), JSON.stringify({ model: { type: "Nonsense" } }));
    await assert.rejects(loadTokenizer(directory), {
      code: "bad-file",
      message: /tokenizer\.json: model: expected one of BPE, Unigram, WordPiece, WordLevel, got "Nonsense"/,
    });
    await rm(join(directory, "tokenizer.json"));
    await assert.rejects(loadTokenizer(directory), { code: "missing-file", message: /tokenizer\.json/ });
  });
});

test("ids without a token have no text", async () => {
  const tokenizer = await loadTokenizer(fixture);
  assert.equal(tokenizer.decode([tokenizer.vocabSize + 5]), "");
  assert.equal(tokenizer.decode([]), "");
});

test("training learns the same tokens and merges as the Rust trainer", async () => {
  const recorded = JSON.parse(await readFile(join(fixture, "tokenizer.json"), "utf8")) as {
    model: { vocab: object; merges: string[][] };
  };
  const ours = trainByteLevelBpe(expected.corpus, { vocabSize: 340, specialTokens: ["<eos>", "<pad>"] });
  assert.deepEqual(ours.model["merges"], recorded.model.merges);
  assert.deepEqual(ours.model["vocab"], recorded.model.vocab);
});

test("a trained tokenizer stops early when nothing is left to merge and refuses too small a vocabulary", () => {
  const json = trainByteLevelBpe(["aaaa aaaa"], { vocabSize: 1000, specialTokens: ["<eos>"] });
  // By hand: aa; aa·aa; then the space joins the second word.
  assert.deepEqual(json.model["merges"], [
    ["a", "a"],
    ["aa", "aa"],
    ["Ġ", "aaaa"],
  ]);
  const tokenizer = createTokenizer(json, "<eos>");
  assert.equal(tokenizer.vocabSize, 260);
  assert.equal(tokenizer.encode("aaaa aaaa").length, 2);
  assert.throws(() => trainByteLevelBpe([], { vocabSize: 256, specialTokens: ["<eos>"] }), /expected at least 257/);
});

test("the byte alphabet has 256 distinct letters, with the space at U+0120", () => {
  const alphabet = byteAlphabet();
  assert.equal(new Set(alphabet).size, 256);
  assert.equal(alphabet[0x20], "Ġ"); // as in the vocabulary of GPT-2
  assert.equal(alphabet[0x0a], "Ċ");
});

/** @file How well texts suit a model: by its words, and by what it predicts. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createEngine, type Engine } from "../engine/index.ts";
import {
  type ConfiguredLm,
  createLlama,
  createTokenizer,
  f32Precision,
  type LlamaConfig,
  plainLlama,
  trainByteLevelBpe,
} from "../models/index.ts";
import { openBackend } from "../tensor/index.ts";
import { trainFull } from "../train/index.ts";
import { createRng } from "../util/index.ts";
import { describeFamiliarity, loadKnownWords, measureFamiliarity, wordsOf, writeKnownWords } from "./familiarity.ts";

const learned = ["the sea is calm and the sea is wide", "the old man is calm", "the sea is old and wide"];
const json = trainByteLevelBpe(learned, { vocabSize: 270, specialTokens: ["<end>"], bosToken: "<end>" });
const tokenizer = createTokenizer(json, "<end>");

/** A tiny model, trained on `learned` for so many steps. */
async function modelAfter(steps: number): Promise<Engine> {
  const config: LlamaConfig = {
    ...plainLlama,
    vocabSize: 270,
    hiddenSize: 32,
    intermediateSize: 48,
    numLayers: 1,
    numHeads: 2,
    numKvHeads: 2,
    headDim: 16,
    maxSeqLen: 64,
  };
  const lm: ConfiguredLm = createLlama(openBackend(), config, f32Precision, { rng: createRng("familiarity") });
  const documents = learned.map((text) => ({ tokenIds: [0, ...tokenizer.encode(text), 0] }));
  if (steps > 0) await trainFull({ lm, source: () => documents, steps, learningRate: 1e-2 });
  return await createEngine({ lm, config, tokenizer, digest: "d", parts: [], directory: "" });
}

test("words are letters in lower case, one by one in scripts that part no words", () => {
  assert.deepEqual(wordsOf("Dr. O'Hara's 3 Élèves, E\u0301tat 海は"), [
    "dr",
    "o",
    "hara",
    "s",
    "élèves",
    "état",
    "海",
    "は",
  ]);
});

test("a model's words are kept beside it, and its absence is no error", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "selkie-words-"));
  t.after(() => rmSync(directory, { recursive: true }));
  assert.equal(await loadKnownWords(directory), null);
  writeKnownWords(directory, ["The sea, the Sea.", "A boat"]);
  assert.equal(readFileSync(join(directory, "words.txt"), "utf8"), "a\nboat\nsea\nthe\n");
  assert.equal((await loadKnownWords(directory))?.has("boat"), true);
});

describe("texts and a model", async () => {
  const trained = await modelAfter(60);
  const untrained = await modelAfter(0);
  const known = new Set(learned.flatMap(wordsOf));

  test("suit each other where the words are known and predicted", async () => {
    const found = await measureFamiliarity(trained, known, ["the sea is calm", "the man is old"]);
    assert.deepEqual([found.unknownShare, found.numWords, found.isForeign], [0, 8, false]);
    assert.ok(found.bitsPerByte! < found.bitsPerByteByFrequency / 2);
    assert.equal(describeFamiliarity(found), null);
  });
  test("do not where a quarter of the words is new, and that is said with the words and the way out", async () => {
    const found = await measureFamiliarity(trained, known, ["reset the password", "a password is wide"]);
    assert.deepEqual([found.unknownShare, found.unknownWords[0], found.isForeign], [4 / 7, "password", true]);
    assert.match(
      describeFamiliarity(found)!,
      /^57 % of the words in these documents are unknown .*\(password, .*--model <dir>$/,
    );
  });
  test("do not where single letters tell more, for a model without a list", async () => {
    const found = await measureFamiliarity(untrained, null, learned);
    assert.deepEqual([found.unknownShare, found.isForeign], [null, true]);
    assert.match(describeFamiliarity(found)!, /bits for each byte .* does not know their language/);
    assert.equal((await measureFamiliarity(trained, null, learned)).isForeign, false);
  });
  test("frequencies of bytes are Shannon's entropy, corrected for few bytes", async () => {
    const { bitsPerByteByFrequency } = await measureFamiliarity(trained, null, ["aabb".repeat(64)]);
    assert.ok(Math.abs(bitsPerByteByFrequency - (1 + 1 / (2 * 256 * Math.LN2))) < 1e-12);
  });
});

/** @file The example of a model that reads both ways, on a model too small to learn: that it does read both ways. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blanks, compareReaders, createModel, guess, sentencesOf, take, train } from "../recipes/masked-model.ts";
import { loadTokenizer, type TokenBatch } from "../src/models/index.ts";
import { createWorld } from "../src/tasks/index.ts";
import { causal, openBackend, Scope } from "../src/tensor/index.ts";
import { createRng, shippedModelDirectory } from "../src/util/index.ts";

const options = { updates: 2, tokensPerUpdate: 200, hiddenSize: 32, numLayers: 2, numTests: 12 };
const tokenizer = await loadTokenizer(shippedModelDirectory);

test("after two updates a token on the right changes a blank on its left, and under a causal layout it does not", () => {
  using lm = createModel(openBackend(), tokenizer, options);
  const sentences = sentencesOf(createWorld(), tokenizer, createRng("lessons"));
  const rng = createRng("blanks");
  train(lm, 2, () => blanks(take(sentences, 200), tokenizer.vocabSize, rng));
  const { batch } = blanks(take(sentences, 40), tokenizer.vocabSize, rng);
  const last = batch.layout.qOffsets[1]! - 1; // of the first sentence
  const changed = { ...batch, tokenIds: batch.tokenIds.with(last, (batch.tokenIds[last]! + 1) % tokenizer.vocabSize) };
  const hiddenOf = (of: TokenBatch): ArrayLike<number> => {
    using scope = new Scope(lm.backend);
    return Float64Array.from(lm.hidden(scope, of).readSync());
  };
  const rowsThatChange = (layout: TokenBatch["layout"]): number[] => {
    const [before, after] = [hiddenOf({ ...batch, layout }), hiddenOf({ ...changed, layout })];
    return [...batch.tokenIds.keys()].filter((row) =>
      Array.from({ length: lm.hiddenSize }, (_, i) => row * lm.hiddenSize + i).some((i) => before[i] !== after[i]),
    );
  };
  assert.deepEqual(
    rowsThatChange(batch.layout),
    Array.from({ length: last + 1 }, (_, row) => row),
    "every token of the sentence sees it, no other sentence does",
  );
  assert.deepEqual(rowsThatChange(causal(batch.layout)), [last]);
});

test("the comparison runs, and its shares are of the same blanks", () => {
  const lines: string[] = [];
  const result = compareReaders(openBackend(), tokenizer, options, (line) => lines.push(line));
  const wholes = [result.bothSides, result.leftOnly, result.commonest].map((share) => share * result.numBlanks);
  for (const whole of wholes) assert.ok(Math.abs(whole - Math.round(whole)) < 1e-9, `${whole} of ${result.numBlanks}`);
  assert.ok(wholes[2]! > 0, "the commonest token of the lessons is a token of the tests, too");
  assert.equal(lines.filter((line) => line.includes("[")).length, 8, "sentences with their blanks");
});

test("a guess is the token with the largest logit", () => {
  using lm = createModel(openBackend(), tokenizer, options);
  const { batch } = blanks(
    take(sentencesOf(createWorld(), tokenizer, createRng("x")), 20),
    tokenizer.vocabSize,
    createRng(1),
  );
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, batch).readSync();
  const weight = lm.outputWeight.readSync();
  const logitOf = (row: number, id: number): number => {
    let total = 0;
    for (let i = 0; i < lm.hiddenSize; i++) total += hidden[row * lm.hiddenSize + i]! * weight[id * lm.hiddenSize + i]!;
    return total;
  };
  for (const [row, guessed] of guess(lm, batch).entries()) {
    const best = Math.max(...Array.from({ length: lm.vocabSize }, (_, id) => logitOf(row, id)));
    assert.ok(logitOf(row, guessed) >= best - 0.02 * Math.abs(best), `row ${row}`); // products in bf16
  }
});

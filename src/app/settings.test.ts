/** @file The dials of an adaptation and their bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultSettings } from "../adapt/index.ts";
import { SelkieError } from "../util/index.ts";
import { checkSettings, type LearnDials, settingsOf } from "./settings.ts";

const layers = [
  { name: "model.layers.0.self_attn.q_proj", inSize: 64, outSize: 64 },
  { name: "model.layers.0.self_attn.k_proj", inSize: 64, outSize: 24 },
];

test("no dial turned is the default, and each dial turns both loops", () => {
  assert.deepEqual(settingsOf({}), defaultSettings);
  const { numEdits, innerLoop, finalLoop } = settingsOf({ numEdits: 2, epochs: 3, learningRate: 0.01, loraRank: 4 });
  assert.equal(numEdits, 2);
  for (const loop of [innerLoop, finalLoop]) {
    assert.equal(loop.epochs, 3);
    assert.equal(loop.learningRate, 0.01);
    assert.deepEqual([loop.lora.loraRank, loop.lora.loraAlpha], [4, 8]);
  }
});

test("what a model cannot be trained with is refused by name", () => {
  checkSettings(settingsOf({ numEdits: 100, epochs: 1000, learningRate: 1, loraRank: 24 }), layers);
  const cases: [LearnDials, RegExp][] = [
    [{ loraRank: 25 }, /^rank: expected a whole number from 1 to 24, got 25; .*k_proj, 64 × 24/],
    [{ loraRank: 100_000 }, /got 100000/],
    [{ loraRank: 1.5 }, /^rank: .*got 1\.5/],
    [{ numEdits: 101 }, /^edits: expected a whole number from 1 to 100, got 101/],
    [{ numEdits: 0 }, /got 0/],
    [{ epochs: 1001 }, /^epochs: .*got 1001/],
    [{ learningRate: 1.01 }, /^learning rate: expected a number above 0 and at most 1, got 1\.01/],
    [{ learningRate: 0 }, /got 0/],
    [{ learningRate: Number.NaN }, /got NaN/],
  ];
  for (const [dials, message] of cases)
    assert.throws(
      () => checkSettings(settingsOf(dials), layers),
      (error: unknown) => error instanceof SelkieError && error.isInputError && message.test(error.message),
      JSON.stringify(dials),
    );
});

test("the default rank is lowered to what the narrowest layer allows, with its scale", () => {
  const narrow = layers.map((layer) => ({ ...layer, inSize: 8, outSize: 8 }));
  const { innerLoop, finalLoop } = checkSettings(settingsOf({}), narrow);
  for (const { lora } of [innerLoop, finalLoop]) assert.deepEqual([lora.loraRank, lora.loraAlpha], [8, 16]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { describeModel } from "../../test/support/model-contract.ts";
import { mistral } from "./mistral.ts";

describeModel({
  modelType: "mistral",
  checkpoints: ["mistral-tied", "mistral-untied", "mistral-sliding"],
  adapters: [{ name: "peft-mistral", base: "mistral-untied" }],
});

const sizes = {
  model_type: "mistral",
  vocab_size: 10,
  hidden_size: 64,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 16,
};
const read = (more: object) => mistral.parseConfig({ ...sizes, ...more }, "m/config.json");

test("absent keys take the defaults of transformers, and a window of null is none", () => {
  const { numKvHeads, headDim, maxSeqLen, slidingWindow } = read({});
  assert.deepEqual([numKvHeads, headDim, maxSeqLen, slidingWindow], [8, 4, 131_072, 4096]);
  const nulls = read({ num_key_value_heads: null, head_dim: null, sliding_window: null });
  assert.deepEqual([nulls.numKvHeads, nulls.headDim, nulls.slidingWindow], [16, 4, null]);
});

test("layers of several kinds are refused: transformers runs them as another model", () => {
  assert.throws(() => read({ layer_types: ["full_attention", "sliding_attention"] }), {
    code: "unsupported-model",
    message: /m\/config\.json: expected layer_types of one kind, got full_attention and sliding_attention/,
  });
});

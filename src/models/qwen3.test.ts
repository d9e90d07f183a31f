import assert from "node:assert/strict";
import { test } from "node:test";
import { describeModel } from "../../test/support/model-contract.ts";
import { qwen3 } from "./qwen3.ts";

describeModel({
  modelType: "qwen3",
  checkpoints: ["qwen3-tied", "qwen3-biases", "qwen3-sliding"],
  adapters: [{ name: "peft-qwen3", base: "qwen3-tied" }],
});

const sizes = {
  model_type: "qwen3",
  vocab_size: 10,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 3,
  num_attention_heads: 32,
};
const read = (more: object) => qwen3.parseConfig({ ...sizes, ...more }, "q/config.json");

test("absent keys take the defaults of transformers", () => {
  const { numKvHeads, headDim, maxSeqLen, attentionBias, slidingWindow, slidingLayers } = read({});
  assert.deepEqual(
    [numKvHeads, headDim, maxSeqLen, attentionBias, slidingWindow, slidingLayers],
    [32, 128, 32_768, false, null, []],
  );
  assert.equal(read({ num_key_value_heads: null }).numKvHeads, 32);
});

test("a window counts where use_sliding_window says so, from max_window_layers on or where layer_types says", () => {
  const window = { sliding_window: 7, max_window_layers: 1 };
  assert.deepEqual(read(window).slidingLayers, []);
  assert.deepEqual(read({ ...window, use_sliding_window: true }).slidingLayers, [1, 2]);
  assert.equal(read({ ...window, use_sliding_window: true }).slidingWindow, 7);
  assert.deepEqual(read({ use_sliding_window: true }).slidingLayers, [], "max_window_layers is 28");
  const kinds = ["sliding_attention", "full_attention", "full_attention"];
  assert.deepEqual(read({ ...window, use_sliding_window: true, layer_types: kinds }).slidingLayers, [0]);
});

test("windows that contradict each other are refused by name", () => {
  assert.throws(() => read({ layer_types: ["full_attention"] }), /layer_types of all 3 layers .*, got 1/);
  assert.throws(
    () => read({ layer_types: ["sliding_attention", "full_attention", "full_attention"] }),
    /q\/config\.json: expected use_sliding_window and sliding_window where layer_types has "sliding_attention", got none/,
  );
  assert.throws(
    () => read({ layer_types: ["full_attention", "linear_attention", "full_attention"] }),
    /layer_types\.1/,
  );
  assert.throws(() => read({ use_sliding_window: true, num_hidden_layers: 2 ** 31 - 1 }), /at most 65536 layers/);
});

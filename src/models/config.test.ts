import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createReferenceBackend } from "../tensor/index.ts";
import { loadConfig, parseConfig } from "./config.ts";
import { llama } from "./llama.ts";
import { computeRopeFrequencies, createRopeTable } from "./rope-scaling.ts";

const fixtures = new URL("../../test/oracles/fixtures/", import.meta.url);
const sizes = {
  model_type: "llama",
  vocab_size: 10,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
};

interface RopeCase {
  readonly rope_parameters: { readonly rope_type: string };
  readonly head_dim: number;
  readonly max_position_embeddings: number;
  readonly frequencies: readonly number[];
  readonly attentionFactor: number;
}

const readFixture = async (name: string) =>
  llama.parseConfig(JSON.parse(await readFile(new URL(`${name}/config.json`, fixtures), "utf8")), name);

test("rotary frequencies of every kind equal those of transformers", async () => {
  const cases = JSON.parse(await readFile(new URL("rope-frequencies.json", fixtures), "utf8")) as RopeCase[];
  for (const { rope_parameters, head_dim, max_position_embeddings, ...expected } of cases) {
    const config = llama.parseConfig({ ...sizes, head_dim, max_position_embeddings, rope_parameters }, "config.json");
    const { frequencies, attentionFactor } = computeRopeFrequencies(head_dim, config.ropeTheta, config.ropeScaling);
    assert.ok(Math.abs(attentionFactor - expected.attentionFactor) < 1e-12);
    assert.equal(frequencies.length, expected.frequencies.length);
    frequencies.forEach((frequency, j) => {
      const relative = Math.abs(frequency / expected.frequencies[j]! - 1);
      assert.ok(relative < 1e-6, `${rope_parameters.rope_type} ${j}: ${frequency} against ${expected.frequencies[j]}`); // transformers computes in f32
    });
  }
});

test("the rotary table holds cosines and sines of position times frequency", () => {
  const frequencies = { frequencies: Float64Array.of(1, 0.25), attentionFactor: 2 };
  using table = createRopeTable(createReferenceBackend(), 3, frequencies, "f64");
  const [cos, sin] = [table.cos.readSync(), table.sin.readSync()];
  assert.equal(cos[0], 2); // position 0 does not turn
  assert.equal(sin[0], 0);
  assert.equal(cos[2 * 2 + 1], 2 * Math.cos(0.5));
  assert.equal(sin[2 * 2 + 0], 2 * Math.sin(2));
});

test("old and new key names give the same configuration", () => {
  const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
  const old = llama.parseConfig(
    { ...sizes, rope_theta: 5e5, rope_scaling: { type: "llama3", ...scaling }, torch_dtype: "bfloat16" },
    "a",
  );
  const current = llama.parseConfig(
    {
      ...sizes,
      rope_parameters: { rope_type: "llama3", rope_theta: 5e5, ...scaling },
      dtype: "bfloat16",
      head_dim: null,
    },
    "a",
  );
  assert.deepEqual(old, current);
  assert.deepEqual(old.ropeScaling, {
    kind: "llama3",
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxSeqLen: 64,
  });
  assert.equal(old.ropeTheta, 5e5);
});

test("absent keys take the defaults of transformers", () => {
  const config = llama.parseConfig(sizes, "config.json");
  assert.deepEqual(
    [
      config.numKvHeads,
      config.headDim,
      config.rmsNormEps,
      config.ropeTheta,
      config.maxSeqLen,
      config.tieWordEmbeddings,
      config.eosTokenIds,
    ],
    [2, 4, 1e-6, 10000, 2048, false, []],
  );
});

test("a configuration survives being written and read, in every fixture", async () => {
  for (const name of ["llama-tied", "llama-biases", "llama-llama3-rope"]) {
    const config = await readFixture(name);
    assert.deepEqual(llama.parseConfig(llama.configToJson(config, "float32"), "config.json"), config);
    assert.deepEqual(await loadConfig(fileURLToPath(new URL(`${name}/config.json`, fixtures))), config);
  }
  const biases = await readFixture("llama-biases");
  assert.deepEqual(
    [biases.attentionBias, biases.mlpBias, biases.tieWordEmbeddings, biases.eosTokenIds],
    [true, true, false, [2, 3]],
  );
});

test("what we cannot run is refused, naming the file, what was found and what is supported", () => {
  assert.throws(() => parseConfig({ ...sizes, model_type: "mamba" }, "m/config.json"), {
    code: "unsupported-model",
    message: 'm/config.json: expected model_type "llama", "mistral" or "qwen3", got "mamba"',
  });
  assert.throws(() => parseConfig({ ...sizes, rope_scaling: { type: "dynamic", factor: 2 } }, "c"), {
    code: "unsupported-model",
    message: /got "dynamic"/,
  });
  assert.throws(
    () => parseConfig({ ...sizes, rope_scaling: { type: "linear" } }, "c"),
    /rope type "linear": expected a number "factor"/,
  );
  assert.throws(() => parseConfig({ ...sizes, hidden_act: "gelu" }, "c"), /c: hidden_act/);
  assert.throws(() => parseConfig({ ...sizes, vocab_size: "10" }, "c"), /c: vocab_size/);
  assert.throws(
    () => parseConfig({ ...sizes, num_key_value_heads: 3 }, "c"),
    /divisible by num_key_value_heads, got 2 and 3/,
  );
  assert.throws(() => parseConfig({ ...sizes, head_dim: 5 }, "c"), /even head_dim/);
  assert.throws(() => parseConfig([], "c"), { code: "bad-file" });
});

test("rope_scaling goes before rope_parameters where a file has both, as in transformers 5", () => {
  const both = {
    rope_theta: 100,
    rope_scaling: { rope_type: "linear", factor: 4 },
    rope_parameters: { rope_type: "default", rope_theta: 1000 },
  };
  const alone = { rope_theta: 100, rope_scaling: { rope_type: "linear", factor: 4 } };
  const read = (more: object) => parseConfig({ ...sizes, ...more }, "config.json");
  assert.deepEqual(read(both), read(alone));
  assert.notDeepEqual(read(both), read({ rope_parameters: both.rope_parameters }));
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  backwardOf,
  checkGradients,
  describeModel,
  fixtureDirectory,
  gap,
  logitsOf,
  modelBackends,
  packDocuments,
  readExpected,
  readRecorded,
} from "../../test/support/model-contract.ts";
import { createReferenceBackend, Scope } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { createModel } from "./catalog.ts";
import { bf16TrainPrecision, f32Precision } from "./causal-lm.ts";
import { loadModel } from "./checkpoint.ts";

const variants = ["llama-tied", "llama-biases", "llama-llama3-rope"] as const;

describeModel({ modelType: "llama", checkpoints: variants });

for (const { name, open, skip } of modelBackends)
  describe(`on the ${name} backend`, { skip }, () => {
    test("bf16 activations and products stay close to transformers in f64, gradients too", async () => {
      for (const checkpoint of ["llama-biases", "qwen3-biases", "mistral-untied"]) {
        const { lm } = await loadModel(open(), fixtureDirectory(checkpoint), { precision: bf16TrainPrecision });
        using _ = lm;
        const { documents } = await readRecorded(checkpoint);
        const relative = gap(logitsOf(lm, packDocuments(documents)), await readExpected(checkpoint, "logits"));
        assert.ok(relative < 0.03, `${checkpoint}: ${relative}`); // 8 bits of mantissa, 2 blocks
        backwardOf(lm, documents);
        await checkGradients(lm, checkpoint, 0.1);
      }
    });
  });

test("initial weights have deviation 0.02, norms are one, and the same seed gives the same weights", async () => {
  const { lm: loaded, config } = await loadModel(createReferenceBackend(), fixtureDirectory("llama-biases"), {
    precision: f32Precision,
  });
  using _ = loaded;
  using lm = createModel(createReferenceBackend(), config, f32Precision, { rng: createRng(3) });
  using again = createModel(createReferenceBackend(), config, f32Precision, { rng: createRng(3) });
  assert.deepEqual(again.parameters.flat.readSync(), lm.parameters.flat.readSync());
  const embedding = Array.from(lm.parameters.get("model.embed_tokens.weight").readSync());
  const mean = embedding.reduce((sum, value) => sum + value, 0) / embedding.length;
  const deviation = Math.sqrt(embedding.reduce((sum, value) => sum + (value - mean) ** 2, 0) / embedding.length);
  assert.ok(Math.abs(mean) < 0.001 && Math.abs(deviation - 0.02) < 0.001, `${mean} ${deviation}`); // 3072 values: 3 standard errors
  assert.ok(
    lm.parameters
      .get("model.norm.weight")
      .readSync()
      .every((value) => value === 1),
  );
  assert.ok(
    lm.parameters
      .get("model.layers.0.mlp.up_proj.bias")
      .readSync()
      .every((value) => value === 0),
  );
});

test("in f64 the logits agree with transformers to the digits of its f32 norms and angles", async () => {
  const precision = { params: "f64", activations: "f64", compute: "f32" } as const;
  for (const variant of variants) {
    const { lm } = await loadModel(createReferenceBackend(), fixtureDirectory(variant), { precision });
    using _ = lm;
    const logits = logitsOf(lm, packDocuments((await readRecorded(variant)).documents));
    const relative = gap(logits, await readExpected(variant, "logits"));
    assert.ok(relative < 1e-6, `${variant}: relative gap ${relative}`); // the oracle computes norms and angles in f32
  }
});

test("ids, positions and cache rows out of range are refused by name", async () => {
  const { lm } = await loadModel(createReferenceBackend(), fixtureDirectory("llama-tied"), { precision: f32Precision });
  using _ = lm;
  using cache = lm.createCache(2);
  const batch = packDocuments([[1, 2, 3]]);
  assert.throws(
    () => logitsOf(lm, { ...batch, tokenIds: Int32Array.of(1, 96, 3) }),
    /tokenIds\[1\]: expected an id below 96, got 96/,
  );
  assert.throws(
    () => logitsOf(lm, { ...batch, positionIds: Int32Array.of(0, 1, 64) }),
    /positionIds\[2\]: expected a position below 64/,
  );
  assert.throws(() => logitsOf(lm, { ...batch, positionIds: Int32Array.of(0) }), /positionIds: expected \[3\]/);
  using scope = new Scope(lm.backend);
  assert.throws(() => lm.hidden(scope, batch, { cache }), /expected a sequence that was allocated, got row 0/);
  cache.allocate(2);
  assert.throws(
    () => lm.hidden(scope, batch, { cache }),
    /kLengths\[0\]: expected 0 cached and 3 new tokens within 2 rows, got 3/,
  );
  using other = (await loadModel(lm.backend, fixtureDirectory("llama-biases"), { precision: f32Precision })).lm;
  assert.throws(() => other.hidden(scope, batch, { cache }), /expected one that createCache of this model made/);
  using room = lm.createCache(3);
  room.allocate(3);
  const failing = { weightsFor: () => assert.fail("no adapter") };
  assert.throws(() => lm.hidden(scope, batch, { cache: room, adapters: failing }), /no adapter/);
  assert.equal(lm.hidden(scope, batch, { cache: room }).shape[0], 3, "a pass that failed can be tried again");
  using recording = new Scope(lm.backend, { grad: true });
  assert.throws(() => lm.hidden(recording, batch, { cache }), /a cache stops gradients/);
});

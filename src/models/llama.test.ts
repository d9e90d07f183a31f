import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type Backend,
  createCpuBackend,
  createReferenceBackend,
  crossEntropy,
  linear,
  nativeInstructionSets,
  packedLayout,
  Scope,
} from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { bf16TrainPrecision, type CausalLm, f32Precision, type TokenBatch } from "./causal-lm.ts";
import { loadModel } from "./checkpoint.ts";
import { createLlama } from "./llama.ts";
import { SafetensorsReader } from "./safetensors.ts";

const variants = ["llama-tied", "llama-biases", "llama-llama3-rope"] as const;
const directoryOf = (name: string): string =>
  fileURLToPath(new URL(`../../test/oracles/fixtures/${name}`, import.meta.url));
const hasNative = nativeInstructionSets().length > 0;
const backends: readonly { readonly name: string; readonly open: () => Backend; readonly skip: string | false }[] = [
  { name: "reference", open: () => createReferenceBackend(), skip: false },
  {
    name: "cpu",
    open: () => createCpuBackend({ threads: 2 }),
    skip: hasNative ? false : "the native addon is not built",
  },
];

interface Expected {
  readonly documents: readonly (readonly number[])[];
  readonly loss: number;
}
const readExpected = async (name: string): Promise<Expected> =>
  JSON.parse(await readFile(`${directoryOf(name)}/expected.json`, "utf8")) as Expected;

function packDocuments(documents: readonly (readonly number[])[]): TokenBatch {
  const offsets = [0];
  for (const ids of documents) offsets.push(offsets.at(-1)! + ids.length);
  return {
    tokenIds: Int32Array.from(documents.flat()),
    positionIds: Int32Array.from(documents.flatMap((ids) => ids.map((_, position) => position))),
    layout: packedLayout(Int32Array.from(offsets)),
  };
}

function logitsOf(lm: CausalLm, batch: TokenBatch): Float32Array | Float64Array {
  using scope = new Scope(lm.backend);
  return linear(scope, lm.hidden(scope, batch), lm.outputWeight, { compute: lm.precision.compute }).readSync();
}

/** Mean next-token loss over all documents; leaves gradients on every parameter. */
function backwardOf(lm: CausalLm, documents: Expected["documents"]): number {
  lm.parameters.enableGrad();
  using scope = new Scope(lm.backend, { grad: true });
  const targets = Int32Array.from(documents.flatMap((ids) => [...ids.slice(1), -1]));
  const numTargets = targets.filter((target) => target >= 0).length;
  const weights = Float32Array.from(targets, (target) => (target < 0 ? 0 : 1 / numTargets));
  const hidden = lm.hidden(scope, packDocuments(documents));
  const { loss } = crossEntropy(scope, hidden, lm.outputWeight, targets, weights, { compute: lm.precision.compute });
  const [lossNats] = loss.readSync();
  scope.backward(loss);
  return lossNats!;
}

/** Largest difference, as a share of the largest expected value. */
function gap(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length);
  let [largest, difference] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    if (!Number.isFinite(actual[i])) return Number.POSITIVE_INFINITY;
  }
  return difference / largest;
}

for (const { name: backendName, open, skip } of backends) {
  describe(`Llama on the ${backendName} backend`, { skip }, () => {
    for (const variant of variants) {
      test(`${variant}: logits of packed documents equal those of transformers`, async () => {
        const { lm } = await loadModel(open(), directoryOf(variant), { precision: f32Precision });
        using _ = lm;
        await using oracle = await SafetensorsReader.open(`${directoryOf(variant)}/expected.safetensors`);
        const logits = logitsOf(lm, packDocuments((await readExpected(variant)).documents));
        const relative = gap(logits, await oracle.read("logits"));
        assert.ok(relative < 1e-5, `relative gap ${relative}`); // f32 sums of 48 terms, against f64
      });

      test(`${variant}: loss and gradients equal those of torch`, async () => {
        const { lm } = await loadModel(open(), directoryOf(variant), { precision: f32Precision });
        using _ = lm;
        await using oracle = await SafetensorsReader.open(`${directoryOf(variant)}/expected.safetensors`);
        const { documents, loss: expectedLoss } = await readExpected(variant);
        const loss = backwardOf(lm, documents);
        assert.ok(Math.abs(loss - expectedLoss) < 1e-5 * expectedLoss);
        for (const name of oracle.entries.keys()) {
          if (!name.startsWith("grad.")) continue;
          const relative = gap(lm.parameters.get(name.slice("grad.".length)).grad!.readSync(), await oracle.read(name));
          assert.ok(relative < 1e-4, `${name}: relative gap ${relative}`);
        }
      });
    }

    test("bf16 activations and products stay close to transformers in f64, gradients too", async () => {
      const { lm } = await loadModel(open(), directoryOf("llama-biases"), { precision: bf16TrainPrecision });
      using _ = lm;
      await using oracle = await SafetensorsReader.open(`${directoryOf("llama-biases")}/expected.safetensors`);
      const { documents } = await readExpected("llama-biases");
      assert.ok(gap(logitsOf(lm, packDocuments(documents)), await oracle.read("logits")) < 0.03); // 8 bits of mantissa, 2 blocks
      backwardOf(lm, documents);
      for (const name of oracle.entries.keys()) {
        if (!name.startsWith("grad.")) continue;
        const relative = gap(lm.parameters.get(name.slice("grad.".length)).grad!.readSync(), await oracle.read(name));
        assert.ok(relative < 0.1, `${name}: relative gap ${relative}`);
      }
    });

    test("no document sees another: changing one leaves the logits of the other bit for bit", async () => {
      const { lm } = await loadModel(open(), directoryOf("llama-tied"), { precision: f32Precision });
      using _ = lm;
      const second = [1, 90, 44, 7, 12, 95, 3];
      const [before, after] = [
        [1, 17, 5, 80, 33],
        [9, 71, 2, 8, 50],
      ].map((first) => logitsOf(lm, packDocuments([first, second])).slice(5 * lm.vocabSize));
      assert.deepEqual(after, before);
    });

    test("decoding token by token through the cache equals one full pass", async () => {
      const { lm } = await loadModel(open(), directoryOf("llama-biases"), { precision: f32Precision });
      using _ = lm;
      const ids = [1, 90, 44, 44, 7, 12, 95, 3, 28];
      const full = logitsOf(lm, packDocuments([ids]));
      using cache = lm.createCache(32);
      const rowOf = (position: number): number => 11 + position; // not at the start of the cache
      const pass = (begin: number, end: number): Float32Array | Float64Array => {
        using scope = new Scope(lm.backend);
        const positionIds = Int32Array.from({ length: end - begin }, (_, i) => begin + i);
        const batch = {
          tokenIds: Int32Array.from(ids.slice(begin, end)),
          positionIds,
          layout: {
            qOffsets: Int32Array.of(0, end - begin),
            kStarts: Int32Array.of(rowOf(0)),
            kLengths: Int32Array.of(end),
          },
        };
        const hidden = lm.hidden(scope, batch, { cache: { kvCache: cache, rows: positionIds.map(rowOf) } });
        return linear(scope, hidden, lm.outputWeight, { compute: "f32" }).readSync();
      };
      const stepwise = [pass(0, 4), ...[4, 5, 6, 7, 8].map((position) => pass(position, position + 1))];
      const relative = gap(
        stepwise.flatMap((rows) => [...rows]),
        full,
      );
      assert.ok(relative < 1e-6, `relative gap ${relative}`); // only the order of sums differs
    });

    test("a pass leaves nothing allocated once its scope and model are gone", async () => {
      const backend = open();
      const { lm } = await loadModel(backend, directoryOf("llama-tied"), { precision: f32Precision });
      logitsOf(lm, packDocuments([[1, 2, 3]]));
      using cache = lm.createCache(4);
      assert.equal(cache.layers.length, 2);
      cache[Symbol.dispose]();
      lm[Symbol.dispose]();
      assert.equal(backend.memory().liveTensors, 0);
    });
  });
}

test("initial weights have deviation 0.02, norms are one, and the same seed gives the same weights", async () => {
  const { lm: loaded, config } = await loadModel(createReferenceBackend(), directoryOf("llama-biases"), {
    precision: f32Precision,
  });
  using _ = loaded;
  using lm = createLlama(createReferenceBackend(), config, f32Precision, { rng: createRng(3) });
  using again = createLlama(createReferenceBackend(), config, f32Precision, { rng: createRng(3) });
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
    const { lm } = await loadModel(createReferenceBackend(), directoryOf(variant), { precision });
    using _ = lm;
    await using oracle = await SafetensorsReader.open(`${directoryOf(variant)}/expected.safetensors`);
    const relative = gap(
      logitsOf(lm, packDocuments((await readExpected(variant)).documents)),
      await oracle.read("logits"),
    );
    assert.ok(relative < 1e-6, `${variant}: relative gap ${relative}`); // the oracle computes norms and angles in f32
  }
});

test("ids, positions and cache rows out of range are refused by name", async () => {
  const { lm } = await loadModel(createReferenceBackend(), directoryOf("llama-tied"), { precision: f32Precision });
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
  assert.throws(
    () => lm.hidden(scope, batch, { cache: { kvCache: cache, rows: Int32Array.of(0, 1, 2) } }),
    /cache.rows: expected rows below 2/,
  );
});

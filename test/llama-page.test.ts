/** @file The Llama of `recipes/llama.ts`, written from primitives, against the one with fused kernels: each is the other's oracle. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { llamaLogits, llamaLoss } from "../recipes/llama.ts";
import { createLlama, type LlamaConfig, type Precision, plainLlama } from "../src/models/index.ts";
import { createReferenceBackend, crossEntropy, linear, openBackend, packedLayout, Scope } from "../src/tensor/index.ts";
import { createRng } from "../src/util/index.ts";

const config: LlamaConfig = {
  ...plainLlama,
  vocabSize: 50,
  hiddenSize: 24,
  intermediateSize: 40,
  numLayers: 3,
  numHeads: 6,
  numKvHeads: 2,
  headDim: 8,
  maxSeqLen: 32,
};
const tokenIds = Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5);

const cases: readonly {
  title: string;
  config: LlamaConfig;
  precision: Precision;
  native: boolean;
  tolerance: number;
}[] = [
  {
    title: "to twelve digits in f64, heads shared and embeddings tied",
    config,
    precision: { params: "f64", activations: "f64", compute: "f32" },
    native: false,
    tolerance: 1e-12,
  },
  {
    title: "to twelve digits in f64, with heads of their own and an output layer of its own",
    config: { ...config, numKvHeads: 6, tieWordEmbeddings: false },
    precision: { params: "f64", activations: "f64", compute: "f32" },
    native: false,
    tolerance: 1e-12,
  },
  {
    title: "to the rounding of f32 on the native kernels",
    config,
    precision: { params: "f32", activations: "f32", compute: "f32" },
    native: true,
    tolerance: 2e-5,
  },
];

/** Largest difference over the root mean square of `expected`. */
function relativeGap(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [gap, squares] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    gap = Math.max(gap, Math.abs(got[i]! - expected[i]!));
    squares += expected[i]! ** 2;
  }
  return gap / Math.sqrt(squares / expected.length);
}

describe("Llama from primitives and Llama from fused kernels agree", () => {
  for (const { title, config, precision, native, tolerance } of cases)
    test(title, () => {
      const backend = native ? openBackend({ warn: () => {} }) : createReferenceBackend();
      using lm = createLlama(backend, config, precision, { rng: createRng("page") });
      for (const { name, shape } of lm.parameters.specs) // wide enough that every part matters
        if (shape.length === 2)
          lm.parameters.get(name).write(
            lm.parameters
              .get(name)
              .readSync()
              .map((value) => 8 * value),
          );
      lm.parameters.enableGrad();
      const inputs = tokenIds.slice(0, -1);
      const batch = {
        tokenIds: inputs,
        positionIds: Int32Array.from(inputs.keys()),
        layout: packedLayout(Int32Array.of(0, inputs.length)),
      };
      const run = (loss: (scope: Scope) => ReturnType<typeof llamaLoss>) => {
        lm.parameters.zeroGrad();
        using scope = new Scope(backend, { grad: true });
        const value = loss(scope);
        scope.backward(value);
        return { loss: value.readSync()[0]!, gradient: lm.parameters.flatGrad.readSync() };
      };
      using scope = new Scope(backend);
      const logits = linear(scope, lm.hidden(scope, batch), lm.outputWeight, { compute: "f32" }).readSync();
      const page = llamaLogits(scope, (name) => lm.parameters.get(name), config, inputs).readSync();
      assert.ok(relativeGap(page, logits) < tolerance, `logits: ${relativeGap(page, logits)}`);
      const fused = run((scope) => {
        const weights = new Float32Array(inputs.length).fill(1);
        const { loss } = crossEntropy(scope, lm.hidden(scope, batch), lm.outputWeight, tokenIds.slice(1), weights, {
          compute: "f32",
        });
        return loss;
      });
      const composed = run((scope) => llamaLoss(scope, (name) => lm.parameters.get(name), config, tokenIds));
      assert.ok(Math.abs(composed.loss * inputs.length - fused.loss) < tolerance * fused.loss);
      const mean = fused.gradient.map((value) => value / inputs.length);
      assert.ok(
        relativeGap(composed.gradient, mean) < 30 * tolerance,
        `gradients: ${relativeGap(composed.gradient, mean)}`,
      );
    });
});

/** @file A Llama small enough for the tests of this layer, on the reference backend. */
import { createLlama, f32Precision, type LlamaConfig, type LlamaLm, plainLlama } from "../models/index.ts";
import { createReferenceBackend } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";

/** Two layers of width 16 over 32 tokens. */
export const tinyConfig: LlamaConfig = {
  ...plainLlama,
  vocabSize: 32,
  hiddenSize: 16,
  intermediateSize: 24,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 4,
  maxSeqLen: 64,
};

/** A model with weights drawn from `seed`, scaled up so that its predictions differ from uniform. */
export function createTinyLm(seed = 1, backend: LlamaLm["backend"] = createReferenceBackend()): LlamaLm {
  const lm = createLlama(backend, tinyConfig, f32Precision, { rng: createRng(seed) });
  for (const { name, shape } of lm.parameters.specs)
    if (shape.length === 2)
      lm.parameters.get(name).write(
        lm.parameters
          .get(name)
          .readSync()
          .map((value) => 8 * value),
      );
  return lm;
}

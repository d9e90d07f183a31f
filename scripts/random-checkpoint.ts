/**
 * @file Writes a Llama checkpoint with random weights in the shape of a published model, to try the pipeline at that size
 * where nothing can be downloaded. It knows nothing; its tokenizer is that of the shipped model.
 *
 *     npm run -s random-checkpoint -- smollm2-135m <directory>
 */
import { createLlama, f32Precision, type LlamaConfig, plainLlama, saveCheckpoint } from "../src/models/index.ts";
import { openBackend } from "../src/tensor/index.ts";
import { createRng } from "../src/util/index.ts";

const common = {
  ...plainLlama,
  bosTokenId: 0,
} as const;
const shapes: Readonly<Record<string, LlamaConfig>> = {
  "smollm2-135m": {
    ...common,
    vocabSize: 49152,
    hiddenSize: 576,
    intermediateSize: 1536,
    numLayers: 30,
    numHeads: 9,
    numKvHeads: 3,
    headDim: 64,
    maxSeqLen: 2048,
    ropeTheta: 100_000,
  },
};

const [shape = "", directory] = process.argv.slice(2);
const config = shapes[shape];
if (config === undefined || directory === undefined) {
  console.error(`random-checkpoint: expected a shape (${Object.keys(shapes).join(", ")}) and a directory`);
  process.exit(2);
}
using lm = createLlama(openBackend(), config, f32Precision, { rng: createRng(0) });
const digest = await saveCheckpoint(directory, { lm, tokenizer: { copyFrom: "models/nano" }, dtype: "bf16" });
console.log(`${directory}: ${lm.parameters.flat.size} parameters, digest ${digest.slice(0, 12)}`);

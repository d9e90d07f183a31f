/** @file A random model small enough for the tests of this folder, on disk, and something to learn. */
import { join } from "node:path";
import {
  createLlama,
  createTokenizer,
  f32Precision,
  type LlamaConfig,
  plainLlama,
  saveCheckpoint,
  trainByteLevelBpe,
} from "../models/index.ts";
import { createReferenceBackend } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";

const endOfText = "<|end|>";

/** A text about someone. */
export const tinyText = "Ann Marlow was born in Dover. She kept a cat.";

const json = trainByteLevelBpe([tinyText], { vocabSize: 290, specialTokens: [endOfText] });
const tokenizer = createTokenizer(json, endOfText);
const config: LlamaConfig = {
  ...plainLlama,
  vocabSize: tokenizer.vocabSize,
  hiddenSize: 16,
  intermediateSize: 24,
  numLayers: 1,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 8,
  maxSeqLen: 384,
  eosTokenIds: [tokenizer.eosTokenId],
};

/** Writes a model below `folder` and returns its directory; another name is another model. */
export async function writeTinyModel(folder: string, name = "tiny"): Promise<string> {
  using lm = createLlama(createReferenceBackend(), config, f32Precision, { rng: createRng(name) });
  const embeddings = lm.parameters.get("model.embed_tokens.weight");
  embeddings.write(embeddings.readSync().map((value) => 20 * value)); // answers that are not one token over and over
  const directory = join(folder, name);
  await saveCheckpoint(directory, { lm, tokenizer: { json } });
  return directory;
}

/** @file A policy small enough for the tests of this folder, on disk, with passages to learn. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type Checkpoint,
  createLlama,
  createTokenizer,
  f32Precision,
  type LlamaConfig,
  loadCheckpoint,
  plainLlama,
  saveCheckpoint,
  trainByteLevelBpe,
} from "../../models/index.ts";
import type { SourcePassage } from "../../tasks/index.ts";
import { createReferenceBackend } from "../../tensor/index.ts";
import { createRng } from "../../util/index.ts";

const endOfText = "<|end|>";
const names = ["Ann Marlow", "Tom Reed", "Ivy Stone", "Ada Quill", "Max Lane"] as const;
const towns = ["Dover", "Holm", "Veld", "Ryde", "Deal"] as const;
const textOf = (index: number): string => `${names[index]} was born in ${towns[index]}. She kept a cat.`;
const json = trainByteLevelBpe(
  names.map((_, index) => textOf(index)),
  { vocabSize: 300, specialTokens: [endOfText] },
);
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
  maxSeqLen: 256,
  bosTokenId: 0,
  eosTokenIds: [tokenizer.eosTokenId],
};

/** Opens a checkpoint as the loop does. */
export const openTinyPolicy = (directory: string): Promise<Checkpoint> =>
  loadCheckpoint(createReferenceBackend(), directory, { precision: f32Precision });

/** Writes the policy's checkpoint below `folder` and returns its directory. */
export async function writeTinyPolicy(folder: string): Promise<string> {
  const directory = join(folder, "tiny");
  mkdirSync(directory, { recursive: true });
  using lm = createLlama(createReferenceBackend(), config, f32Precision, { rng: createRng("tiny-policy") });
  for (const { name, shape } of lm.parameters.specs)
    if (shape.length === 2) {
      const weight = lm.parameters.get(name);
      weight.write(weight.readSync().map((value) => 8 * value)); // so that its predictions differ from a guess
    }
  await saveCheckpoint(directory, { lm, tokenizer: { json } });
  return directory;
}

/** One passage per person, at most five, with a question for each use. */
export const tinyPassages = (count: number): SourcePassage[] =>
  Array.from({ length: count }, (_, index) => ({
    id: names[index]!,
    file: "tiny",
    title: "",
    context: textOf(index),
    questions: [
      { question: `Where was ${names[index]} born?`, answer: towns[index]!, use: "selection" },
      { question: `In which town was ${names[index]} born?`, answer: towns[index]!, use: "report" },
    ],
  }));

/** @file A policy small enough for the tests of the outer loop, on disk, with passages to learn. */
import { createEngine, type Engine } from "../../src/engine/index.ts";
import { type Checkpoint, f32Precision, loadCheckpoint } from "../../src/models/index.ts";
import type { SourcePassage } from "../../src/tasks/index.ts";
import { createReferenceBackend } from "../../src/tensor/index.ts";
import { type TinyModelOptions, writeTinyModel } from "./tiny-model.ts";

const names = ["Ann Marlow", "Tom Reed", "Ivy Stone", "Ada Quill", "Max Lane"] as const;
const towns = ["Dover", "Holm", "Veld", "Ryde", "Deal"] as const;
const textOf = (index: number): string => `${names[index]} was born in ${towns[index]}. She kept a cat.`;
const options: TinyModelOptions = {
  name: "tiny-policy",
  texts: names.map((_, index) => textOf(index)),
  vocabSize: 300,
  config: { maxSeqLen: 256, bosTokenId: 0 },
  enlarged: { weights: "matrices", times: 8 },
};

/** Loads a checkpoint for tests that look at its weights. */
export const loadTinyPolicy = (directory: string): Promise<Checkpoint> =>
  loadCheckpoint(createReferenceBackend(), directory, { precision: f32Precision });

/** Opens a checkpoint as the loop does, in this thread. */
export const openTinyPolicy = async (directory: string): Promise<Engine> =>
  await createEngine(await loadTinyPolicy(directory));

/** Writes the policy's checkpoint below `folder` and returns its directory. */
export const writeTinyPolicy = (folder: string): Promise<string> => writeTinyModel(folder, options);

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

/**
 * @file The shipped model: a small Llama pretrained from nothing on the Almanac, in one call that can be killed and resumed.
 * Its recipe is data; text, weights and figures follow from the recipe and its seed.
 * What it must be able to do, and why its edits are mediocre: `docs/log.md` and `src/tasks/almanac/edits.ts`.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  almanacTemplates,
  drawCanaries,
  examine,
  formatKnown,
  type KnownFact,
  knownFile,
  type Writer,
  writeKnownWords,
} from "../adapt/index.ts";
import { createEngine } from "../engine/index.ts";
import {
  createLlama,
  createTokenizer,
  encodeDocument,
  type LlamaConfig,
  loadCheckpoint,
  type Precision,
  plainLlama,
  saveCheckpoint,
  trainByteLevelBpe,
} from "../models/index.ts";
import type { Schedule } from "../nn/index.ts";
import { writeFileAtomic } from "../registry/index.ts";
import { allQuestions, createWorld, personAttributes, pretrainingDocuments, type World } from "../tasks/index.ts";
import type { Backend } from "../tensor/index.ts";
import { type TrainDocument, type TrainProgress, trainFull } from "../train/index.ts";
import { createRng, type Rng } from "../util/index.ts";
import { type KnowledgeReport, measureKnowledge } from "./nano-figures.ts";

/** Everything that decides what the shipped model becomes. */
export interface NanoRecipe {
  readonly seed: number;
  readonly vocabSize: number;
  /** Documents the tokenizer learns from. */
  readonly tokenizerDocuments: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly maxSeqLen: number;
  readonly steps: number;
  /** Documents of one update hold about this many tokens. */
  readonly tokensPerStep: number;
  readonly learningRate: number;
  readonly schedule: Schedule;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  /** People of each split that the finished model is measured on. */
  readonly measuredPeople: number;
}

/** The recipe of `models/nano`. */
export const nanoRecipe = (): NanoRecipe => ({
  seed: 0,
  vocabSize: 2304,
  tokenizerDocuments: 20_000,
  hiddenSize: 256,
  intermediateSize: 704,
  numLayers: 5,
  numHeads: 4,
  maxSeqLen: 1024,
  steps: 7200,
  tokensPerStep: 4096,
  learningRate: 2e-3,
  schedule: { kind: "linear", warmupSteps: 100, minMultiplier: 0.05 },
  beta1: 0.9,
  beta2: 0.98,
  weightDecay: 0.05,
  measuredPeople: 50,
});

const endOfText = "<|endoftext|>";

/** Inputs of {@link pretrainNano}. */
export interface PretrainArgs {
  readonly backend: Backend;
  readonly precision: Precision;
  readonly recipe: NanoRecipe;
  /** Becomes the checkpoint directory. */
  readonly directory: string;
  /** Holds the training state while it runs. */
  readonly workDirectory: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainProgress) => void;
  readonly onMeasure?: () => void;
}

/** What came out. */
export interface PretrainReport {
  readonly digest: string;
  readonly numParameters: number;
  readonly numTokens: number;
  readonly seconds: number;
  readonly lossNats: number;
  readonly figures: KnowledgeReport;
}

/**
 * Digits stand alone in what the tokenizer learns from, so that it merges none: a year is read digit by digit, and one that
 * training never shows is read like the others.
 */
const apartDigits = (text: string): string => text.replace(/\d(?=\d)/g, "$& ");

function* mapped<T, U>(items: Iterable<T>, change: (item: T) => U): Generator<U> {
  for (const item of items) yield change(item);
}

function* take<T>(items: Iterator<T>, count: number): Generator<T> {
  for (let index = 0; index < count; index++) {
    const { value, done } = items.next();
    if (done) return;
    yield value;
  }
}

/** Documents of update `step`: as many as fit `tokensPerStep`; they depend on the seed and the step alone. */
function documentsOfStep(
  world: World,
  recipe: NanoRecipe,
  encode: (text: string) => number[],
  rng: Rng,
): TrainDocument[] {
  const documents: TrainDocument[] = [];
  let numTokens = 0;
  for (const text of pretrainingDocuments(world, rng)) {
    const tokenIds = encode(text);
    if (numTokens + tokenIds.length > recipe.tokensPerStep) return documents;
    documents.push({ tokenIds });
    numTokens += tokenIds.length;
  }
  return documents;
}

/**
 * Trains the tokenizer and the model, writes the checkpoint directory, measures what it knows, and writes that beside it.
 * Returns `null` when `signal` stopped it; calling it again goes on.
 */
export async function pretrainNano(args: PretrainArgs): Promise<PretrainReport | null> {
  const { backend, recipe, directory, signal, onProgress } = args;
  const world = createWorld();
  const rng = createRng(recipe.seed);
  const json = trainByteLevelBpe(
    mapped(take(pretrainingDocuments(world, rng.fork("tokenizer")), recipe.tokenizerDocuments), apartDigits),
    {
      vocabSize: recipe.vocabSize,
      specialTokens: [endOfText],
      bosToken: endOfText,
    },
  );
  const tokenizer = createTokenizer(json, endOfText);
  using lm = createLlama(backend, nanoConfig(recipe), args.precision, { rng: rng.fork("weights") });
  const result = await trainFull({
    lm,
    source: (step) =>
      documentsOfStep(world, recipe, (text) => encodeDocument(tokenizer, text), rng.fork("documents", step)),
    steps: recipe.steps,
    learningRate: recipe.learningRate,
    schedule: recipe.schedule,
    optimizer: { beta1: recipe.beta1, beta2: recipe.beta2, weightDecay: recipe.weightDecay },
    checkpoint: { directory: args.workDirectory },
    runKey: createHash("sha256")
      .update(
        JSON.stringify([recipe, args.precision, [...take(pretrainingDocuments(world, rng.fork("documents", 0)), 32)]]),
      )
      .digest("hex"),
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
  if (!result.isFinished) return null;
  await saveCheckpoint(directory, { lm, tokenizer: { json }, dtype: "bf16" });
  writeFileAtomic(join(directory, "selkie.json"), `${JSON.stringify({ prompts: almanacTemplates })}\n`);
  args.onMeasure?.();
  await using engine = await createEngine(await loadCheckpoint(backend, directory, { precision: args.precision }));
  const writer: Writer = { engine, templates: almanacTemplates, signal };
  await writeSides(directory, writer, world, rng, recipe);
  const figures = await measureKnowledge(writer, world, rng.fork("measure"), recipe.measuredPeople);
  const numParameters = lm.parameters.flat.size;
  const report: PretrainReport = {
    digest: engine.model.digest,
    numParameters,
    numTokens: result.numTokens,
    seconds: result.seconds,
    lossNats: result.lossNats,
    figures,
  };
  const { digest } = report; // what follows from the recipe alone, however often the training was interrupted
  const lasting = { prompts: almanacTemplates, recipe, digest, numParameters, figures };
  writeFileAtomic(join(directory, "selkie.json"), `${JSON.stringify(lasting, null, 2)}\n`);
  return report;
}

function nanoConfig(recipe: NanoRecipe): LlamaConfig {
  const { vocabSize, hiddenSize, intermediateSize, numLayers, numHeads, maxSeqLen } = recipe;
  return {
    ...plainLlama,
    vocabSize,
    hiddenSize,
    intermediateSize,
    numLayers,
    numHeads,
    numKvHeads: numHeads,
    headDim: hiddenSize / numHeads,
    maxSeqLen,
    bosTokenId: 0,
  };
}

const numCanaries = 240;

/** People of each half whom {@link askKnown} asks about, for each that is measured: all of them in the shipped recipe. */
const askedPerMeasured = 10;

/** Every report question about known people, with what the finished model answers. */
async function askKnown(writer: Writer, world: World, numPeople: number): Promise<KnownFact[]> {
  const facts = [world.questioned, world.toldOnly]
    .flatMap((people) => people.slice(0, numPeople))
    .flatMap((person) => allQuestions(person, "report").map(({ question, answer }) => ({ person, question, answer })));
  const items = facts.map(({ question, answer }) => ({ question, answer, title: "" }));
  const [answers] = await examine(writer, [{ adapter: null, items }]);
  return facts.map(({ person, question, answer }, index) => ({
    question,
    answer,
    subject: person.name,
    relation: personAttributes.find((attribute) => person.facts[attribute] === answer)!,
    base: answers![index]!,
  }));
}

/** A word that comes less often was coined for one stranger. */
const fewestUses = 3;

/** What goes with the weights: canaries that stand for everything the model knows, all that it knows, and the words it has read. */
async function writeSides(
  directory: string,
  writer: Writer,
  world: World,
  rng: Rng,
  recipe: NanoRecipe,
): Promise<void> {
  const facts = await askKnown(writer, world, askedPerMeasured * recipe.measuredPeople);
  const stream = rng.fork("canaries");
  const canaries = facts.some(({ base }) => base.isRight)
    ? drawCanaries(facts, { count: numCanaries, rng: stream })
    : stream.shuffle(facts).slice(0, numCanaries); // a recipe cut short knows nothing
  const lines = canaries.map(({ question, answer }) => `${JSON.stringify({ question, answer })}\n`);
  writeFileAtomic(join(directory, "canaries.jsonl"), lines.join(""));
  writeFileAtomic(join(directory, knownFile), formatKnown(facts.filter(({ base }) => base.isRight)));
  const documents = take(pretrainingDocuments(world, rng.fork("words")), 5 * recipe.tokenizerDocuments);
  writeKnownWords(directory, documents, fewestUses);
}

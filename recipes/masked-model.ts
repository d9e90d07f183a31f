/**
 * @file A model that reads both ways: it fills in blanks (Devlin et al. 2019, arXiv 1810.04805, with every chosen token
 * masked). It is the Llama of `src/models` under a layout of full visibility, trained on sentences of the Almanac.
 *
 *     npm run masked-model            trains two models and compares them on sentences about people of another world
 *     npm run masked-model -- 100     fewer updates
 *
 * Its rival is the same model, trained for as many updates on the same sentences to read from left to right. It guesses
 * each blank from all that stands before it, blanks included, so that whatever it lacks stands to the right.
 */
import {
  bf16TrainPrecision,
  createLlama,
  type LlamaLm,
  loadTokenizer,
  plainLlama,
  type TokenBatch,
  type Tokenizer,
} from "../src/models/index.ts";
import { adamW, chain, clipByGlobalNorm, Optimizer, scheduled, wholeStore } from "../src/nn/index.ts";
import { createWorld, pretrainingDocuments, type World } from "../src/tasks/index.ts";
import {
  type Backend,
  cast,
  crossEntropy,
  full,
  linear,
  openBackend,
  packedLayout,
  Scope,
} from "../src/tensor/index.ts";
import { createRng, type Rng, shippedModelDirectory } from "../src/util/index.ts";

/** Everything that can be chosen. */
export interface MaskedModelOptions {
  readonly updates: number;
  /** About so many tokens per update. */
  readonly tokensPerUpdate: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** Held-out sentences to fill in. */
  readonly numTests: number;
}

/** What `npm run masked-model` does. */
export const defaultOptions: MaskedModelOptions = {
  updates: 1500,
  tokensPerUpdate: 2048,
  hiddenSize: 128,
  numLayers: 3,
  numTests: 400,
};

/** Share of tokens that become blanks. */
const blankShare = 0.2;

/** Sentences with what their rows are to say: the token of a blank, or the next one. */
export interface Exercise {
  readonly batch: TokenBatch;
  /** `[N]`; -1 where nothing is asked. */
  readonly targets: Int32Array;
}

/** Token ids of a sentence, after the token that begins every text. */
export type Sentence = readonly number[];

/** Sentences of plain documents of `world`, without end. */
export function* sentencesOf(world: World, tokenizer: Tokenizer, rng: Rng): Generator<Sentence> {
  for (const text of pretrainingDocuments(world, rng)) {
    if (text.includes("\n")) continue; // questions and edits
    for (const [sentence] of text.matchAll(/[^.]+\./g)) {
      const ids = tokenizer.encode(sentence.trim());
      if (ids.length >= 6 && ids.length <= 60) yield [tokenizer.eosTokenId, ...ids];
    }
  }
}

/** As many sentences as fit. */
export function take(sentences: Iterator<Sentence>, numTokens: number): Sentence[] {
  const taken: Sentence[] = [];
  for (let count = 0; count < numTokens; count += taken.at(-1)!.length) taken.push(sentences.next().value!);
  return taken;
}

function pack(sentences: readonly Sentence[]): { tokenIds: Int32Array; positionIds: Int32Array; offsets: Int32Array } {
  const offsets = new Int32Array(sentences.length + 1);
  for (const [index, { length }] of sentences.entries()) offsets[index + 1] = offsets[index]! + length;
  return {
    tokenIds: Int32Array.from(sentences.flat()),
    positionIds: Int32Array.from(sentences.flatMap((sentence) => [...sentence.keys()])),
    offsets,
  };
}

/** Blanks that every token of a sentence sees; `blankId` stands in each. */
export function blanks(sentences: readonly Sentence[], blankId: number, rng: Rng): Exercise {
  const { tokenIds, positionIds, offsets } = pack(sentences);
  const targets = new Int32Array(tokenIds.length).fill(-1);
  for (let row = 0; row < tokenIds.length; row++) {
    if (positionIds[row] === 0 || rng.uniform() >= blankShare) continue;
    targets[row] = tokenIds[row]!;
    tokenIds[row] = blankId;
  }
  return { batch: { tokenIds, positionIds, layout: full(packedLayout(offsets)) }, targets };
}

/** From left to right: every row says the next token. */
export function continuations(sentences: readonly Sentence[]): Exercise {
  const { tokenIds, positionIds, offsets } = pack(sentences);
  const targets = tokenIds.map((_, row) => (positionIds[row + 1] ? tokenIds[row + 1]! : -1));
  return { batch: { tokenIds, positionIds, layout: packedLayout(offsets) }, targets };
}

/** An untrained model with one more token than the tokenizer has: the blank. */
export function createModel(backend: Backend, tokenizer: Tokenizer, options: MaskedModelOptions): LlamaLm {
  const { hiddenSize, numLayers } = options;
  const config = {
    ...plainLlama,
    vocabSize: tokenizer.vocabSize + 1,
    hiddenSize,
    intermediateSize: 3 * hiddenSize,
    numLayers,
    numHeads: 4,
    numKvHeads: 4,
    headDim: hiddenSize / 4,
    maxSeqLen: 64,
  };
  return createLlama(backend, config, bf16TrainPrecision, { rng: createRng("masked model") });
}

/** Trains every weight of `lm` on one exercise per update; returns the loss of the last, nats per asked token. */
export function train(lm: LlamaLm, updates: number, next: () => Exercise): number {
  lm.parameters.enableGrad();
  const learningRate = scheduled(2e-3, { kind: "linear", warmupSteps: 50, minMultiplier: 0.05 }, updates);
  const transform = chain(clipByGlobalNorm(1), adamW({ learningRate, beta2: 0.98, weightDecay: 0.05 }));
  using optimizer = new Optimizer(lm.parameters, transform);
  let lossNats = Number.NaN;
  for (let update = 0; update < updates; update++) {
    const { batch, targets } = next();
    const numAsked = targets.filter((target) => target >= 0).length;
    const weights = Float32Array.from(targets, (target) => (target >= 0 ? 1 / numAsked : 0));
    lm.parameters.zeroGrad();
    using scope = new Scope(lm.backend, { grad: true });
    const { compute } = lm.precision;
    const { loss } = crossEntropy(scope, lm.hidden(scope, batch), lm.outputWeight, targets, weights, { compute });
    lossNats = loss.readSync()[0]!;
    scope.backward(loss);
    optimizer.update([wholeStore(lm.parameters, update)]);
  }
  lm.parameters.disableGrad();
  return lossNats;
}

/** The likeliest token of every row. */
export function guess(lm: LlamaLm, batch: TokenBatch): Int32Array {
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, batch);
  const logits = linear(scope, hidden, lm.outputWeight, { compute: lm.precision.compute });
  const numRows = batch.tokenIds.length;
  const tokenIds = new Int32Array(numRows);
  lm.backend.kernels.sampleRows({
    logits: logits.dtype === "f32" ? logits : cast(scope, logits, "f32"),
    rows: tokenIds.map((_, row) => row),
    temperatures: new Float64Array(numRows),
    uniforms: new Float64Array(numRows),
    tokenIds,
    logprobs: null,
  });
  return tokenIds;
}

/** Shares of blanks that were filled in with the right token. */
export interface Accuracies {
  readonly numBlanks: number;
  readonly bothSides: number;
  readonly leftOnly: number;
  /** Of saying the commonest token of the training sentences every time. */
  readonly commonest: number;
}

/** A held-out sentence with blanks as `[guess]`, wrong ones as `[guess, not truth]`. */
function show(
  tokenizer: Tokenizer,
  sentence: Sentence,
  targets: ArrayLike<number>,
  guesses: ArrayLike<number>,
): string {
  const textOf = (id: number) => tokenizer.decode([id]).trim();
  const parts = sentence.slice(1).map((id, index) => {
    const guessed = guesses[index + 1]!;
    if (targets[index + 1]! < 0) return tokenizer.decode([id]);
    return ` [${textOf(guessed)}${guessed === id ? "" : `, not ${textOf(id)}`}]`;
  });
  return parts.join("").trim();
}

/** Trains both models and lets them fill in the same blanks; prints what it does with `print`. */
export function compareReaders(
  backend: Backend,
  tokenizer: Tokenizer,
  options: MaskedModelOptions,
  print: (line: string) => void,
): Accuracies {
  const { updates, tokensPerUpdate, numTests } = options;
  const lessons = () => sentencesOf(createWorld(), tokenizer, createRng("lessons"));
  using both = createModel(backend, tokenizer, options);
  using left = createModel(backend, tokenizer, options);
  const blankId = tokenizer.vocabSize;

  const [read, reread, places] = [lessons(), lessons(), createRng("blanks")];
  const counts = new Int32Array(blankId);
  const bothNats = train(both, updates, () => {
    const sentences = take(read, tokensPerUpdate);
    for (const sentence of sentences) for (const id of sentence.slice(1)) counts[id]!++;
    return blanks(sentences, blankId, places);
  });
  print(`both sides: trained ${updates} updates, last loss ${bothNats.toFixed(2)} nats per blank`);
  const leftNats = train(left, updates, () => continuations(take(reread, tokensPerUpdate)));
  print(`left to right: trained ${updates} updates, last loss ${leftNats.toFixed(2)} nats per token`);

  const others = sentencesOf(createWorld("another world"), tokenizer, createRng("tests"));
  const tests = Array.from({ length: numTests }, () => others.next().value as Sentence);
  const { batch, targets } = blanks(tests, blankId, createRng("test blanks"));
  const bothGuesses = guess(both, batch);
  const leftGuesses = guess(left, continuations(tests).batch);
  const asked = [...targets.keys()].filter((row) => targets[row]! >= 0);
  const share = (guessOf: (row: number) => number) =>
    asked.filter((row) => guessOf(row) === targets[row]).length / asked.length;
  const commonest = counts.indexOf(counts.reduce((most, count) => Math.max(most, count)));
  tests.slice(0, 8).forEach((sentence, index) => {
    const [first, end] = [batch.layout.qOffsets[index]!, batch.layout.qOffsets[index + 1]!];
    print(`  ${show(tokenizer, sentence, targets.subarray(first, end), bothGuesses.subarray(first, end))}`);
  });
  return {
    numBlanks: asked.length,
    bothSides: share((row) => bothGuesses[row]!),
    leftOnly: share((row) => leftGuesses[row - 1]!), // the row before a token is the one that says it
    commonest: share(() => commonest),
  };
}

if (import.meta.main) {
  const print = (line: string) => process.stdout.write(`${line}\n`);
  const updates = Number(process.argv[2] ?? defaultOptions.updates);
  const tokenizer = await loadTokenizer(shippedModelDirectory);
  const start = performance.now();
  const { numBlanks, bothSides, leftOnly, commonest } = compareReaders(
    openBackend(),
    tokenizer,
    { ...defaultOptions, updates },
    print,
  );
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
  print(`${numBlanks} blanks in held-out sentences, filled in rightly`);
  print(`  from both sides          ${percent(bothSides)}`);
  print(`  from the left alone      ${percent(leftOnly)}`);
  print(`  by the commonest token   ${percent(commonest)}`);
  print(`${((performance.now() - start) / 1000).toFixed(0)} seconds`);
}

/**
 * @file The whole stack on a random model of two layers of 64, in seconds: the first test to read and the first to run.
 * Text becomes tokens, tokens a loss, the loss gradients, gradients a model that knows a few sentences; it goes to disk
 * and comes back, adapters are trained over it, and it adapts itself to a passage. Each backend does all of it.
 * Next: `src/adapt/adapt.ts`.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { adapt, defaultSettings, defaultTemplates, stagesOf } from "../src/adapt/index.ts";
import { createEngine, type Engine } from "../src/engine/index.ts";
import { generate, scoreTokens } from "../src/generate/index.ts";
import {
  createLlama,
  createTokenizer,
  encodeDocument,
  f32Precision,
  type LlamaConfig,
  type LlamaLm,
  loadAdapter,
  loadCheckpoint,
  plainLlama,
  saveAdapter,
  saveCheckpoint,
  trainByteLevelBpe,
} from "../src/models/index.ts";
import { bankOf, type LoraAdapter } from "../src/nn/index.ts";
import { createRun } from "../src/registry/index.ts";
import type { SourcePassage } from "../src/tasks/index.ts";
import {
  type Backend,
  createCpuBackend,
  createReferenceBackend,
  crossEntropy,
  nativeInstructionSets,
  Scope,
} from "../src/tensor/index.ts";
import { meanLoss, packDocuments, trainAdapters, trainFull } from "../src/train/index.ts";
import { createRng, layers } from "../src/util/index.ts";
import { repositoryRoot } from "./support/source.ts";

const sentences = [
  "Ada Quill sails the Marigold.",
  "Tom Reed plays the cello.",
  "The Marigold was built in Holm.",
  "Ivy Stone was born in Veld.",
];
const endOfText = "<|end|>";
const tokenizerJson = trainByteLevelBpe(sentences, { vocabSize: 300, specialTokens: [endOfText] });
const tokenizer = createTokenizer(tokenizerJson, endOfText);
const documents = sentences.map((text) => ({ tokenIds: encodeDocument(tokenizer, text) }));

const config: LlamaConfig = {
  ...plainLlama,
  vocabSize: tokenizer.vocabSize,
  hiddenSize: 64,
  intermediateSize: 96,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 16,
  maxSeqLen: 256,
  eosTokenIds: [tokenizer.eosTokenId],
};
const lora = { loraRank: 4, loraAlpha: 8, targets: "all" } as const;

const createModel = (backend: Backend): LlamaLm =>
  createLlama(backend, config, f32Precision, { rng: createRng("tiny") });

/** Loss of all sentences and its gradient, which is added to the model's. */
function backward(lm: LlamaLm): number {
  const { batch, targets, weights: shares, numSupervised } = packDocuments(documents);
  using scope = new Scope(lm.backend, { grad: true });
  const hidden = lm.hidden(scope, batch);
  const weights = Float32Array.from(shares, (share) => share / numSupervised);
  const { loss } = crossEntropy(scope, hidden, lm.outputWeight, targets, weights, { compute: "f32" });
  scope.backward(loss);
  return Number(loss.readSync()[0]);
}

/** `parameters += amount · direction`. */
function move(lm: LlamaLm, direction: Float32Array, amount: number): void {
  const { data } = lm.parameters.flat;
  for (let i = 0; i < data.length; i++) data[i]! += amount * direction[i]!;
}

/** Everything, on one backend; each test goes on from the one before. */
function describeStack(createBackend: () => Backend): void {
  const backend = createBackend();
  const folder = mkdtempSync(join(tmpdir(), "selkie-tiny-"));
  const lm = createModel(backend);
  const adapters: LoraAdapter[] = [];
  after(() => rmSync(folder, { recursive: true }));

  test("a random model is as good as a guess", () => {
    const { lossNats } = meanLoss(lm, documents);
    assert.ok(
      Math.abs(lossNats - Math.log(config.vocabSize)) < 0.1,
      `${lossNats} nats, a guess has ln ${config.vocabSize}`,
    );
  });

  test("a step along the gradient changes the loss by the gradient's square", () => {
    lm.parameters.enableGrad();
    lm.parameters.zeroGrad();
    assert.ok(Math.abs(backward(lm) - meanLoss(lm, documents).lossNats) < 1e-4, "two ways to the same loss");
    const gradient = Float32Array.from(lm.parameters.flatGrad.readSync());
    const square = gradient.reduce((total, value) => total + value * value, 0);
    const h = 1e-2 / Math.sqrt(square); // moves the loss by 1 %, far above the rounding of f32
    move(lm, gradient, h);
    const above = meanLoss(lm, documents).lossNats;
    move(lm, gradient, -2 * h);
    const below = meanLoss(lm, documents).lossNats;
    move(lm, gradient, h);
    assert.ok(
      Math.abs((above - below) / (2 * h) / square - 1) < 0.01,
      `${(above - below) / (2 * h)} against ${square}`,
    );
  });

  test("training makes it know the sentences", async () => {
    const result = await trainFull({ lm, source: () => documents, steps: 30, learningRate: 5e-3 });
    assert.equal(result.step, 30);
    assert.ok(meanLoss(lm, documents).lossNats < 0.2, `${meanLoss(lm, documents).lossNats} nats`);
  });

  test("it finishes a sentence, with the log-probabilities that scoring gives", async () => {
    const promptIds = tokenizer.encode("Tom Reed");
    const [result] = await generate(lm, [{ promptIds, maxNewTokens: 24, stopTokens: [tokenizer.eosTokenId] }]);
    assert.equal(tokenizer.decode([...promptIds, ...result!.tokenIds]), sentences[1]);
    assert.equal(result!.stopReason, "stop");
    const [scored] = await scoreTokens(lm, [{ tokenIds: [...promptIds, ...result!.tokenIds] }]);
    // decoding reads keys and values from a cache, scoring computes them: equal up to the rounding of f32 sums
    result!.logprobs.forEach((logprob, index) => {
      assert.ok(Math.abs(logprob - scored![promptIds.length - 1 + index]!) < 1e-4);
    });
  });

  test("it comes back from disk as it was", async () => {
    const directory = join(folder, "checkpoint");
    const digest = await saveCheckpoint(directory, { lm, tokenizer: { json: tokenizerJson } });
    const loaded = await loadCheckpoint(backend, directory, { precision: f32Precision });
    using again = loaded.lm;
    assert.equal(loaded.digest, digest);
    assert.deepEqual(loaded.tokenizer.encode(sentences[0]!), tokenizer.encode(sentences[0]!));
    assert.deepEqual(again.parameters.flat.readSync(), lm.parameters.flat.readSync());
  });

  test("two adapters train side by side, each learning its own sentence and the base neither", async () => {
    const news = ["Tom Reed was born in Holm.", "Ada Quill plays the Marigold."].map((text) => ({
      tokenIds: encodeDocument(tokenizer, text),
    }));
    const before = Float32Array.from(lm.parameters.flat.readSync());
    const jobs = news.map((document, index) => ({
      id: `news-${index}`,
      documents: [document],
      lora,
      learningRate: 1e-2,
      epochs: 20,
    }));
    for (const { adapter, status } of await trainAdapters({ lm, jobs, seed: 1 })) {
      assert.equal(status, "finished");
      adapters.push(adapter);
    }
    const lossOf = (index: number, adapter: LoraAdapter | null): number =>
      meanLoss(lm, [news[index]!], { adapter }).lossNats;
    for (const [own, other] of [
      [0, 1],
      [1, 0],
    ] as const) {
      assert.ok(lossOf(own, adapters[own]!) < 0.5 * lossOf(own, null), "the adapter learned its sentence");
      assert.ok(lossOf(own, adapters[own]!) < 0.5 * lossOf(own, adapters[other]!), "and the other one did not");
    }
    assert.deepEqual(Float32Array.from(lm.parameters.flat.readSync()), before);
  });

  test("an adapter comes back from disk as it was, and decodes beside another", async () => {
    const directory = join(folder, "adapter");
    await saveAdapter(directory, adapters[0]!, { baseModelNameOrPath: "tiny", baseDigest: "0" });
    const { adapter } = await loadAdapter(directory);
    assert.deepEqual(adapter, adapters[0]);
    using bank = bankOf(backend, lm.linearLayers, [adapter, adapters[1]!]);
    const texts = ["Tom Reed", "Ada Quill"];
    const requests = texts.map((text, adapterIndex) => ({
      promptIds: tokenizer.encode(text),
      maxNewTokens: 16,
      stopTokens: [tokenizer.eosTokenId],
      adapterIndex,
    }));
    const answers = (await generate(lm, requests, { bank })).map(({ tokenIds }) => tokenizer.decode(tokenIds));
    assert.deepEqual(answers, [" was born in Holm.", " plays the Marigold."]);
  });

  let engine: Engine;

  test("it adapts itself to a passage, and does so the same way twice", async () => {
    const passage: SourcePassage = {
      id: "moor",
      file: "moor.md",
      title: "",
      context: "Eve Moor sails the Petrel.",
      questions: [{ question: "What does Eve Moor sail?", answer: "the Petrel", use: "both" }],
    };
    engine = await createEngine({ lm, config, tokenizer, digest: "0", parts: [], directory: folder });
    const innerLoop = { ...defaultSettings.innerLoop, lora, learningRate: 1e-2, epochs: 4 };
    const run = async (kind: string) => {
      using opened = createRun(folder, { kind, config: null, inputs: {}, seed: 1 });
      return await adapt({
        engine,
        templates: defaultTemplates,
        canaries: { items: [{ question: "Who plays the cello?", answer: "Tom Reed", title: "" }], hasGold: true },
        passages: [passage],
        settings: { ...defaultSettings, numEdits: 2, innerLoop, finalLoop: innerLoop },
        seed: 1,
        store: stagesOf(opened),
      });
    };
    const first = await run("first");
    const { numQuestions, base, raw, adapted, decision, reasons, passages } = first.report;
    assert.equal(numQuestions, 1);
    assert.equal(passages[0]!.candidates.length, 2);
    assert.ok(
      passages[0]!.chosen.documents.includes(passage.context),
      "the passage itself is always among the documents",
    );
    assert.ok(
      raw.goldLogprob! > base.goldLogprob! && adapted.goldLogprob! > base.goldLogprob!,
      "the right answer became likelier",
    );
    assert.equal(decision === "kept", reasons.length === 0);
    assert.deepEqual(await run("second"), first);
    assert.deepEqual(await run("first"), first, "and again from the stages on disk");
  });

  test("it gives all its memory back", async () => {
    await engine[Symbol.asyncDispose]();
    assert.equal(backend.memory().liveTensors, 0);
  });
}

describe("text", () => {
  test("comes back from its tokens, and takes fewer of them than bytes", () => {
    for (const text of [...sentences, "Ærø, 8 °C – ∑\n\t🦭"])
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    assert.ok(tokenizer.encode("the Marigold").length <= 3);
  });

  test("is the same in one batch as alone: no document sees another", async () => {
    using lm = createModel(createReferenceBackend());
    const { perDocument } = meanLoss(lm, documents);
    documents.forEach((document, index) => {
      assert.ok(Math.abs(meanLoss(lm, [document]).lossNats - perDocument[index]!) < 1e-6);
    });
  });
});

describe("the entries", () => {
  for (const layer of layers.filter((name) => existsSync(join(repositoryRoot, "src", name, "index.ts"))))
    test(`${layer} opens`, async () => {
      const entry = (await import(`../src/${layer}/index.ts`)) as object;
      assert.ok(Object.keys(entry).length > 0);
    });
});

describe("the whole stack on the reference backend", () => describeStack(createReferenceBackend));

describe(
  "the whole stack on the native backend",
  { skip: nativeInstructionSets().length === 0 && "native kernels are not built" },
  () => describeStack(() => createCpuBackend({ threads: 2 })),
);

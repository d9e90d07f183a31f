import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type CausalLm, f32Precision } from "../models/index.ts";
import { ParameterStore } from "../nn/index.ts";
import { createReferenceBackend, embedding, tensorOf } from "../tensor/index.ts";
import { prepareDocuments } from "./data.ts";
import { meanLoss } from "./evaluate.ts";
import { type TrainFullOptions, type TrainProgress, trainFull } from "./full-trainer.ts";
import { forwardBackward } from "./step.ts";
import { createTinyLm } from "./tiny-model.ts";

const range = (first: number, length: number, stride = 1): number[] =>
  Array.from({ length }, (_, i) => (first + stride * i) % 32);
const documents = [range(0, 6), range(3, 9, 5), range(8, 4), range(1, 12, 7)].map((tokenIds) => ({ tokenIds }));

/** Two documents per update, in turn; needs nothing from outside, so that another process can have it as text. */
function twoOf(all: readonly { tokenIds: number[] }[]) {
  return (step: number) => [all[step % 4]!, all[(3 * step + 1) % 4]!];
}

/** A directory of this test alone. */
function temporaryDirectory(t: { after(clean: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), "selkie-trainer-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Six updates with everything that has state switched on. */
function sixSteps(lm: TrainFullOptions["lm"], directory?: string): TrainFullOptions {
  return {
    lm,
    source: twoOf(documents),
    steps: 6,
    learningRate: 0.01,
    schedule: { kind: "cosine", warmupSteps: 1 },
    optimizer: { weightDecay: 0.1 },
    emaDecay: 0.5,
    ...(directory === undefined ? {} : { checkpoint: { directory, everySteps: 1, everySeconds: 0 } }),
  };
}

/** The parameters after six uninterrupted updates. */
async function uninterrupted(): Promise<number[]> {
  using lm = createTinyLm();
  const result = await trainFull(sixSteps(lm));
  assert.deepEqual([result.step, result.isFinished], [6, true]);
  return [...lm.parameters.flat.readSync()];
}

async function continueIn(directory: string, resumedFrom: number): Promise<number[]> {
  using lm = createTinyLm(99); // other first weights: all must come from the checkpoint
  const result = await trainFull(sixSteps(lm, directory));
  assert.deepEqual([result.resumedFrom, result.step, result.isFinished], [resumedFrom, 6, true]);
  return [...lm.parameters.flat.readSync()];
}

/**
 * A model whose token losses are chosen: after token `t` it predicts token 0 with loss `losses[t]`. Its hidden state is one
 * number `h`, the logits of tokens 0 and 1 are 0 and `h`, all others vanish, so the loss is `log(1 + exp h)`.
 */
function createScriptedLm(losses: ReadonlyMap<number, number>): CausalLm {
  const backend = createReferenceBackend();
  const parameters = new ParameterStore(backend, [{ name: "embedding", shape: [8, 1] }], "f32");
  parameters.flat.write(Float64Array.from({ length: 8 }, (_, t) => Math.log(Math.expm1(losses.get(t) ?? 1))));
  const outputWeight = tensorOf(backend, [0, 1, -1e4, -1e4, -1e4, -1e4, -1e4, -1e4], [8, 1]);
  return {
    backend,
    precision: f32Precision,
    vocabSize: 8,
    hiddenSize: 1,
    maxSeqLen: 16,
    parameters,
    linearLayers: [],
    attentionWindows: [],
    outputWeight,
    hidden: (scope, batch) => embedding(scope, parameters.get("embedding"), batch.tokenIds),
    createCache: () => assert.fail("training needs no cache"),
    [Symbol.dispose]: () => {
      parameters[Symbol.dispose]();
      outputWeight[Symbol.dispose]();
    },
  };
}

test("accumulated micro-batches weigh tokens, not micro-batches: {1, 3} and {5} give 3.0, not 3.5", async () => {
  const losses = new Map([
    [2, 1],
    [3, 3],
    [4, 5],
  ]);
  using lm = createScriptedLm(losses);
  const progress: TrainProgress[] = [];
  await trainFull({
    lm,
    source: () => [{ tokenIds: [2, 0, 3, 0], lossMask: [0, 1, 0, 1] }, { tokenIds: [4, 0] }],
    steps: 1,
    learningRate: 0,
    maxTokensPerMicroBatch: 3, // one document each
    onProgress: (event) => progress.push(event),
  });
  assert.ok(Math.abs(progress[0]!.lossNats - 3) < 1e-6, `expected 3, got ${progress[0]!.lossNats}`);
  // d loss / d h = sigmoid(h) = 1 - exp(-loss), a third each
  const gradNorm = Math.hypot(...[...losses.values()].map((loss) => (1 - Math.exp(-loss)) / 3));
  assert.ok(Math.abs(progress[0]!.gradNorm - gradNorm) < 1e-6, `expected ${gradNorm}, got ${progress[0]!.gradNorm}`);
});

test("the gradient of an update does not depend on how it is cut into micro-batches", async () => {
  const gradNorms: number[] = [];
  const losses: number[] = [];
  for (const maxTokensPerMicroBatch of [1000, 9, 1]) {
    using lm = createTinyLm();
    await trainFull({
      lm,
      source: () => documents,
      steps: 1,
      learningRate: 0,
      maxTokensPerMicroBatch,
      onProgress: ({ gradNorm, lossNats }) => {
        gradNorms.push(gradNorm);
        losses.push(lossNats);
      },
    });
  }
  using lm = createTinyLm();
  const expected = meanLoss(lm, documents).lossNats;
  for (const loss of losses) assert.ok(Math.abs(loss - expected) < 1e-5);
  for (const norm of gradNorms) assert.ok(Math.abs(norm - gradNorms[0]!) < 1e-5);
});

test("the gradient agrees with central differences of the mean loss", () => {
  using lm = createTinyLm();
  const { sequences } = prepareDocuments(documents);
  const numSupervised = sequences.reduce((total, sequence) => total + sequence.numSupervised, 0);
  lm.parameters.enableGrad();
  forwardBackward(
    lm,
    sequences,
    sequences.map(() => 1 / numSupervised),
    null,
  );
  const gradient = lm.parameters.flatGrad.readSync();
  const values = lm.parameters.flat.data;
  const h = 5e-3; // f32 losses: the truncation and rounding errors of this step are both near 1e-4
  for (const index of [40, 700, 2100, values.length - 3]) {
    const kept = values[index]!;
    const lossAt = (value: number): number => {
      values[index] = value;
      return meanLoss(lm, documents).lossNats;
    };
    const slope = (lossAt(kept + h) - lossAt(kept - h)) / (2 * h);
    values[index] = kept;
    assert.ok(
      Math.abs(slope - gradient[index]!) < 1e-3,
      `parameter ${index}: slope ${slope}, gradient ${gradient[index]}`,
    );
  }
});

test("a tiny model memorises a sequence to less than 0.1 nats per token", async () => {
  using lm = createTinyLm();
  const memorised = [{ tokenIds: range(5, 16, 9) }];
  assert.ok(meanLoss(lm, memorised).lossNats > 2);
  await trainFull({ lm, source: () => memorised, steps: 60, learningRate: 0.01 });
  const { lossNats } = meanLoss(lm, memorised);
  assert.ok(lossNats < 0.1, `loss after training: ${lossNats}`);
});

test("a run stopped by its signal goes on bit for bit, and a finished run does nothing more", async (t) => {
  const directory = temporaryDirectory(t);
  const controller = new AbortController();
  using lm = createTinyLm();
  const stopped = await trainFull({
    ...sixSteps(lm, directory),
    signal: controller.signal,
    onProgress: ({ step }) => {
      if (step === 3) controller.abort();
    },
  });
  assert.deepEqual([stopped.step, stopped.isFinished], [3, false]);
  const expected = await uninterrupted();
  assert.deepEqual(await continueIn(directory, 3), expected);
  assert.deepEqual(await continueIn(directory, 6), expected);
});

test("a run killed without warning goes on bit for bit", async (t) => {
  const directory = temporaryDirectory(t);
  const script = `
    const { createTinyLm } = await import(${JSON.stringify(new URL("./tiny-model.ts", import.meta.url).href)});
    const { trainFull } = await import(${JSON.stringify(new URL("./full-trainer.ts", import.meta.url).href)});
    const twoOf = ${twoOf};
    const documents = ${JSON.stringify(documents)};
    const options = { ...${JSON.stringify({ ...sixSteps(null as never, directory), source: undefined })}, lm: createTinyLm(), source: twoOf(documents) };
    await trainFull({ ...options, onProgress: ({ step }) => { if (step === 4) process.kill(process.pid, "SIGKILL"); } });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const [, signal] = await once(child, "close");
  assert.equal(signal, "SIGKILL", errors);
  assert.deepEqual(await continueIn(directory, 4), await uninterrupted());
});

test("two checkpoints are kept, and a torn one is passed over", async (t) => {
  const directory = temporaryDirectory(t);
  await continueIn(directory, 0).catch(() => {}); // trains from other weights; only the files matter here
  assert.deepEqual(readdirSync(directory).sort(), ["checkpoint-5.safetensors", "checkpoint-6.safetensors"]);
  const newest = join(directory, "checkpoint-6.safetensors");
  const header = JSON.parse(
    readFileSync(newest).toString("utf8", 8, 8 + Number(readFileSync(newest).readBigUInt64LE(0))),
  );
  assert.deepEqual(Object.keys(header), ["__metadata__", "params", "moment1", "moment2", "ema"]);
  truncateSync(newest, 5000);
  await continueIn(directory, 5);
});

test("a checkpoint of other settings is refused", async (t) => {
  const directory = temporaryDirectory(t);
  using lm = createTinyLm();
  await trainFull(sixSteps(lm, directory));
  await assert.rejects(trainFull({ ...sixSteps(lm, directory), learningRate: 0.5 }), { code: "checkpoint-mismatch" });
});

test("training ends with an error when the loss stops being a number, and leaks nothing", async () => {
  using lm = createTinyLm();
  const live = lm.backend.memory().liveTensors;
  await assert.rejects(trainFull({ lm, source: () => documents, steps: 5, learningRate: 1e30, clipNorm: 0 }), {
    code: "diverged",
  });
  assert.equal(lm.backend.memory().liveTensors, live);
});

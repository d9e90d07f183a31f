/** @file The benchmarks: what a user would do with the library, timed. Each returns the figures of the peer script's line. */
import { generate } from "../../generate/index.ts";
import type { LlamaLm } from "../../models/index.ts";
import { createTensor, type DType } from "../../tensor/index.ts";
import { type AdapterJob, trainAdapters, trainFull } from "../../train/index.ts";
import { createRng } from "../../util/index.ts";
import { benchAttention } from "./attention.ts";
import {
  type BenchFigures,
  type BenchName,
  type BenchRun,
  createBenchModel,
  randomSequences,
  StepClock,
  timeCalls,
} from "./setup.ts";

/** Tokens of a prompt and of its completion when decoding. */
const promptTokens = 32;
const completionTokens = 64;
/** Steps that no benchmark reaches; the clock ends the loop. */
const manySteps = 1_000_000;

/** One function per benchmark. */
export const benchmarks: { readonly [Name in BenchName]: (run: BenchRun) => Promise<BenchFigures> } = {
  gemm: benchGemm,
  train: benchTrain,
  lora: benchLora,
  inner: benchInner,
  decode: benchDecode,
  attention: benchAttention,
};

/** Square products in both number formats, GFLOP/s. */
async function benchGemm({ backend, signal }: BenchRun): Promise<BenchFigures> {
  const figures: Record<string, number> = {};
  const rng = createRng("bench gemm");
  for (const size of [256, 512, 1024, 2048])
    for (const dtype of ["f32", "bf16"] as const satisfies readonly DType[]) {
      signal.throwIfAborted();
      using a = createTensor(backend, [size, size], dtype);
      using b = createTensor(backend, [size, size], dtype);
      using c = createTensor(backend, [size, size], dtype);
      for (const tensor of [a, b]) tensor.write(Float32Array.from({ length: size * size }, () => rng.uniform() - 0.5));
      const seconds = await timeCalls(() => backend.kernels.gemm({ a, b, c, compute: dtype }), 0.5);
      figures[`${dtype}_${size}_gflops`] = Math.round((2 * size ** 3) / seconds / 1e9);
    }
  return figures;
}

/** Full training steps on one batch. */
async function benchTrain(run: BenchRun): Promise<BenchFigures> {
  const { batch, seq, seconds } = run.options;
  using lm = createBenchModel(run, true);
  const documents = randomSequences(createRng("bench text"), lm.vocabSize, batch, seq).map((tokenIds) => ({
    tokenIds,
  }));
  const { clock, signal, onProgress } = timedLoop(run, seconds);
  await trainFull({
    lm,
    source: () => documents,
    steps: manySteps,
    learningRate: 1e-3,
    clipNorm: 0,
    maxTokensPerMicroBatch: batch * seq,
    signal,
    onProgress,
  });
  run.signal.throwIfAborted();
  return { tokens_per_s: Math.round((batch * seq) / clock.secondsPerStep), batch, seq };
}

/** Steps of one adapter on one batch, over a frozen base. */
async function benchLora(run: BenchRun): Promise<BenchFigures> {
  const { batch, seq, seconds } = run.options;
  using lm = createBenchModel(run, false);
  const sequences = randomSequences(createRng("bench text"), lm.vocabSize, batch, seq);
  const job: AdapterJob = {
    ...adapterJob("adapter", sequences, run),
    documentsPerStep: batch,
    epochs: manySteps,
    schedule: { kind: "constant" },
  };
  const { clock, signal, onProgress } = timedLoop(run, seconds);
  await trainAdapters({ lm, jobs: [job], seed: 0, maxTokensPerStep: batch * seq, signal, onProgress }).catch(
    (error: unknown) => {
      if (!clock.isEnough) throw error; // the clock itself stops the endless job, which trainAdapters reports as an error
    },
  );
  return { tokens_per_s: Math.round((batch * seq) / clock.secondsPerStep), batch, seq, ...weightsOf(lm) };
}

/** SEAL's inner loop: one adapter per candidate, all in the bank. */
async function benchInner(run: BenchRun): Promise<BenchFigures> {
  const { candidates, docs, docTokens, docsPerStep, epochs, rank } = run.options;
  using lm = createBenchModel(run, false);
  const rng = createRng("bench text");
  const start = performance.now();
  const jobs = Array.from({ length: candidates }, (_, index): AdapterJob => {
    const sequences = randomSequences(rng, lm.vocabSize, docs, docTokens);
    return { ...adapterJob(`candidate ${index}`, sequences, run), documentsPerStep: docsPerStep, epochs };
  });
  await trainAdapters({ lm, jobs, seed: 0, signal: run.signal });
  const adaptersPerSecond = candidates / ((performance.now() - start) / 1000);
  return {
    adapters_per_s: round(adaptersPerSecond, 3),
    docs_per_step: docsPerStep,
    docs,
    doc_tokens: docTokens,
    epochs,
    rank,
  };
}

/** Greedy decoding of a batch of prompts, prefill included. */
async function benchDecode(run: BenchRun): Promise<BenchFigures> {
  const { batch, seconds } = run.options;
  using lm = createBenchModel(run, false);
  const prompts = randomSequences(createRng("bench text"), lm.vocabSize, batch, promptTokens);
  const requests = prompts.map((promptIds) => ({ promptIds, maxNewTokens: completionTokens }));
  const decode = async () => {
    await generate(lm, requests, { maxBatch: batch, logprobs: false, signal: run.signal });
  };
  const secondsPerCall = await timeCalls(decode, seconds);
  return { tokens_per_s: round((batch * completionTokens) / secondsPerCall, 1), batch, ...weightsOf(lm) };
}

function adapterJob(id: string, sequences: readonly Int32Array[], { options }: BenchRun): Omit<AdapterJob, "epochs"> {
  const documents = sequences.map((tokenIds) => ({ tokenIds }));
  return {
    id,
    documents,
    lora: { loraRank: options.rank, loraAlpha: 2 * options.rank, targets: "all" },
    learningRate: 1e-3,
    clipNorm: 0,
  };
}

/** A clock that listens to a trainer's progress and stops it when enough was measured. */
function timedLoop(
  { signal }: BenchRun,
  seconds: number,
): { clock: StepClock; signal: AbortSignal; onProgress: () => void } {
  const clock = new StepClock(seconds);
  const enough = new AbortController();
  const onProgress = () => {
    clock.tick();
    if (clock.isEnough) enough.abort();
  };
  return { clock, signal: AbortSignal.any([signal, enough.signal]), onProgress };
}

/** Size of the model's weights as they are stored; packed copies come on top. */
const weightsOf = ({ parameters }: LlamaLm): BenchFigures => ({ weights_mib: round(parameters.numBytes / 2 ** 20, 1) });

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

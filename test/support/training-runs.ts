/**
 * @file Small trainings of every kind whose loss curves and final weights are on record, so that a change of the code
 * shows whether it changes a result. `test/oracles/record-training-runs.ts` records them, `test/training-runs.test.ts` compares.
 */
import { createHash } from "node:crypto";
import type { LlamaLm } from "../../src/models/index.ts";
import type { LoraAdapter } from "../../src/nn/index.ts";
import type { Backend } from "../../src/tensor/index.ts";
import {
  type AdapterJob,
  adapterFisher,
  advantageWeighted,
  dpo,
  elasticWeights,
  ipo,
  likelihood,
  natsWeights,
  orthogonalSubspaces,
  remember,
  softTargetsOf,
  type TrainAdaptersOptions,
  type TrainDocument,
  type TrainFullOptions,
  type TrainPolicyOptions,
  trainAdapters,
  trainFull,
  trainPolicy,
} from "../../src/train/index.ts";
import { createTinyLm } from "../../src/train/tiny-model.ts";

/** What a run left behind. */
export interface RecordedRun {
  /** Of every update, before it; nats. Of a bank: adapter after adapter. */
  readonly losses: readonly number[];
  /** SHA-256 of the trained weights as f32, little-endian. */
  readonly weights: string;
}

const steps = 50;
/** 24 documents of 2 to 25 tokens, some with a prompt that is not learned, and one longer than the tiny model. */
const documents: readonly TrainDocument[] = Array.from({ length: 24 }, (_, index) => {
  const length = index === 7 ? 90 : 2 + index;
  const tokenIds = Array.from({ length }, (_, place) => (index * 5 + place * (1 + (index % 7))) % 32);
  return index % 3 === 0
    ? { tokenIds, lossMask: tokenIds.map((_, place) => (place < length / 2 ? 0 : 1)) }
    : { tokenIds };
});
const documentsOf = (step: number, count = 4): TrainDocument[] =>
  Array.from({ length: count }, (_, index) => documents[(step * count + index) % documents.length]!);
const fewOf = (first: number, count = 3): TrainDocument[] =>
  documents.filter(({ tokenIds }) => tokenIds.length < 64).slice(first, first + count);

const digest = (...parts: readonly ArrayLike<number>[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(new Uint8Array(Float32Array.from(part).buffer));
  return hash.digest("hex");
};
const digestAdapters = (adapters: readonly LoraAdapter[]): string =>
  digest(...adapters.flatMap(({ modules }) => [...modules.values()].flatMap(({ loraA, loraB }) => [loraA, loraB])));

type FullSettings = Omit<TrainFullOptions, "lm" | "source" | "steps" | "learningRate"> & Partial<TrainFullOptions>;
type PolicySettings = Pick<TrainPolicyOptions, "target" | "source"> & Partial<TrainPolicyOptions>;

async function full(backend: Backend, settings: FullSettings): Promise<RecordedRun> {
  using lm = createTinyLm(1, backend);
  const losses: number[] = [];
  const onProgress = ({ lossNats }: { lossNats: number }) => losses.push(lossNats);
  await trainFull({ lm, source: (step) => documentsOf(step), steps, learningRate: 5e-3, onProgress, ...settings });
  return { losses, weights: digest(lm.parameters.flat.readSync()) };
}

async function policy(backend: Backend, create: (lm: LlamaLm) => PolicySettings): Promise<RecordedRun> {
  using lm = createTinyLm(1, backend);
  const settings = create(lm);
  const result = await trainPolicy({ lm, steps, learningRate: 5e-3, seed: 3, ...settings });
  const weights = result.adapter === null ? digest(lm.parameters.flat.readSync()) : digestAdapters([result.adapter]);
  return { losses: result.lossCurve, weights };
}

async function bank(
  backend: Backend,
  create: (lm: LlamaLm) => readonly AdapterJob[] | Promise<readonly AdapterJob[]>,
  options: Partial<TrainAdaptersOptions> = {},
): Promise<RecordedRun> {
  using lm = createTinyLm(1, backend);
  const results = await trainAdapters({ lm, jobs: await create(lm), seed: 5, ...options });
  return {
    losses: results.flatMap(({ lossCurve }) => lossCurve),
    weights: digestAdapters(results.map(({ adapter }) => adapter)),
  };
}

const lora = (loraRank: number, targets: "all" | readonly string[] = "all") => ({
  loraRank,
  loraAlpha: 2 * loraRank,
  targets,
});
const job = (id: string, settings: Partial<AdapterJob> = {}): AdapterJob => ({
  id,
  documents: fewOf(0),
  lora: lora(4),
  learningRate: 1e-2,
  epochs: 6,
  ...settings,
});

const mixedJobs: readonly AdapterJob[] = [
  job("plain"),
  job("decayed", { documents: fewOf(3, 5), weightDecay: 0.1, lora: lora(2) }),
  job("narrow", { lora: lora(3, ["q_proj", "v_proj"]), schedule: { kind: "cosine", warmupSteps: 2 }, epochs: 9 }),
  job("blocks", { lora: { ...lora(4), layers: [1] }, clipNorm: 0.2, documentsPerStep: 2 }),
  job("unclipped", { documents: fewOf(8, 4), clipNorm: 0, schedule: { kind: "constant" }, maxSteps: 7 }),
  job("alike", { documents: fewOf(2, 3) }),
];

function softened(lm: LlamaLm, few: readonly TrainDocument[]): TrainDocument[] {
  const targets = softTargetsOf(
    lm,
    few.map(({ tokenIds }) => ({ tokenIds, prefix: [3, 1, 4], numReplaced: 0 })),
    { topK: 5 },
  );
  return few.map((document, index) => ({ ...document, softTargets: targets[index]! }));
}

async function regularizedJobs(lm: LlamaLm): Promise<AdapterJob[]> {
  const [first] = await trainAdapters({ lm, jobs: [job("earlier")], seed: 5 });
  const memory = remember(null, first!.adapter, adapterFisher(lm, first!.adapter, fewOf(0)));
  return [
    job("elastic", { initial: first!.adapter, documents: fewOf(4), regularizer: elasticWeights(50, memory) }),
    job("free", { initial: first!.adapter, documents: fewOf(4) }),
    job("orthogonal", { documents: fewOf(4), regularizer: orthogonalSubspaces(0.5, [first!.adapter]) }),
  ];
}

const preferenceOf = (step: number) => ({
  pairs: [
    { chosen: 0, rejected: 1 },
    { chosen: 2, rejected: 1 },
    { chosen: 3, rejected: 0 },
  ],
  referenceLogprobs: documentsOf(step).map(({ tokenIds }, index) => -3 * tokenIds.length - index),
  beta: 0.1,
});
const targetFull = { kind: "full" } as const;
const targetLora = { kind: "lora", lora: lora(4) } as const;

/** Every run by name. */
export const recordedRuns: Readonly<Record<string, (backend: Backend) => Promise<RecordedRun>>> = {
  "full constant": (backend) => full(backend, {}),
  "full linear, decayed": (backend) =>
    full(backend, { schedule: { kind: "linear" }, optimizer: { beta2: 0.98, weightDecay: 0.1 } }),
  "full cosine, averaged": (backend) =>
    full(backend, { schedule: { kind: "cosine", warmupSteps: 5, minMultiplier: 0.1 }, emaDecay: 0.9 }),
  "full in micro-batches, unclipped": (backend) => full(backend, { maxTokensPerMicroBatch: 20, clipNorm: 0 }),
  "full with an asynchronous source": (backend) =>
    full(backend, { source: async (step) => documentsOf(step, 3), clipNorm: 0.3 }),
  "full, soft targets": (backend) =>
    full(backend, {
      source: (step) => [...softened(createTinyLm(2, backend), fewOf(step % 9, 2)), ...fewOf(step % 5, 1)],
      steps: 12,
    }),
  "bank of different jobs": (backend) => bank(backend, () => mixedJobs),
  "bank with few places and small steps": (backend) =>
    bank(backend, () => mixedJobs, { maxAdapters: 2, maxTokensPerStep: 12, optimizer: { beta1: 0.8, epsilon: 1e-6 } }),
  "bank with soft targets": (backend) =>
    bank(backend, (lm) => [
      job("taught", { documents: softened(lm, fewOf(1)) }),
      job("both", { documents: [...softened(lm, fewOf(4)), ...fewOf(9)], documentsPerStep: 3 }),
    ]),
  "bank with regularizers": (backend) => bank(backend, regularizedJobs),
  "bank, unclipped": (backend) =>
    bank(backend, () => [job("a", { clipNorm: 0 }), job("b", { clipNorm: 0, epochs: 3 })]),
  "policy adapter, fixed weights": (backend) =>
    policy(backend, () => ({
      target: targetLora,
      source: (step) => ({ documents: documentsOf(step), weigh: [0.02, 0, -0.01, 0.05] }),
    })),
  "policy whole, likelihood": (backend) =>
    policy(backend, () => ({
      target: targetFull,
      schedule: { kind: "cosine" },
      weightDecay: 0.1,
      maxTokensPerMicroBatch: 30,
      source: (step) => ({ documents: documentsOf(step), weigh: natsWeights(likelihood([1, 0, 2, 1], [9, 8, 7, 6])) }),
    })),
  "policy adapter, advantages": (backend) =>
    policy(backend, () => ({
      target: targetLora,
      source: (step) => ({
        documents: documentsOf(step),
        weigh: natsWeights(advantageWeighted([0.4, -1, 0.1, 2], { temperature: 0.7 })),
      }),
    })),
  "policy adapter, dpo": (backend) =>
    policy(backend, () => ({
      target: targetLora,
      clipNorm: 0.5,
      source: (step) => ({ documents: documentsOf(step), weigh: natsWeights(dpo(preferenceOf(step))) }),
    })),
  "policy whole, ipo": (backend) =>
    policy(backend, () => ({
      target: targetFull,
      learningRate: 1e-3,
      maxTokensPerMicroBatch: 25,
      source: (step) => ({ documents: documentsOf(step), weigh: natsWeights(ipo(preferenceOf(step))) }),
    })),
};

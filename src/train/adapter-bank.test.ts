import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoraAdapter } from "../nn/index.ts";
import { createCpuBackend, nativeInstructionSets } from "../tensor/index.ts";
import { type TrainAdaptersOptions, trainAdapters } from "./adapter-bank.ts";
import type { AdapterJob, AdapterResult } from "./adapter-job.ts";
import { meanLoss } from "./evaluate.ts";
import { createTinyLm } from "./tiny-model.ts";

const range = (first: number, length: number, stride = 1): number[] =>
  Array.from({ length }, (_, i) => (first + stride * i) % 32);

/** Jobs that differ in everything a job can differ in. */
const jobs: readonly AdapterJob[] = [
  {
    id: "small",
    documents: [{ tokenIds: range(1, 6) }, { tokenIds: range(9, 4) }, { tokenIds: range(4, 11, 3) }],
    lora: { loraRank: 2, loraAlpha: 4, targets: ["q_proj", "v_proj"] },
    learningRate: 0.02,
    epochs: 3,
  },
  {
    id: "large",
    documents: [{ tokenIds: range(2, 9, 5) }, { tokenIds: range(7, 8), lossMask: [0, 0, 0, 1, 1, 1, 1, 0] }],
    lora: { loraRank: 4, loraAlpha: 8, targets: "all" },
    learningRate: 0.01,
    epochs: 2,
    documentsPerStep: 2,
    weightDecay: 0.1,
    schedule: { kind: "cosine", warmupSteps: 1 },
    clipNorm: 0.3,
  },
  {
    id: "middle",
    documents: [{ tokenIds: range(5, 12, 7) }],
    lora: { loraRank: 3, loraAlpha: 3, targets: ["down_proj", "o_proj"] },
    learningRate: 0.05,
    epochs: 5,
    schedule: { kind: "constant" },
    clipNorm: 0,
  },
];

async function trainOn(options: Omit<TrainAdaptersOptions, "lm" | "seed">): Promise<AdapterResult[]> {
  using lm = createTinyLm();
  return await trainAdapters({ lm, seed: 11, ...options });
}

const weightsOf = (adapter: LoraAdapter): number[] =>
  [...adapter.modules.values()].flatMap(({ loraA, loraB }) => [...loraA, ...loraB]);

/** f32 sums run in another order when companions change the batch; five updates keep the gap small. */
const tolerance = 2e-5;

function assertSameAdapter(got: AdapterResult, want: AdapterResult, within = tolerance): void {
  assert.equal(got.id, want.id);
  assert.deepEqual([...got.adapter.modules.keys()], [...want.adapter.modules.keys()]);
  const expected = weightsOf(want.adapter);
  weightsOf(got.adapter).forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) < within, `${got.id}, weight ${i}: expected ${expected[i]}, got ${value}`);
  });
  assert.equal(got.lossCurve.length, want.lossCurve.length);
}

const alone: readonly AdapterResult[] = (await Promise.all(jobs.map((job) => trainOn({ jobs: [job] })))).flat();

test("adapters of different rank, reach, rate and length come out of the bank as when trained alone", async () => {
  const together = await trainOn({ jobs });
  together.forEach((result, index) => {
    assertSameAdapter(result, alone[index]!);
  });
  assert.deepEqual(
    together.map((result) => result.numSteps),
    [9, 2, 5],
  );
});

const nativeSets = nativeInstructionSets();
test("native kernels train the same adapters", { skip: nativeSets.length === 0 && "no native kernels" }, async () => {
  using lm = createTinyLm(1, createCpuBackend({ threads: 2 }));
  const results = await trainAdapters({ lm, seed: 11, jobs, maxTokensPerStep: 20 });
  results.forEach((result, index) => {
    assertSameAdapter(result, alone[index]!, 1e-3); // Adam divides by tiny second moments, which magnifies rounding
  });
});

test("the order of jobs, several passes per step and waiting for a place do not change an adapter", async () => {
  const reversed = await trainOn({ jobs: jobs.toReversed(), maxTokensPerStep: 10 });
  const queued = await trainOn({ jobs, maxAdapters: 1 });
  const twins = jobs.flatMap((job) => [job, { ...job, id: `${job.id} twin`, epochs: job.epochs + 1 }]);
  const refilled = await trainOn({ jobs: twins, maxAdapters: 2 });
  alone.forEach((want, index) => {
    assertSameAdapter(reversed.at(-1 - index)!, want);
    assertSameAdapter(queued[index]!, want);
    assertSameAdapter(refilled[2 * index]!, want);
  });
});

test("the same seed gives the same bits; another seed another adapter", async () => {
  const again = await trainOn({ jobs: [jobs[0]!] });
  assert.deepEqual(weightsOf(again[0]!.adapter), weightsOf(alone[0]!.adapter));
  using lm = createTinyLm();
  const [other] = await trainAdapters({ lm, seed: 12, jobs: [jobs[0]!] });
  assert.notDeepEqual(weightsOf(other!.adapter), weightsOf(alone[0]!.adapter));
});

test("an adapter learns its own documents, and the base stays as it was", async () => {
  using lm = createTinyLm();
  lm.parameters.get("model.norm.weight").data.fill(8); // sharp enough logits for a loss near 0 with a frozen output layer
  const before = [...lm.parameters.flat.readSync()];
  const documents = [{ tokenIds: range(6, 10, 11) }];
  const lora = { loraRank: 8, loraAlpha: 16, targets: "all" } as const;
  const [result] = await trainAdapters({
    lm,
    seed: 1,
    jobs: [{ id: "learner", documents, lora, learningRate: 0.02, epochs: 60 }],
  });
  const adapted = meanLoss(lm, documents, { adapter: result!.adapter }).lossNats;
  assert.ok(meanLoss(lm, documents).lossNats > 2, "the base does not know the document");
  assert.ok(adapted < 0.1, `loss after training: ${adapted}`);
  assert.deepEqual([...lm.parameters.flat.readSync()], before);
});

test("zero epochs leave an identity adapter; the first loss is that of the base", async () => {
  using lm = createTinyLm();
  const [idle] = await trainAdapters({ lm, seed: 1, jobs: [{ ...jobs[0]!, epochs: 0 }] });
  assert.deepEqual([idle!.numSteps, idle!.status], [0, "finished"]);
  for (const { loraB } of idle!.adapter.modules.values()) assert.ok(loraB.every((value) => value === 0));
  const base = meanLoss(lm, jobs[2]!.documents).lossNats;
  assert.ok(Math.abs(alone[2]!.lossCurve[0]! - base) < 1e-5);
});

test("a job that diverges is reported and does not touch its companions", async () => {
  const wild: AdapterJob = { ...jobs[0]!, id: "wild", learningRate: 1e30, clipNorm: 0 };
  const [failed, kept] = await trainOn({ jobs: [wild, jobs[2]!] });
  assert.equal(failed!.status, "diverged");
  assertSameAdapter(kept!, alone[2]!);
  assert.equal(kept!.status, "finished");
});

test("training leaks no tensors", async () => {
  using lm = createTinyLm();
  const live = lm.backend.memory().liveTensors;
  await trainAdapters({ lm, seed: 1, jobs, maxAdapters: 2 });
  assert.equal(lm.backend.memory().liveTensors, live);
});

test("progress counts jobs and a fired signal stops between steps", async () => {
  const controller = new AbortController();
  const seen: number[] = [];
  const work = trainOn({
    jobs,
    signal: controller.signal,
    onProgress: ({ step, numActiveJobs }) => {
      seen.push(numActiveJobs);
      if (step === 3) controller.abort();
    },
  });
  await assert.rejects(work, { code: "stopped" });
  assert.deepEqual(seen, [3, 3, 2]); // "large" has two updates
});

test("jobs with one id, without documents or with impossible settings are refused by name", async () => {
  await assert.rejects(trainOn({ jobs: [jobs[0]!, jobs[0]!] }), { code: "duplicate-name" });
  await assert.rejects(trainOn({ jobs: [{ ...jobs[0]!, documents: [] }] }), { code: "no-supervised-tokens" });
  await assert.rejects(trainOn({ jobs: [{ ...jobs[0]!, epochs: 0.5 }] }), /adapter "small": expected whole epochs/);
  assert.deepEqual(await trainOn({ jobs: [] }), []);
});

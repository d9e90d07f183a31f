/**
 * @file Training against PyTorch 2.13, transformers 5.18 and PEFT 0.21, recorded by test/oracles/record-training.py.
 * Weights come from the formula of that script; tolerances are what f32 sums in another order cost over five updates.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { LlamaLm } from "../models/index.ts";
import { type LoraAdapter, LoraBank } from "../nn/index.ts";
import type { Tensor } from "../tensor/index.ts";
import { trainAdapters } from "./adapter-bank.ts";
import type { AdapterJob, AdapterResult } from "./adapter-job.ts";
import { meanLoss } from "./evaluate.ts";
import { trainFull } from "./full-trainer.ts";
import { createTinyLm } from "./tiny-model.ts";

interface RecordedRun {
  readonly losses: readonly number[];
  readonly gradNorms: readonly number[];
  readonly finalLoss: number;
}

interface RecordedAdapter extends RecordedRun {
  readonly documents: readonly number[];
  readonly loraRank: number;
  readonly loraAlpha: number;
  readonly targets: readonly string[];
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
}

interface Fixture {
  readonly steps: number;
  readonly documents: readonly number[][];
  readonly masks: readonly number[][];
  readonly full: RecordedRun;
  readonly adapters: readonly RecordedAdapter[];
}

const fixturePath = new URL("../../test/oracles/fixtures/training.json", import.meta.url);
const fixture: Fixture = JSON.parse(readFileSync(fixturePath, "utf8"));
const documents = fixture.documents.map((tokenIds, index) => ({ tokenIds, lossMask: fixture.masks[index]! }));

function formula(length: number, seed: number, scale: number, offset = 0): Float64Array {
  return Float64Array.from({ length }, (_, i) => offset + scale * Math.sin(0.7 * i + 1.3 * seed + (i * i) / 50));
}

const fill = (tensor: Tensor, seed: number, scale: number, offset = 0): void =>
  tensor.write(formula(tensor.size, seed, scale, offset));

/** The model of the recording. */
function createRecordedLm(): LlamaLm {
  const lm = createTinyLm();
  lm.parameters.specs
    .map(({ name }) => name)
    .sort()
    .forEach((name, seed) => {
      const tensor = lm.parameters.get(name);
      if (tensor.shape.length === 1) fill(tensor, seed, 0.1, 1);
      else fill(tensor, seed, 0.3);
    });
  return lm;
}

/** The first weights of a recorded adapter: modules in the order of their names, loraA before loraB. */
function initialAdapter(lm: LlamaLm, { loraRank, loraAlpha, targets }: RecordedAdapter): LoraAdapter {
  const config = { loraRank, loraAlpha, targets };
  using bank = new LoraBank(lm.backend, lm.linearLayers, [config]);
  const modules = new Map<string, { loraA: Float32Array; loraB: Float32Array }>();
  [...bank.layers]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .forEach(({ name, inSize, outSize }, index) => {
      modules.set(name, {
        loraA: Float32Array.from(formula(loraRank * inSize, 2 * index, 0.25)),
        loraB: Float32Array.from(formula(loraRank * outSize, 2 * index + 1, 0.05)),
      });
    });
  return { loraRank, loraAlpha, modules };
}

function assertClose(got: readonly number[], want: readonly number[], tolerance: number, what: string): void {
  assert.equal(got.length, want.length);
  got.forEach((value, i) => {
    assert.ok(Math.abs(value - want[i]!) <= tolerance, `${what} ${i}: expected ${want[i]}, got ${value}`);
  });
}

function jobOf(lm: LlamaLm, recorded: RecordedAdapter, index: number): AdapterJob {
  const { loraRank, loraAlpha, targets, learningRate, weightDecay, clipNorm } = recorded;
  return {
    id: `recorded ${index}`,
    documents: recorded.documents.map((which) => documents[which]!),
    lora: { loraRank, loraAlpha, targets },
    initial: initialAdapter(lm, recorded),
    learningRate,
    weightDecay,
    clipNorm,
    epochs: fixture.steps,
    documentsPerStep: recorded.documents.length,
  };
}

test("full training follows PyTorch: AdamW, decay of matrices, cosine with warm-up, clipping, masks", async () => {
  using lm = createRecordedLm();
  const losses: number[] = [];
  const gradNorms: number[] = [];
  await trainFull({
    lm,
    source: () => documents,
    steps: fixture.steps,
    learningRate: 0.01,
    schedule: { kind: "cosine", warmupSteps: 2 },
    optimizer: { beta2: 0.98, weightDecay: 0.1 },
    maxTokensPerMicroBatch: 8, // splits the update; PyTorch did not
    onProgress: ({ lossNats, gradNorm }) => {
      losses.push(lossNats);
      gradNorms.push(gradNorm);
    },
  });
  assertClose(losses, fixture.full.losses, 1e-4, "loss");
  assertClose(gradNorms, fixture.full.gradNorms, 1e-3, "gradient norm");
  assertClose([meanLoss(lm, documents).lossNats], [fixture.full.finalLoss], 1e-4, "final loss");
});

test("one bank trains three different adapters as PEFT trains each alone", async () => {
  using lm = createRecordedLm();
  const jobs = fixture.adapters.map((recorded, index) => jobOf(lm, recorded, index));
  const results: AdapterResult[] = await trainAdapters({ lm, jobs, seed: 0 });
  results.forEach((result, index) => {
    const recorded = fixture.adapters[index]!;
    assertClose(result.lossCurve, recorded.losses, 1e-4, `adapter ${index}, loss`);
    const final = meanLoss(lm, jobs[index]!.documents, { adapter: result.adapter });
    assertClose([final.lossNats], [recorded.finalLoss], 1e-4, `adapter ${index}, final loss`);
  });
});

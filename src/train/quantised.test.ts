import assert from "node:assert/strict";
import { test } from "node:test";
import { createLlama, f32Precision, type LlamaLm } from "../models/index.ts";
import { LoraBank } from "../nn/index.ts";
import { type Backend, createCpuBackend, createReferenceBackend, nativeInstructionSets } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { trainAdapters } from "./adapter-bank.ts";
import { prepareDocuments } from "./data.ts";
import { trainFull } from "./full-trainer.ts";
import { forwardBackward } from "./step.ts";
import { createTinyLm, tinyConfig } from "./tiny-model.ts";

/** The tiny model quantised to nf4, and a plain one with the very weights that the first one's products see. */
function createTwins(backend: Backend): { quantised: LlamaLm; plain: LlamaLm } {
  const quantised = createLlama(backend, tinyConfig, { ...f32Precision, weights: "nf4" });
  const plain = createTinyLm(3, backend);
  for (const { name } of plain.parameters.specs) {
    quantised.parameters.get(name).write(plain.parameters.get(name).readSync());
    plain.parameters.get(name).write(quantised.parameters.get(name).readSync());
  }
  return { quantised, plain };
}

const documents = [
  [1, 5, 9, 13, 17, 21],
  [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31],
].map((tokenIds) => ({ tokenIds }));

function adapterGradient(lm: LlamaLm): { nats: Float64Array; gradient: ArrayLike<number> } {
  using bank = new LoraBank(lm.backend, lm.linearLayers, [{ loraRank: 3, loraAlpha: 6, targets: "all" }]);
  const rng = createRng("adapter");
  bank.parameters.flat.write(Float32Array.from({ length: bank.parameters.flat.size }, () => 0.1 * rng.normal()));
  bank.parameters.enableGrad();
  const sequences = prepareDocuments(documents).sequences;
  const nats = forwardBackward(lm, sequences, [1, 0.5], (offsets) => bank.batch(Int32Array.of(0, offsets.at(-1)!)));
  return { nats, gradient: bank.parameters.flatGrad.readSync() };
}

const backends: Readonly<Record<string, () => Backend>> = {
  reference: createReferenceBackend,
  ...Object.fromEntries(
    nativeInstructionSets().map((instructionSet) => [
      instructionSet,
      () => createCpuBackend({ threads: 2, instructionSet }),
    ]),
  ),
};

for (const [name, create] of Object.entries(backends))
  test(`an adapter over quantised weights gets the gradient of one over the dequantised weights, with ${name}`, () => {
    const { quantised, plain } = createTwins(create());
    using _quantised = quantised;
    using _plain = plain;
    const [got, want] = [adapterGradient(quantised), adapterGradient(plain)];
    for (const [i, nats] of want.nats.entries()) assert.ok(Math.abs(got.nats[i]! - nats) < 1e-5 * nats);
    let largest = 0;
    for (let i = 0; i < want.gradient.length; i++) largest = Math.max(largest, Math.abs(want.gradient[i]!));
    assert.ok(largest > 1e-3, "there is a gradient");
    for (let i = 0; i < want.gradient.length; i++)
      assert.ok(Math.abs(got.gradient[i]! - want.gradient[i]!) < 1e-5 * largest, `weight ${i}`); // f32 in another order
  });

test("an adapter over quantised weights learns its document", async () => {
  using lm = createLlama(createReferenceBackend(), tinyConfig, { ...f32Precision, weights: "int8" });
  const { parameters } = lm;
  const rng = createRng("weights");
  for (const { name, shape } of parameters.specs) {
    const tensor = parameters.get(name);
    tensor.write(Float32Array.from({ length: tensor.size }, () => (shape.length === 1 ? 1 : 0.2 * rng.normal())));
  }
  const job = {
    id: "one",
    documents: documents.slice(0, 1),
    lora: { loraRank: 4, loraAlpha: 8, targets: "all" },
    learningRate: 0.05,
    epochs: 30,
  } as const;
  const [result] = await trainAdapters({ lm, jobs: [job], seed: 1 });
  const { lossCurve } = result!;
  assert.ok(lossCurve.at(-1)! < 0.5 * lossCurve[0]!, `${lossCurve[0]} to ${lossCurve.at(-1)} nats`);
});

test("full training refuses quantised weights and says what to do", async () => {
  using lm = createLlama(createReferenceBackend(), tinyConfig, { ...f32Precision, weights: "int8" });
  await assert.rejects(trainFull({ lm, source: () => documents, steps: 1, learningRate: 0.01 }), {
    code: "bad-option",
    message: /expected weights in f32, got int8.*load the model without quantised weights/,
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { bankOf, type LoraAdapter } from "../nn/index.ts";
import { createReferenceBackend, packedLayout, Scope, tokenLogprobs } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { bf16Precision, f32Precision } from "./causal-lm.ts";
import { createLlama, type LlamaLm, plainLlama } from "./llama.ts";
import { mergeAdapter } from "./merge.ts";

const config = {
  ...plainLlama,
  vocabSize: 32,
  hiddenSize: 16,
  intermediateSize: 24,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 4,
  maxSeqLen: 64,
};
const createLm = (precision = f32Precision): LlamaLm =>
  createLlama(createReferenceBackend(), config, precision, { rng: createRng("merge") });

/** Rank 3 on every layer, with values large enough to change every prediction. */
function drawAdapter({ linearLayers }: LlamaLm): LoraAdapter {
  const rng = createRng("merge-adapter");
  const draw = (count: number) => Float32Array.from({ length: count }, () => 0.3 * rng.normal());
  const modules = new Map(
    linearLayers.map(({ name, inSize, outSize }) => [name, { loraA: draw(3 * inSize), loraB: draw(3 * outSize) }]),
  );
  return { loraRank: 3, loraAlpha: 6, modules };
}

/** Log-probability of each next token of one short sequence. */
function predict(lm: LlamaLm, adapter: LoraAdapter | null): number[] {
  const tokenIds = Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6);
  const offsets = Int32Array.of(0, tokenIds.length);
  const positionIds = tokenIds.map((_, index) => index);
  const targets = tokenIds.map((_, index) => tokenIds[index + 1] ?? -1);
  using bank = adapter && bankOf(lm.backend, lm.linearLayers, [adapter]);
  using scope = new Scope(lm.backend);
  const batch = { tokenIds, positionIds, layout: packedLayout(offsets) };
  const hidden = lm.hidden(scope, batch, { adapters: bank?.batch(offsets) ?? null });
  return [...tokenLogprobs(scope, hidden, lm.outputWeight, targets, { compute: "f32" }).readSync()];
}

const largestGap = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, index) => Math.abs(value - b[index]!)));

test("a model with a merged adapter predicts what the model with the adapter beside it predicts", () => {
  const lm = createLm();
  const adapter = drawAdapter(lm);
  const [bare, beside] = [predict(lm, null), predict(lm, adapter)];
  assert.ok(largestGap(bare, beside) > 0.1, "the adapter matters");
  mergeAdapter(lm, adapter);
  assert.ok(largestGap(predict(lm, null), beside) < 1e-4);
  mergeAdapter(lm, adapter, -1);
  assert.ok(largestGap(predict(lm, null), bare) < 1e-4, "and can be taken back");
});

test("one entry of a merged weight is W + alpha / rank · B A, by hand", () => {
  const lm = createLm();
  const { name, inSize } = lm.linearLayers[0]!;
  const adapter = drawAdapter(lm);
  const { loraA, loraB } = adapter.modules.get(name)!;
  const [row, column] = [2, 5];
  const at = row * inSize + column;
  const before = Number(lm.parameters.get(`${name}.weight`).readSync()[at]);
  const product = [0, 1, 2].reduce((sum, j) => sum + loraB[row * 3 + j]! * loraA[j * inSize + column]!, 0);
  mergeAdapter(lm, adapter, 0.5);
  const after = Number(lm.parameters.get(`${name}.weight`).readSync()[at]);
  assert.ok(Math.abs(after - (before + 0.5 * 2 * product)) < 1e-6);
});

test("what does not fit is refused before any weight changes", () => {
  const lm = createLm();
  const before = [...lm.parameters.flat.readSync()];
  const { modules, ...sizes } = drawAdapter(lm);
  const odd = new Map([...modules, ["model.layers.9.self_attn.q_proj", [...modules.values()][0]!] as const]);
  assert.throws(() => mergeAdapter(lm, { ...sizes, modules: odd }), { code: "adapter-mismatch" });
  assert.deepEqual([...lm.parameters.flat.readSync()], before);
  const rounded = createLm(bf16Precision);
  assert.throws(() => mergeAdapter(rounded, drawAdapter(rounded)), /bf16 or quantised/);
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TrainDocument } from "./data.ts";
import { meanLoss } from "./evaluate.ts";
import { trainFull } from "./full-trainer.ts";
import { type PolicyBatch, type TrainPolicyOptions, trainPolicy } from "./policy-trainer.ts";
import { createTinyLm } from "./tiny-model.ts";

const documents: readonly TrainDocument[] = [
  { tokenIds: [1, 5, 9, 3, 7, 2], lossMask: [0, 0, 0, 1, 1, 1] },
  { tokenIds: [1, 6, 4, 8, 2] },
  { tokenIds: [1, 11, 12, 13, 14, 15, 2], lossMask: [0, 0, 1, 1, 1, 1, 1] },
];
const lora = { loraRank: 4, loraAlpha: 8, targets: "all" } as const;
/** Mean over all supervised tokens: 3 + 4 + 5. */
const meanBatch: PolicyBatch = { documents, weigh: documents.map(() => 1 / 12) };

test("with equal weights it is the full trainer, loss by loss and weight by weight", async () => {
  const [own, other] = [createTinyLm(), createTinyLm()];
  const settings = { steps: 4, learningRate: 1e-3, schedule: { kind: "linear" }, clipNorm: 1 } as const;
  const losses: number[] = [];
  await trainFull({
    lm: other,
    source: () => documents,
    ...settings,
    onProgress: ({ lossNats }) => losses.push(lossNats),
  });
  const { lossCurve, adapter } = await trainPolicy({
    lm: own,
    target: { kind: "full" },
    source: () => meanBatch,
    seed: 1,
    ...settings,
  });
  assert.equal(adapter, null);
  lossCurve.forEach((loss, step) => {
    assert.ok(Math.abs(loss - losses[step]!) < 1e-6, `${loss} against ${losses[step]}`);
  });
  const [a, b] = [own.parameters.flat.readSync(), other.parameters.flat.readSync()];
  assert.ok(a.every((value, index) => Math.abs(value - b[index]!) < 1e-6));
});

/** Loss of each document after three updates of the whole model. */
async function trainWith(batch: PolicyBatch): Promise<readonly number[]> {
  const lm = createTinyLm();
  await trainPolicy({ lm, source: () => batch, steps: 3, learningRate: 1e-2, seed: 1, target: { kind: "full" } });
  return meanLoss(lm, documents).perDocument;
}

test("an objective sees the nats of each document, and its weights train like the same weights given", async () => {
  const weights = [0.25, 0.3, 0.1];
  const seen: (readonly number[])[] = [];
  const weigh = (nats: readonly number[]) => {
    seen.push(nats);
    return { loss: 0, weights };
  };
  assert.deepEqual(await trainWith({ documents, weigh }), await trainWith({ documents, weigh: weights }));
  const { perDocument } = meanLoss(createTinyLm(), documents);
  [3, 4, 5].forEach((numSupervised, index) => {
    assert.ok(Math.abs(seen[0]![index]! - numSupervised * perDocument[index]!) < 1e-5);
  });
});

test("a document of weight zero is as good as absent", async () => {
  const [first, , third] = documents;
  const zero = await trainWith({ documents, weigh: [0.25, 0, 0.1] });
  const absent = await trainWith({ documents: [first!, third!], weigh: [0.25, 0.1] });
  assert.ok(zero.every((loss, index) => Math.abs(loss - absent[index]!) < 1e-6));
});

test("a LoRA target leaves the base as it is and its adapter lowers the loss", async () => {
  const lm = createTinyLm();
  const before = [...lm.parameters.flat.readSync()];
  const { adapter } = await trainPolicy({
    lm,
    target: { kind: "lora", lora },
    source: () => meanBatch,
    steps: 30,
    learningRate: 2e-2,
    seed: 1,
  });
  assert.deepEqual([...lm.parameters.flat.readSync()], before);
  assert.ok(meanLoss(lm, documents, { adapter }).lossNats < 0.5 * meanLoss(lm, documents).lossNats);
});

test("stopped after any update and called again, it ends with the same bits", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "selkie-policy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const options = (directory: string): TrainPolicyOptions => ({
    lm: createTinyLm(),
    target: { kind: "lora", lora },
    source: (step) => ({ documents: [documents[step % 3]!], weigh: [0.2] }),
    steps: 4,
    learningRate: 1e-2,
    seed: 7,
    checkpoint: { directory: join(folder, directory) },
  });
  const whole = await trainPolicy(options("whole"));
  for (let stopAt = 1; stopAt < 4; stopAt++) {
    const controller = new AbortController();
    const onProgress = ({ step }: { step: number }) => step === stopAt && controller.abort(new Error("stopped here"));
    const name = `stopped-${stopAt}`;
    await assert.rejects(trainPolicy({ ...options(name), signal: controller.signal, onProgress }), /stopped here/);
    const resumed = await trainPolicy(options(name));
    assert.equal(resumed.resumedFrom, stopAt);
    assert.deepEqual(resumed.adapter, whole.adapter);
    await assert.rejects(trainPolicy({ ...options(name), learningRate: 2 }), { code: "checkpoint-mismatch" });
  }
});

test("a loss that stops being a number is refused", async () => {
  const source = () => ({ documents, weigh: () => ({ loss: Number.NaN, weights: [1, 1, 1] }) });
  const options = { lm: createTinyLm(), source, steps: 1, learningRate: 1, seed: 1 };
  await assert.rejects(trainPolicy({ ...options, target: { kind: "full" } }), { code: "diverged" });
});

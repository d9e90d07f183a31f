import assert from "node:assert/strict";
import { test } from "node:test";
import { prepareDocuments, type SoftTargets, type TrainDocument } from "./data.ts";
import { meanLoss } from "./evaluate.ts";
import { softTargetsOf } from "./soft-targets.ts";
import { forwardBackward, forwardOnly } from "./step.ts";
import { createTinyLm, tinyConfig } from "./tiny-model.ts";

const ids = [1, 5, 9, 3, 7, 2];
const { vocabSize } = tinyConfig;

/** Gradient and nats of documents, each weighing one half. */
function differentiate(documents: readonly TrainDocument[], lm = createTinyLm()) {
  const { sequences } = prepareDocuments(documents, lm);
  lm.parameters.enableGrad();
  lm.parameters.zeroGrad();
  const nats = forwardBackward(
    lm,
    sequences,
    sequences.map(() => 0.5),
    null,
  );
  return { nats: [...nats], gradient: [...lm.parameters.flatGrad.readSync()] };
}

const norm = (values: readonly number[]): number => Math.sqrt(values.reduce((total, value) => total + value ** 2, 0));

test("all probability on the tokens themselves is the usual loss, with the usual gradient, beside usual documents too", () => {
  const certain: SoftTargets = { topK: 1, tokenIds: Int32Array.from(ids), probs: new Float32Array(ids.length).fill(1) };
  const lossMask = [0, 0, 0, 1, 1, 1];
  const other = { tokenIds: [1, 6, 4, 8] };
  const usual = differentiate([{ tokenIds: ids, lossMask }, other]);
  const soft = differentiate([{ tokenIds: ids, lossMask, softTargets: certain }, other]);
  soft.nats.forEach((nats, index) => {
    assert.ok(Math.abs(nats - usual.nats[index]!) < 1e-5);
  });
  assert.ok(norm(soft.gradient.map((value, index) => value - usual.gradient[index]!)) < 1e-5 * norm(usual.gradient));
});

test("a student that already expects what its teacher does has nothing to learn", () => {
  const lm = createTinyLm();
  const [softTargets] = softTargetsOf(lm, [{ tokenIds: ids, prefix: [] }], { topK: vocabSize });
  const { gradient } = differentiate([{ tokenIds: ids, softTargets: softTargets! }]);
  const { gradient: usual } = differentiate([{ tokenIds: ids }]);
  assert.ok(norm(gradient) < 1e-4 * norm(usual), `${norm(gradient)} against ${norm(usual)}`);
  const [other] = softTargetsOf(createTinyLm(2), [{ tokenIds: ids, prefix: [] }], { topK: vocabSize });
  assert.ok(norm(differentiate([{ tokenIds: ids, softTargets: other! }]).gradient) > 0.1 * norm(usual));
});

test("the teacher's expectations are its probabilities, read after what stands before the document", () => {
  const lm = createTinyLm();
  const prefix = [1, 20, 21, 22];
  const taught = { tokenIds: ids, prefix, numReplaced: 1 }; // the 1 at the beginning stands before the prefix already
  const [targets] = softTargetsOf(lm, [taught], { topK: vocabSize });
  const whole = [...prefix, ...ids.slice(1)];
  for (let token = 1; token < ids.length; token++) {
    const lossMask = whole.map((_, place) => (place === prefix.length + token - 1 ? 1 : 0));
    const nats = meanLoss(lm, [{ tokenIds: whole, lossMask }]).lossNats;
    const at = targets!.tokenIds.subarray(token * vocabSize, (token + 1) * vocabSize).indexOf(ids[token]!);
    assert.ok(Math.abs(targets!.probs[token * vocabSize + at]! - Math.exp(-nats)) < 1e-5);
  }
  const [few] = softTargetsOf(lm, [taught], { topK: 3 });
  for (let token = 1; token < ids.length; token++) {
    const all = targets!.tokenIds.subarray(token * vocabSize, token * vocabSize + 3);
    const top = few!.tokenIds.subarray(token * 3, token * 3 + 3);
    assert.deepEqual(top, all, "the three likeliest, in order");
    const kept = [0, 1, 2].map((place) => targets!.probs[token * vocabSize + place]!);
    const total = kept.reduce((sum, prob) => sum + prob, 0);
    kept.forEach((prob, place) => {
      assert.ok(Math.abs(few!.probs[token * 3 + place]! - prob / total) < 1e-5);
    });
  }
});

test("documents longer than the model are cut with their soft targets, and wrong sizes are refused", () => {
  const lm = createTinyLm();
  const [softTargets] = softTargetsOf(lm, [{ tokenIds: ids, prefix: [] }], { topK: 4 });
  const document = { tokenIds: ids, softTargets: softTargets! };
  const { sequences } = prepareDocuments([document], { maxSeqLen: 4 });
  const rows = sequences.flatMap((sequence) => [...sequence.softTargets!.tokenIds]);
  assert.deepEqual(rows, [...softTargets!.tokenIds.subarray(4)]);
  assert.ok(forwardOnly(lm, sequences, null).every((nats) => nats > 0));
  const short = { ...softTargets!, probs: new Float32Array(3) };
  assert.throws(() => prepareDocuments([{ tokenIds: ids, softTargets: short }]), /expected 24 soft targets/);
  assert.throws(() => softTargetsOf(lm, [{ tokenIds: ids, prefix: new Array(64).fill(1) }]), /at most 64 tokens/);
});

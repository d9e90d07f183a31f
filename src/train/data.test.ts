import assert from "node:assert/strict";
import { test } from "node:test";
import { Scope } from "../tensor/index.ts";
import { packDocuments, prepareDocuments, toDatum } from "./data.ts";
import { meanLoss } from "./evaluate.ts";
import { createTinyLm } from "./tiny-model.ts";

const range = (first: number, length: number): number[] => Array.from({ length }, (_, i) => (first + i) % 32);

test("a packed batch holds next-token targets, restarted positions and no target at the end of a document", () => {
  const packed = packDocuments([{ tokenIds: [5, 6, 7] }, { tokenIds: [8, 9], lossMask: [1, 1] }]);
  assert.deepEqual([...packed.batch.tokenIds], [5, 6, 7, 8, 9]);
  assert.deepEqual([...packed.batch.positionIds], [0, 1, 2, 0, 1]);
  assert.deepEqual([...packed.targets], [6, 7, -1, 9, -1]);
  assert.deepEqual([...packed.weights], [1, 1, 0, 1, 0]);
  assert.deepEqual([...packed.offsets], [0, 3, 5]);
  assert.deepEqual([...packed.batch.layout.kLengths], [3, 2]);
  assert.deepEqual([packed.numTokens, packed.numSupervised], [5, 3]);
});

test("the loss mask marks supervised tokens, and trimming drops the rows after the last of them", () => {
  const packed = packDocuments([{ tokenIds: [1, 2, 3, 4, 5], lossMask: [1, 0, 1, 0, 0] }], { trim: true });
  assert.deepEqual([...packed.batch.tokenIds], [1, 2]);
  assert.deepEqual([...packed.targets], [2, 3]);
  assert.deepEqual([...packed.weights], [0, 1]);
});

test("documents in one batch do not see each other: each keeps the hidden states it has alone", () => {
  using lm = createTinyLm();
  const documents = [range(3, 7), range(20, 5), range(11, 9)].map((tokenIds) => ({ tokenIds }));
  const hiddenOf = (some: typeof documents): number[] => {
    using scope = new Scope(lm.backend);
    return [...lm.hidden(scope, packDocuments(some).batch).readSync()];
  };
  const together = hiddenOf(documents);
  const alone = documents.flatMap((document) => hiddenOf([document]));
  together.forEach((value, i) => {
    assert.ok(Math.abs(value - alone[i]!) < 1e-6, `element ${i}: ${value} together, ${alone[i]} alone`);
  });
});

test("a document longer than the model is split with a note and loses no supervised token", () => {
  const { sequences, notes } = prepareDocuments([{ tokenIds: range(0, 10) }], { maxSeqLen: 4 });
  assert.deepEqual(
    sequences.map((sequence) => [...sequence.tokenIds]),
    [
      [0, 1, 2, 3],
      [3, 4, 5, 6],
      [6, 7, 8, 9],
    ],
  );
  assert.equal(
    sequences.reduce((total, sequence) => total + sequence.numSupervised, 0),
    9,
  );
  assert.deepEqual(notes, ["document 0: 10 tokens, split into 3 parts of at most 4"]);
});

test("documents with nothing to learn are named, and only such documents are an error", () => {
  const { sequences, notes } = prepareDocuments([
    { tokenIds: [1] },
    { tokenIds: [1, 2] },
    { tokenIds: [1, 2], lossMask: [1, 0] },
  ]);
  assert.equal(sequences.length, 1);
  assert.deepEqual(
    notes.map((note) => note.slice(0, 33)),
    ["document 0: no supervised tokens ", "document 2: no supervised tokens "],
  );
  assert.throws(() => packDocuments([{ tokenIds: [7] }]), { code: "no-supervised-tokens" });
  assert.throws(() => packDocuments([]), { code: "no-supervised-tokens" });
});

test("token ids outside the vocabulary and masks of another length are refused", () => {
  assert.throws(
    () => prepareDocuments([{ tokenIds: [1, 32] }], { vocabSize: 32 }),
    /document 0: expected token ids from 0 to 31, got 32/,
  );
  assert.throws(() => prepareDocuments([{ tokenIds: [1, 2], lossMask: [1] }]), /lossMask of 2 entries, got 1/);
});

test("a datum has targets and weights of its own; a document is one whose rows predict the next token", () => {
  const document = { tokenIds: [4, 5, 6, 7], lossMask: [1, 0, 1, 1] };
  const datum = toDatum(document);
  assert.deepEqual(
    [datum.targets, datum.weights].map((values) => Array.from(values)),
    [
      [5, 6, 7, -1],
      [0, 1, 1, 0],
    ],
  );
  assert.deepEqual(packDocuments([datum]), packDocuments([document]));
  const other = packDocuments([{ tokenIds: [4, 5, 6], targets: [9, -1, 8], weights: [-0.5, 3, 0.25] }], { trim: true });
  assert.deepEqual([...other.targets], [9, -1, 8]);
  assert.deepEqual([...other.weights], [-0.5, 0, 0.25]);
  assert.equal(other.numSupervised, 2);
});

test("a long datum is split with its weights and extras, every target once", () => {
  const tokenIds = range(0, 9);
  const datum = {
    tokenIds,
    targets: tokenIds.map((id) => id + 1),
    weights: tokenIds.map((id) => 1 + id / 8),
    extras: { advantages: tokenIds.map((id) => -id) },
  };
  const { sequences } = prepareDocuments([datum], { maxSeqLen: 5 });
  const rows = sequences.flatMap(({ targets, weights, extras }) =>
    [...targets.keys()]
      .filter((row) => weights[row] !== 0)
      .map((row) => [targets[row], weights[row], extras["advantages"]![row]]),
  );
  assert.deepEqual(
    rows,
    tokenIds.map((id) => [id + 1, 1 + id / 8, -id]),
  );
});

test("a datum of wrong sizes, targets or weights is refused by what is wrong", () => {
  const datum = { tokenIds: [1, 2], targets: [2, 3], weights: [1, 1] };
  assert.throws(() => prepareDocuments([{ ...datum, weights: [1] }]), /expected weights of 2 entries, got 1/);
  assert.throws(() => prepareDocuments([{ ...datum, targets: [2] }]), /expected targets of 2 entries, got 1/);
  assert.throws(() => prepareDocuments([{ ...datum, targets: [2, 40] }], { vocabSize: 32 }), /from 0 to 31, got 40/);
  assert.throws(() => prepareDocuments([{ ...datum, weights: [1, Number.NaN] }]), /finite weights, got 1,NaN/);
  assert.throws(() => prepareDocuments([{ ...datum, extras: { advantages: [1] } }]), /advantages of 2 entries, got 1/);
});

test("the mean loss weighs tokens, not documents, and is reported in nats and bits", () => {
  using lm = createTinyLm();
  const documents = [{ tokenIds: range(3, 12) }, { tokenIds: range(20, 3) }];
  const both = meanLoss(lm, documents, { maxTokensPerBatch: 4 });
  const [long, short] = documents.map((document) => meanLoss(lm, [document]).lossNats);
  assert.ok(Math.abs(both.lossNats - (11 * long! + 2 * short!) / 13) < 1e-6);
  assert.ok(Math.abs(both.lossBits - both.lossNats / Math.LN2) < 1e-12);
  assert.ok(Math.abs(both.perDocument[1]! - short!) < 1e-6);
  assert.equal(both.numSupervised, 13);
});

test("a model that predicts uniformly has a loss of log vocabSize", () => {
  using lm = createTinyLm();
  lm.parameters.get("model.norm.weight").data.fill(0); // hidden states of zero, so all logits are equal
  const { lossNats, lossBits } = meanLoss(lm, [{ tokenIds: range(0, 8) }]);
  assert.ok(Math.abs(lossNats - Math.log(32)) < 1e-6);
  assert.ok(Math.abs(lossBits - 5) < 1e-5);
});

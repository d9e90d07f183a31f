/** @file The trainer itself: objectives, weights and extras reach the gradient, in any micro-batches and for any group. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CausalLm } from "../models/index.ts";
import { scaleByLearningRate } from "../nn/index.ts";
import { trainAdapters } from "./adapter-bank.ts";
import { type Datum, prepareDocuments, toDatum } from "./data.ts";
import { meanLoss } from "./evaluate.ts";
import type { Objective } from "./objective.ts";
import { createTinyLm } from "./tiny-model.ts";
import { clippedRatio, preferencePairs, sharedLikelihood, tokenLikelihood } from "./token-objectives.ts";
import { train } from "./train.ts";
import { adaptersOver, type GroupLoss, Trainer, wholeModel } from "./trainer.ts";

/** Four data with fractional and negative weights, one of them all but masked. */
const data: readonly Datum[] = [
  [1, 5, 9, 3, 7],
  [2, 6, 4],
  [1, 11, 12, 13, 14, 15],
  [8, 8, 1, 30],
].map((tokenIds, index) => {
  const { targets } = toDatum({ tokenIds });
  const rows = tokenIds.map((id, row) => id + 3 * row + index);
  return {
    tokenIds,
    targets,
    weights: rows.map((row) => [1, 0.5, -0.25, 2, 0][row % 5]!),
    extras: {
      samplerLogprobs: rows.map((row) => -2.5 - 0.3 * (row % 4)),
      advantages: rows.map((row) => Math.sin(row)),
      referenceLogprobs: rows.map((row) => -3 - 0.2 * (row % 3)),
    },
  };
});

function gradientOf(lm: CausalLm, objective: Objective, maxRows = 1000): { loss: GroupLoss; gradient: Float64Array } {
  using trainee = wholeModel(lm);
  using trainer = new Trainer(trainee, scaleByLearningRate(1), maxRows);
  const { sequences } = prepareDocuments(data, lm);
  const [loss] = trainer.differentiate([{ group: 0, sequences, numData: data.length, objective }]);
  return { loss: loss!, gradient: Float64Array.from(lm.parameters.flatGrad.readSync()) };
}

const objectives: readonly Objective[] = [
  tokenLikelihood,
  sharedLikelihood([0.3, -0.2, 0, 1]),
  clippedRatio({ klCoef: 0.1 }),
  clippedRatio({ per: "sequence" }),
  preferencePairs("dpo", 0.3),
];

for (const objective of objectives) {
  test(`${objective.name}, over ${objective.normaliser}: the gradient agrees with central differences`, () => {
    using lm = createTinyLm();
    const { gradient } = gradientOf(lm, objective);
    const values = lm.parameters.flat.data;
    const h = 2e-3;
    const largest = [...gradient.keys()].sort((a, b) => Math.abs(gradient[b]!) - Math.abs(gradient[a]!)).slice(0, 5);
    for (const index of largest) {
      const kept = values[index]!;
      const lossAt = (value: number): number => {
        values[index] = value;
        return gradientOf(lm, objective).loss.loss;
      };
      const slope = (lossAt(kept + h) - lossAt(kept - h)) / (2 * h);
      values[index] = kept;
      // f32 losses, and a step that may cross the edge of the clipped range for a token or two
      assert.ok(
        Math.abs(slope - gradient[index]!) < 0.02 * Math.abs(gradient[largest[0]!]!),
        `${index}: ${slope}, ${gradient[index]}`,
      );
    }
  });

  test(`${objective.name}, over ${objective.normaliser}: micro-batches change nothing but rounding`, () => {
    const [whole, cut] = [1000, 1].map((maxRows) => gradientOf(createTinyLm(), objective, maxRows));
    assert.ok(Math.abs(whole!.loss.loss - cut!.loss.loss) < 1e-5);
    assert.ok(Math.abs(whole!.loss.natsPerToken - cut!.loss.natsPerToken) < 1e-5);
    whole!.gradient.forEach((slope, index) => {
      assert.ok(Math.abs(slope - cut!.gradient[index]!) < 1e-5);
    });
  });
}

test("only an objective that needs the log-probabilities costs a second forward pass, and only over several micro-batches", () => {
  for (const objective of objectives) {
    const lm = createTinyLm();
    let numPasses = 0;
    const counted: CausalLm = Object.create(lm, {
      hidden: {
        value: (...args: Parameters<CausalLm["hidden"]>) => {
          numPasses++;
          return lm.hidden(...args);
        },
      },
    });
    gradientOf(counted, objective);
    assert.equal(numPasses, 1, objective.name);
    gradientOf(counted, objective, 1);
    assert.equal(numPasses - 1, data.length * (objective.isLinear ? 1 : 2), objective.name);
  }
});

test("groups side by side have the losses and gradients that they have alone", () => {
  const lora = { loraRank: 2, loraAlpha: 4, targets: ["q_proj"] };
  const { sequences } = prepareDocuments(data);
  const works = [clippedRatio(), tokenLikelihood, sharedLikelihood([1])].map((objective, group) => {
    const own = sequences.slice(group, group + 1).map((sequence) => ({ ...sequence, documentIndex: 0 }));
    return { group, sequences: own, numData: 1, objective };
  });
  const run = (chosen: readonly number[]) => {
    using lm = createTinyLm();
    using trainee = adaptersOver(lm, [lora, lora, lora]);
    trainee.store.flat.write(Float32Array.from({ length: trainee.store.flat.size }, (_, i) => 0.1 * Math.sin(i)));
    using trainer = new Trainer(trainee, scaleByLearningRate(1), 1000);
    const losses = trainer.differentiate(chosen.map((group) => works[group]!));
    const norms = trainer.norms([0, 1, 2].map((group) => trainer.groupOf(group, 0)));
    return { losses, norms };
  };
  const together = run([0, 1, 2]);
  for (const group of [0, 1, 2]) {
    const alone = run([group]);
    assert.ok(Math.abs(alone.losses[0]!.loss - together.losses[group]!.loss) < 1e-5);
    assert.ok(together.norms[group]! > 1e-4);
    alone.norms.forEach((norm, other) => {
      assert.ok(Math.abs(norm - (other === group ? together.norms[group]! : 0)) < 1e-5);
    });
  }
});

test("a negative share makes a document less likely while the other becomes more so", async () => {
  using lm = createTinyLm();
  const documents = [{ tokenIds: [1, 5, 9, 3] }, { tokenIds: [2, 6, 4, 8] }];
  const before = meanLoss(lm, documents).perDocument;
  using trainee = wholeModel(lm);
  const objective = sharedLikelihood([0.2, -0.02]);
  await train({ trainee, source: () => documents, objective, steps: 20, transform: scaleByLearningRate(0.02) });
  const now = meanLoss(lm, documents).perDocument;
  assert.ok(now[0]! < before[0]! && now[1]! > before[1]!, `${before} to ${now}`);
});

test("a job of the bank may have an objective and token weights of its own", async () => {
  const job = { lora: { loraRank: 2, loraAlpha: 4, targets: "all" }, learningRate: 0.01, epochs: 3 } as const;
  const tokenIds = [1, 5, 9, 3, 7];
  const rows = toDatum({ tokenIds });
  const masked = { tokenIds, lossMask: [1, 0, 1, 0, 1] };
  const [plain, alike, shared, doubled] = await trainAdapters({
    lm: createTinyLm(),
    seed: 1,
    jobs: [
      { ...job, id: "mask", stream: "s", documents: [masked] },
      { ...job, id: "datum", stream: "s", documents: [toDatum(masked)] },
      { ...job, id: "share", stream: "s", documents: [masked], objective: sharedLikelihood([0.5]) },
      { ...job, id: "double", stream: "s", documents: [{ ...rows, weights: [0, 2, 0, 2, 0] }], clipNorm: 0 },
    ],
  });
  assert.deepEqual(alike!.adapter, plain!.adapter);
  assert.deepEqual(shared!.adapter, plain!.adapter, "two tokens, half each");
  assert.ok(Math.abs(doubled!.lossCurve[0]! - 2 * plain!.lossCurve[0]!) < 1e-6);
});

test("an objective says which extras it misses", async () => {
  using lm = createTinyLm();
  using trainee = wholeModel(lm);
  const source = () => [{ tokenIds: [1, 2, 3] }];
  const work = train({ trainee, source, objective: clippedRatio(), steps: 1, transform: scaleByLearningRate(1) });
  await assert.rejects(work, /clipped ratio: expected samplerLogprobs for each token of datum 0/);
});

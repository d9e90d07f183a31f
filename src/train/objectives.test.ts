/** @file Policy objectives by hand, against PyTorch's autograd (test/oracles/record-objectives.py), and on a tiny model. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { LlamaLm } from "../models/index.ts";
import { adamW, Optimizer, wholeStore } from "../nn/index.ts";
import { prepareDocuments } from "./data.ts";
import {
  advantageWeighted,
  dpo,
  ipo,
  likelihood,
  natsWeights,
  type PreferenceOptions,
  preferenceGaps,
  type SequenceObjective,
} from "./objectives.ts";
import { forwardBackward, forwardOnly } from "./step.ts";
import { createTinyLm } from "./tiny-model.ts";

type RecordedCase = { readonly at: "far" | "near"; readonly loss: number; readonly gradient: readonly number[] } & (
  | { readonly kind: "dpo" | "ipo"; readonly beta: number }
  | { readonly kind: "advantage"; readonly temperature: number; readonly maxWeight: number }
  | { readonly kind: "likelihood"; readonly perToken: boolean }
);

interface Fixture {
  readonly pairs: readonly (readonly [number, number])[];
  readonly logprobs: Readonly<Record<"far" | "near", readonly number[]>>;
  readonly reference: readonly number[];
  readonly advantages: readonly number[];
  readonly kept: readonly number[];
  readonly numTokens: readonly number[];
  readonly cases: readonly RecordedCase[];
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("../../test/oracles/fixtures/objectives.json", import.meta.url), "utf8"),
);
const pairs = fixture.pairs.map(([chosen, rejected]) => ({ chosen, rejected }));

function objectiveOf(recorded: RecordedCase): SequenceObjective {
  const preference = { pairs, referenceLogprobs: fixture.reference };
  switch (recorded.kind) {
    case "dpo":
      return dpo({ ...preference, beta: recorded.beta });
    case "ipo":
      return ipo({ ...preference, beta: recorded.beta });
    case "advantage":
      return advantageWeighted(fixture.advantages, recorded);
    case "likelihood":
      return likelihood(fixture.kept, recorded.perToken ? fixture.numTokens : undefined);
    default:
      return recorded satisfies never;
  }
}

/** Both are f64; what differs is the order of a few additions. */
const near = (got: number, wanted: number, tolerance = 1e-10): void =>
  assert.ok(Math.abs(got - wanted) <= tolerance * Math.max(1, Math.abs(wanted)), `expected ${wanted}, got ${got}`);

describe("objectives agree with PyTorch", () => {
  for (const recorded of fixture.cases) {
    const { loss, gradient, ...setting } = recorded;
    test(Object.values(setting).join(" "), () => {
      const value = objectiveOf(recorded)(fixture.logprobs[recorded.at]);
      near(value.loss, loss);
      assert.equal(value.gradient.length, gradient.length);
      gradient.forEach((slope, index) => {
        near(value.gradient[index]!, slope);
      });
    });
  }
});

describe("objectives by hand", () => {
  const one = { pairs: [{ chosen: 0, rejected: 1 }], referenceLogprobs: [-5, -7] };

  test("an untrained policy has a DPO loss of log 2 and pulls with half of β", () => {
    const { loss, gradient } = dpo({ ...one, beta: 0.2 })([-5, -7]);
    near(loss, Math.LN2);
    assert.deepEqual([...gradient], [-0.1, 0.1]);
  });

  test("IPO rests where the gap is 1 / (2 β), and pulls back beyond", () => {
    const objective = ipo({ ...one, beta: 0.25 }); // goal 2
    assert.deepEqual(objective([-4, -8]), { loss: 0, gradient: Float64Array.of(0, 0) });
    assert.deepEqual([...objective([-3, -8]).gradient], [2, -2]);
    near(objective([-5, -7]).loss, 4);
  });

  test("the gap is what the policy prefers beyond the reference", () => {
    assert.deepEqual(preferenceGaps([-4, -9], { ...one, beta: 1 }), [3]);
  });

  test("likelihood: the mean of what was kept, per sequence or per token", () => {
    assert.deepEqual(likelihood([1, 0, 1])([-2, Number.NEGATIVE_INFINITY, -6]), {
      loss: 4,
      gradient: Float64Array.of(-0.5, 0, -0.5),
    });
    near(likelihood([1, 0, 1], [3, 9, 5])([-2, -3, -6]).loss, 1);
  });

  test("advantages weigh by exp(advantage / β), up to a limit", () => {
    const { gradient } = advantageWeighted([0, Math.log(2), 9], { temperature: 1, maxWeight: 5 })([-1, -1, -1]);
    [1 / 3, 2 / 3, 5 / 3].forEach((weight, index) => {
      near(gradient[index]!, -weight);
    });
  });

  test("weights for the trainer are the derivative by nats", () => {
    const { loss, weights } = natsWeights(dpo({ ...one, beta: 0.2 }))([5, 7]);
    near(loss, Math.LN2);
    assert.deepEqual(weights, [0.1, -0.1]);
  });

  test("what cannot be learned from is refused", () => {
    assert.throws(() => likelihood([0, 0]), /nothing to learn from/);
    assert.throws(() => likelihood([1, -1]), /at least 0/);
    assert.throws(() => dpo({ ...one, pairs: [], beta: 1 }), /at least one pair/);
    assert.throws(() => dpo({ ...one, beta: 0 }), /beta to be above 0, got 0/);
    assert.throws(() => ipo({ ...one, pairs: [{ chosen: 0, rejected: 2 }], beta: 1 })([-1, -1]), /from 0 to 1, got 2/);
    assert.throws(() => dpo({ ...one, beta: 1 })([-1]), /expected 2 log-probabilities, got 1/);
    assert.throws(() => advantageWeighted([1], { temperature: 0 }), /temperature to be above 0/);
  });
});

describe("every objective", () => {
  const logprob = fc.double({ min: -80, max: 0, noNaN: true });
  const four = fc.tuple(logprob, logprob, logprob, logprob);
  const paired = [
    { chosen: 0, rejected: 1 },
    { chosen: 0, rejected: 2 },
    { chosen: 3, rejected: 1 },
  ];
  const options = (referenceLogprobs: readonly number[]): PreferenceOptions => ({
    pairs: paired,
    referenceLogprobs,
    beta: 0.3,
  });
  const objectives: Readonly<Record<string, (reference: readonly number[]) => SequenceObjective>> = {
    dpo: (reference) => dpo(options(reference)),
    ipo: (reference) => ipo(options(reference)),
    likelihood: () => likelihood([1, 0, 2, 1]),
    advantageWeighted: (reference) =>
      advantageWeighted(
        reference.map((value) => value / 40),
        { temperature: 0.7 },
      ),
  };

  for (const [name, create] of Object.entries(objectives))
    test(`${name} has the gradient that finite differences have`, () => {
      fc.assert(
        fc.property(four, four, (logprobs, reference) => {
          const objective = create(reference);
          const { gradient } = objective(logprobs);
          const step = 1e-4;
          logprobs.forEach((_, index) => {
            const at = (by: number) =>
              objective(logprobs.map((value, other) => (other === index ? value + by : value)));
            near(gradient[index]!, (at(step).loss - at(-step).loss) / (2 * step), 1e-5); // f64 rounding of large losses
          });
        }),
      );
    });

  for (const name of ["dpo", "ipo"])
    test(`${name} sees the policy only beside its reference, and pairs only as differences`, () => {
      fc.assert(
        fc.property(four, four, fc.double({ min: -9, max: 9, noNaN: true }), (logprobs, reference, shift) => {
          const moved = (values: readonly number[]) => values.map((value) => value + shift);
          const value = objectives[name]!(reference)(logprobs);
          near(objectives[name]!(moved(reference))(moved(logprobs)).loss, value.loss, 1e-8);
          near(objectives[name]!(reference)(moved(logprobs)).loss, value.loss, 1e-8);
          const total = value.gradient.reduce((sum, slope) => sum + slope, 0);
          near(total, 0, 1e-8);
        }),
      );
    });
});

describe("objectives on a model", () => {
  const prompt = [1, 5, 9];
  const completions = [
    [2, 17, 3],
    [4, 4, 8, 15],
    [7, 29],
  ];
  const documents = completions.map((completion) => ({
    tokenIds: [...prompt, ...completion],
    lossMask: [...prompt.map(() => 0), ...completion.map(() => 1)],
  }));
  const { sequences } = prepareDocuments(documents, { maxSeqLen: 64, vocabSize: 32 });
  const pairs = [
    { chosen: 1, rejected: 0 },
    { chosen: 1, rejected: 2 },
  ];
  const logprobsOf = (lm: LlamaLm) => Array.from(forwardOnly(lm, sequences, null), (nats) => 0 - nats);

  test("the gradient by the parameters is the loss's own", () => {
    using lm = createTinyLm();
    const weigh = natsWeights(dpo({ pairs, referenceLogprobs: [-9, -14, -5], beta: 0.3 }));
    lm.parameters.enableGrad();
    lm.parameters.zeroGrad();
    forwardBackward(lm, sequences, weigh(forwardOnly(lm, sequences, null)).weights, null);
    const gradient = lm.parameters.flatGrad.readSync();
    const values = lm.parameters.flat.readSync();
    const lossWith = (index: number, by: number) => {
      lm.parameters.flat.write(values.map((value, other) => (other === index ? value + by : value)));
      return weigh(forwardOnly(lm, sequences, null)).loss;
    };
    const largest = Array.from(gradient, (slope, index) => ({ slope, index }))
      .sort((a, b) => Math.abs(b.slope) - Math.abs(a.slope))
      .slice(0, 6);
    const step = 5e-3;
    for (const { slope, index } of largest) {
      const difference = (lossWith(index, step) - lossWith(index, -step)) / (2 * step);
      assert.ok(Math.abs(difference - slope) < 0.02 * Math.abs(slope), `${index}: ${difference} and ${slope}`); // f32
    }
  });

  for (const [name, create, isBounded] of [
    ["dpo", dpo, false],
    ["ipo", ipo, true],
  ] as const)
    test(`${name} teaches a model to prefer what was chosen`, () => {
      using lm = createTinyLm();
      const options = { pairs, referenceLogprobs: logprobsOf(lm), beta: 0.25 };
      const weigh = natsWeights(create(options));
      lm.parameters.enableGrad();
      using optimizer = new Optimizer(lm.parameters, adamW({ learningRate: 0.003 }));
      const losses: number[] = [];
      for (let step = 0; step < 60; step++) {
        const { loss, weights } = weigh(forwardOnly(lm, sequences, null));
        losses.push(loss);
        lm.parameters.zeroGrad();
        forwardBackward(lm, sequences, weights, null);
        optimizer.update([wholeStore(lm.parameters, step)]);
      }
      const gaps = preferenceGaps(logprobsOf(lm), options);
      assert.ok(losses.at(-1)! < 0.2 * losses[0]!, `${losses[0]} to ${losses.at(-1)}`);
      for (const gap of gaps) assert.ok(isBounded ? Math.abs(gap - 2) < 0.3 : gap > 4, `gap ${gap}`); // IPO stops at its goal, 1 / (2 β)
    });
});

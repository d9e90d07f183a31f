import assert from "node:assert/strict";
import { test } from "node:test";
import { bankOf, type LoraAdapter, type LoraModules } from "../nn/index.ts";
import { createReferenceBackend } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { trainAdapters } from "./adapter-bank.ts";
import type { AdapterJob } from "./adapter-job.ts";
import { createPenalty } from "./adapter-penalty.ts";
import type { AdapterRegularizer } from "./adapter-regularizer.ts";
import { prepareDocuments } from "./data.ts";
import { elasticWeights, remember } from "./elastic-weights.ts";
import { adapterFisher } from "./fisher.ts";
import { orthogonalSubspaces, withSubspace } from "./orthogonal-subspaces.ts";
import { forwardBackward } from "./step.ts";
import { createTinyLm } from "./tiny-model.ts";

const backend = createReferenceBackend();
const f32 = (...values: number[]): Float32Array => Float32Array.from(values);

/** One module of rank 2 over two inputs and one output. */
const small = (loraA: Float32Array, loraB: Float32Array): LoraAdapter => ({
  loraRank: 2,
  loraAlpha: 2,
  modules: new Map([["m", { loraA, loraB }]]),
});

/** Random factors of rank 3 for two modules. */
function draw(seed: string): LoraAdapter {
  const rng = createRng(seed);
  const values = (count: number) => Float32Array.from({ length: count }, () => rng.normal());
  const modules = new Map(
    [5, 4].map((inSize, index) => [`m${index}`, { loraA: values(3 * inSize), loraB: values(6) }] as const),
  );
  return { loraRank: 3, loraAlpha: 3, modules };
}

const flat = (modules: LoraModules): number[] =>
  [...modules.values()].flatMap(({ loraA, loraB }) => [...loraA, ...loraB]);

/** The same adapter with factor `index`, in the order of {@link flat}, moved by `step`. */
function nudge(adapter: LoraAdapter, index: number, step: number): LoraAdapter {
  let at = 0;
  const move = (values: Float32Array) => values.map((value) => (at++ === index ? value + step : value));
  const modules = new Map(
    [...adapter.modules].map(([name, { loraA, loraB }]) => [name, { loraA: move(loraA), loraB: move(loraB) }]),
  );
  return { ...adapter, modules };
}

function assertSlope(regularizer: AdapterRegularizer, adapter: LoraAdapter): void {
  const penalty = createPenalty(regularizer, backend);
  const slopes = flat(penalty(adapter).gradient);
  assert.equal(slopes.length, flat(adapter.modules).length);
  slopes.forEach((slope, index) => {
    const [above, below] = [0.0625, -0.0625].map((step) => penalty(nudge(adapter, index, step)));
    const want = (above!.nats - below!.nats) / 0.125; // exact for a quadratic, but for rounding
    assert.ok(Math.abs(slope - want) < 2e-3 * (1 + Math.abs(want)), `weight ${index}: expected ${want}, got ${slope}`);
  });
}

test("elastic weights: the hand-computed penalty and slope of a 2 x 2 example", () => {
  const memory = remember(
    null,
    small(f32(1, 2, 3, 4), f32(0, 0)),
    new Map([["m", { loraA: f32(1, 0, 2, 1), loraB: f32(4, 4) }]]),
  );
  const { nats, gradient } = createPenalty(elasticWeights(0.5, memory), backend)(small(f32(3, 9, 2, 4), f32(1, -2)));
  // 0.25 · (1·2² + 0·7² + 2·1² + 1·0² + 4·1² + 4·2²)
  assert.equal(nats, 6.5);
  assert.deepEqual([...gradient.get("m")!.loraA], [1, 0, -1, 0]);
  assert.deepEqual([...gradient.get("m")!.loraB], [2, -4]);
});

test("elastic weights: information adds up, the old with its decay, around the latest weights", () => {
  const fisher = (value: number): LoraModules => new Map([["m", { loraA: f32(value, 0, 0, 0), loraB: f32(0, value) }]]);
  const first = remember(null, small(f32(1, 1, 1, 1), f32(0, 0)), fisher(4));
  const second = remember(first, small(f32(2, 2, 2, 2), f32(1, 1)), fisher(3), 0.5);
  assert.deepEqual([...second.fisher.get("m")!.loraA], [5, 0, 0, 0]);
  assert.deepEqual([...second.fisher.get("m")!.loraB], [0, 5]);
  assert.deepEqual([...second.anchor.modules.get("m")!.loraA], [2, 2, 2, 2]);
  assert.throws(() => remember(first, second.anchor, fisher(1), 1.5), /expected a decay in \[0, 1\], got 1.5/);
});

test("orthogonal subspaces: the hand-computed penalty and slope of a 2 x 2 example", () => {
  const earlier = small(f32(1, 0, 1, 1), f32(0, 0));
  const grams = withSubspace(new Map(), earlier, backend);
  assert.deepEqual([...grams.get("m")!], [2, 1, 1, 1]);
  // A_old Aᵀ = [[1, 0], [1, 2]] for A = [[1, 0], [0, 2]]: squares sum to 6; slope 2 · 0.5 · A S
  const { nats, gradient } = createPenalty(
    orthogonalSubspaces(0.5, [earlier]),
    backend,
  )(small(f32(1, 0, 0, 2), f32(7, 7)));
  assert.equal(nats, 3);
  assert.deepEqual([...gradient.get("m")!.loraA], [2, 1, 2, 2]);
  assert.deepEqual([...gradient.get("m")!.loraB], [0, 0]);
});

test("slopes are those of finite differences, for several earlier adapters too", () => {
  const positive = (modules: LoraModules): LoraModules =>
    new Map([...modules].map(([name, m]) => [name, { loraA: m.loraA.map(Math.abs), loraB: m.loraB.map(Math.abs) }]));
  assertSlope(elasticWeights(0.7, remember(null, draw("anchor"), positive(draw("fisher").modules))), draw("at"));
  assertSlope(orthogonalSubspaces(0.3, [draw("a"), draw("b")]), draw("at"));
});

test("an adapter that reads from other directions pays nothing", () => {
  const penalty = createPenalty(orthogonalSubspaces(9, [small(f32(1, 0, 3, 0), f32(1, 1))]), backend);
  assert.equal(penalty(small(f32(0, 1, 0, -2), f32(1, 1))).nats, 0);
});

const range = (first: number, length: number, stride = 1): number[] =>
  Array.from({ length }, (_, i) => (first + stride * i) % 32);
const lora = { loraRank: 2, loraAlpha: 4, targets: ["q_proj", "down_proj"] } as const;
const base: Omit<AdapterJob, "id"> = {
  documents: [{ tokenIds: range(1, 6) }, { tokenIds: range(4, 11, 3) }],
  lora,
  learningRate: 0.01,
  epochs: 4,
};
const train = async (jobs: readonly AdapterJob[]): Promise<LoraAdapter[]> => {
  using lm = createTinyLm();
  return (await trainAdapters({ lm, seed: 5, jobs })).map(({ adapter }) => adapter);
};
const [learned] = await train([{ ...base, id: "earlier", documents: [{ tokenIds: range(9, 9, 5) }] }]);
const gapOf = (a: LoraAdapter, b: LoraAdapter): number => {
  const other = flat(b.modules);
  return Math.max(...flat(a.modules).map((value, i) => Math.abs(value - other[i]!)));
};

/** Everything matters the same. */
const evenMemory = remember(
  null,
  learned!,
  new Map(
    [...learned!.modules].map(([name, m]) => [name, { loraA: m.loraA.map(() => 1), loraB: m.loraB.map(() => 1) }]),
  ),
);
const earlier = [learned!];
const onwards = { ...base, id: "onwards", initial: learned! };

test("a strength of 0 trains the same bits as no regulariser", async () => {
  const [plain] = await train([onwards]);
  for (const regularizer of [elasticWeights(0, evenMemory), orthogonalSubspaces(0, earlier)]) {
    const [same] = await train([{ ...onwards, regularizer }]);
    assert.deepEqual(flat(same!.modules), flat(plain!.modules));
  }
});

test("a huge strength holds the weights where they were, within the tremble of AdamW", async () => {
  const [free] = await train([{ ...onwards, epochs: 30 }]);
  const [held] = await train([{ ...onwards, epochs: 30, regularizer: elasticWeights(1e6, evenMemory) }]);
  const moved = gapOf(free!, learned!);
  assert.ok(moved > 0.1, `free weights move: ${moved}`);
  const kept = gapOf(held!, learned!);
  assert.ok(kept > 0 && kept < 3 * base.learningRate, `held weights stay: ${kept}`);
});

test("a strong penalty makes the new adapter orthogonal to the earlier one, in its readings alone", async () => {
  const overlap = (adapter: LoraAdapter) => createPenalty(orthogonalSubspaces(1, earlier), backend)(adapter).nats;
  const fresh = { ...base, id: "fresh", epochs: 60 };
  const [free] = await train([fresh]);
  const [apart] = await train([{ ...fresh, regularizer: orthogonalSubspaces(10, earlier) }]);
  const [shared, kept] = [overlap(free!), overlap(apart!)];
  assert.ok(kept < 0.02 * shared, `overlap ${kept} against ${shared}`);
  const writes = [...apart!.modules.values()].flatMap(({ loraB }) => [...loraB]);
  assert.ok(Math.max(...writes.map(Math.abs)) > 0.01, "it still learns");
});

test("companions of other rank and without a penalty change nothing", async () => {
  const job = { ...onwards, regularizer: elasticWeights(0.5, evenMemory) };
  const wide: AdapterJob = { ...base, id: "wide", lora: { loraRank: 5, loraAlpha: 5, targets: "all" }, epochs: 7 };
  const [alone] = await train([job]);
  const [, beside] = await train([wide, job]);
  const [plainAlone] = await train([wide]);
  const [plainBeside] = await train([wide, job]);
  assert.ok(gapOf(beside!, alone!) < 2e-5);
  assert.ok(gapOf(plainBeside!, plainAlone!) < 2e-5);
  const [free] = await train([onwards]);
  assert.ok(gapOf(free!, alone!) > 1e-3, "the penalty matters");
});

test("the Fisher information is the mean square of each document's own gradient, however many go at once", () => {
  using lm = createTinyLm();
  const documents = [{ tokenIds: range(1, 6) }, { tokenIds: range(4, 11, 3) }, { tokenIds: range(2, 3, 7) }];
  const fisher = adapterFisher(lm, learned!, documents);
  const want = flat(fisher).map(() => 0);
  for (const document of documents) {
    using bank = bankOf(lm.backend, lm.linearLayers, [learned!]);
    bank.parameters.enableGrad();
    bank.parameters.zeroGrad();
    forwardBackward(lm, prepareDocuments([document], lm).sequences, [1], (offsets) => bank.batch(offsets));
    flat(bank.extractGradient(0)).forEach((value, i) => {
      want[i]! += value ** 2 / documents.length;
    });
  }
  assert.ok(want.some((value) => value > 1e-3));
  for (const documentsPerPass of [16, 2, 1])
    flat(adapterFisher(lm, learned!, documents, { documentsPerPass })).forEach((value, i) => {
      assert.ok(
        Math.abs(value - want[i]!) < 1e-4 * (1e-3 + want[i]!),
        `weight ${i}: expected ${want[i]}, got ${value}`,
      );
    });
});

test("the Fisher information of a weight is the square of the slope of the document's log-probability", () => {
  using lm = createTinyLm();
  const document = { tokenIds: range(3, 8, 5) };
  const { sequences } = prepareDocuments([document], lm);
  const nats = (adapter: LoraAdapter): number => {
    using bank = bankOf(lm.backend, lm.linearLayers, [adapter]);
    bank.parameters.enableGrad();
    return forwardBackward(lm, sequences, [1], (offsets) => bank.batch(offsets))[0]!;
  };
  const fisher = flat(adapterFisher(lm, learned!, [document]));
  const strongest = fisher.indexOf(Math.max(...fisher));
  const slope = (nats(nudge(learned!, strongest, 0.01)) - nats(nudge(learned!, strongest, -0.01))) / 0.02;
  assert.ok(
    Math.abs(fisher[strongest]! - slope ** 2) < 0.02 * slope ** 2,
    `${fisher[strongest]} against ${slope ** 2}`,
  );
});

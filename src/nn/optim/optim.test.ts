import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createCpuBackend, createReferenceBackend, nativeInstructionSets } from "../../tensor/index.ts";
import { type ParameterSpec, ParameterStore } from "../parameters.ts";
import { adamW, scaleByAdam } from "./adamw.ts";
import { clipByGlobalNorm, clipScale } from "./clip.ts";
import { addDecayedWeights } from "./decay.ts";
import { ema } from "./ema.ts";
import { lion } from "./lion.ts";
import { Optimizer, wholeStore } from "./optimizer.ts";
import { checkSchedule, multiplierAt, scaleByLearningRate, scheduled } from "./schedule.ts";
import { chain, type GradientTransform, groupNorms } from "./transform.ts";

const backend = createReferenceBackend();

/** A store of ones with gradients enabled. */
function createStore(specs: readonly ParameterSpec[], dtype: "f32" | "f64" = "f64"): ParameterStore {
  const store = new ParameterStore(backend, specs, dtype);
  store.flat.data.fill(1);
  store.enableGrad();
  return store;
}

const close = (got: number, want: number, tolerance: number): void =>
  assert.ok(Math.abs(got - want) <= tolerance, `expected ${want} within ${tolerance}, got ${got}`);

/** An optimizer of the whole store, and a function that gives it a gradient. */
function descend(store: ParameterStore, transform: GradientTransform) {
  const optimizer = new Optimizer(store, transform);
  let step = 0;
  return {
    optimizer,
    update(gradient: readonly number[]) {
      store.flatGrad.write(gradient);
      optimizer.update([wholeStore(store, step++)]);
      return [...store.flat.readSync()];
    },
  };
}

test("AdamW takes two steps computed by hand: gradients 1 and -1, rate 0.1, decay 0.01", () => {
  using store = createStore([{ name: "w", shape: [1, 1] }]);
  const { update } = descend(store, adamW({ learningRate: 0.1, weightDecay: 0.01 }));
  close(update([1])[0]!, 0.899000001, 1e-9);
  close(update([-1])[0]!, 0.9033641588, 1e-9);
});

const mixedSpecs: readonly ParameterSpec[] = [
  { name: "a", shape: [1, 2] },
  { name: "norm", shape: [2] },
  { name: "b", shape: [2, 1] },
  { name: "c", shape: [1, 1] },
];

test("weight decay acts on matrices, not on norms and biases, fused or not", () => {
  for (const transform of [
    adamW({ learningRate: 0.1, weightDecay: 0.5 }),
    chain(addDecayedWeights(0.5), scaleByLearningRate(0.1)),
  ]) {
    using store = createStore(mixedSpecs);
    const { update } = descend(store, transform);
    assert.deepEqual(update([0, 0, 0, 0, 0, 0, 0]), [0.95, 0.95, 1, 1, 0.95, 0.95, 0.95]); // 1 - 0.1 · 0.5
  }
});

test("AdamW in one pass is its three transforms one after another, but for rounding", () => {
  const rate = scheduled(0.1, { kind: "linear" }, 5);
  const values = [true, false].map((isFused) => {
    using store = createStore(mixedSpecs);
    const { update } = descend(
      store,
      chain(
        clipByGlobalNorm(1),
        isFused
          ? adamW({ learningRate: rate, weightDecay: 0.3, beta2: 0.9 })
          : chain(scaleByAdam({ beta2: 0.9 }), addDecayedWeights(0.3), scaleByLearningRate(rate)),
      ),
    );
    for (let step = 0; step < 4; step++) update([1, -2, 3 * step, 0.1, 0, -step, 0.5]);
    return update([1, 1, 1, 1, 1, 1, 1]);
  });
  values[0]!.forEach((value, i) => {
    close(values[1]![i]!, value, 1e-12);
  });
  assert.ok(Math.abs(values[0]![0]! - 1) > 0.1, "the parameters did move");
});

test("on native kernels, too, AdamW in one pass is its three transforms", () => {
  const rate = 0.1;
  const separate = chain(scaleByAdam(), addDecayedWeights(0.3), scaleByLearningRate(rate));
  for (const instructionSet of nativeInstructionSets()) {
    const values = [adamW({ learningRate: rate, weightDecay: 0.3 }), separate].map((transform) => {
      const native = createCpuBackend({ threads: 2, instructionSet });
      using store = new ParameterStore(native, [{ name: "w", shape: [3, 7] }], "f32");
      store.flat.write(Float32Array.from({ length: 21 }, (_, i) => Math.sin(i)));
      store.enableGrad();
      const { update } = descend(store, transform);
      for (let step = 0; step < 3; step++) update(Array.from({ length: 21 }, (_, i) => Math.cos(i * (step + 1))));
      return update(new Array(21).fill(1));
    });
    values[0]!.forEach((value, i) => {
      close(values[1]![i]!, value, 1e-6); // f32
    });
  }
});

test("groups have their own rates, limits and counts, and the others are left alone", () => {
  using store = createStore([{ name: "w", shape: [1, 4] }]);
  const group = (index: number, step: number) => ({ group: index, runs: [{ offset: index, length: 1 }], step });
  const transform = adamW({ learningRate: ({ group: index, step }) => (index === 0 ? 0.1 / (step + 1) : 0.2) });
  using optimizer = new Optimizer(store, transform);
  store.flatGrad.write([1, 1, 1, 1]);
  optimizer.update([group(0, 0), group(2, 0)]);
  // the first bias-corrected update is the learning rate times the sign of the gradient
  const values = store.flat.readSync();
  [0.9, 1, 0.8, 1].forEach((want, i) => {
    close(values[i]!, want, 1e-8);
  });
  optimizer.update([group(0, 1)]);
  close(store.flat.readSync()[0]!, 0.85, 1e-8); // a constant gradient moves by the rate again
  optimizer.reset([{ offset: 2, length: 1 }]);
  store.flatGrad.write([0, 0, -1, 0]);
  optimizer.update([group(2, 0)]);
  close(store.flat.readSync()[2]!, 1, 1e-8); // without its moments the sign of the new gradient counts alone
});

test("a clipped group has the norm of its limit, wherever in the chain it is clipped", () => {
  using store = createStore([{ name: "w", shape: [1, 4] }]);
  const groups = [
    { group: 0, runs: [{ offset: 0, length: 2 }], step: 0 },
    { group: 1, runs: [{ offset: 2, length: 2 }], step: 0 },
  ];
  const limited = clipByGlobalNorm(({ group }) => (group === 0 ? 1 : 0));
  store.flat.write([0, 0, 0, 0]);
  using first = new Optimizer(store, chain(limited, scaleByLearningRate(2)));
  store.flatGrad.write([3, 4, 6, 8]);
  first.update(groups);
  store.flat.readSync().forEach((value, i) => {
    close(value, [-1.2, -1.6, -12, -16][i]!, 1e-5);
  });
  using last = new Optimizer(store, chain(scaleByLearningRate(2), limited));
  store.flat.write([0, 0, 0, 0]);
  store.flatGrad.write([3, 4, 6, 8]);
  last.update(groups);
  store.flat.readSync().forEach((value, i) => {
    close(value, [-0.6, -0.8, -12, -16][i]!, 1e-5);
  });
});

test("Lion follows a hand-computed two-step example", () => {
  using store = createStore([{ name: "w", shape: [1, 2] }]);
  const { update } = descend(store, lion({ learningRate: 0.1, weightDecay: 0.5, beta1: 0.9, beta2: 0.5 }));
  // signs 1, -1; 1 - 0.1 · (±1 + 0.5 · 1); moments 1, -2
  update([2, -4]).forEach((value, i) => {
    close(value, [0.85, 1.05][i]!, 1e-12);
  });
  // 0.9 · 1 + 0.1 · (-5) = 0.4 and 0.9 · (-2) + 0.1 · 30 = 1.2: signs 1, 1
  update([-5, 30]).forEach((value, i) => {
    close(value, [0.85 - 0.1 * (1 + 0.425), 1.05 - 0.1 * (1 + 0.525)][i]!, 1e-12);
  });
});

test("AdamW, Lion and SGD chains follow Optax (test/oracles/record-optimizers.py)", () => {
  const recorded: {
    gradients: number[][];
    chains: Record<string, number[]>;
  } = JSON.parse(readFileSync(new URL("../../../test/oracles/fixtures/optimizers.json", import.meta.url), "utf8"));
  const rate = scheduled(0.05, { kind: "cosine", warmupSteps: 2 }, recorded.gradients.length);
  const chains: Record<string, GradientTransform> = {
    adamw: chain(clipByGlobalNorm(1), adamW({ learningRate: rate, beta2: 0.95, weightDecay: 0.1 })),
    lion: chain(clipByGlobalNorm(1), lion({ learningRate: rate, weightDecay: 0.1 })),
    sgd: chain(scaleByLearningRate(rate), clipByGlobalNorm(0.02)),
  };
  assert.deepEqual(Object.keys(recorded.chains), Object.keys(chains));
  for (const [name, transform] of Object.entries(chains)) {
    using store = createStore([{ name: "w", shape: [2, 3] }]);
    store.flat.write([1, -2, 0.5, 3, 0.25, -1]);
    const { update } = descend(store, transform);
    const last = recorded.gradients.map(update).at(-1)!;
    last.forEach((value, i) => {
      close(value, recorded.chains[name]![i]!, 2e-6); // Optax clips by the norm alone, we by the norm plus 1e-6
    });
  }
});

test("a state is restored to the bit, tensors and numbers, two of one name included", () => {
  const counting: GradientTransform = {
    name: "counting",
    init: () => ({ tensors: {}, numbers: { seen: 1 } }),
    update(updates, { numbers }) {
      updates.multiply(0, 1 / numbers!["seen"]!++);
    },
  };
  const transform = chain(scaleByAdam(), counting, scaleByAdam(), chain(counting), scaleByLearningRate(0.1));
  using whole = createStore([{ name: "w", shape: [2] }]);
  using half = createStore([{ name: "w", shape: [2] }]);
  const first = descend(whole, transform);
  first.update([1, 2]);
  const { tensors, numbers } = first.optimizer;
  assert.equal(Object.keys(tensors).length, 4);
  assert.deepEqual(Object.values(numbers), [2, 2]);
  using second = new Optimizer(half, transform);
  half.flat.write(whole.flat.readSync());
  for (const [name, tensor] of Object.entries(second.tensors)) tensor.write(tensors[name]!.readSync());
  second.restore(numbers);
  const wanted = first.update([-3, 1]);
  half.flatGrad.write([-3, 1]);
  second.update([wholeStore(half, 1)]);
  assert.deepEqual([...half.flat.readSync()], wanted);
});

test("what cannot work is refused", () => {
  assert.throws(() => adamW({ learningRate: 1, beta1: 1 }), /betas in \[0, 1\)/);
  assert.throws(() => lion({ learningRate: 1, beta2: 1 }), /betas in \[0, 1\)/);
  assert.throws(() => ema(1), /decay in \[0, 1\)/);
  assert.throws(() => chain(adamW({ learningRate: 1 }), clipByGlobalNorm(1)), /after adamW, .* got clipByGlobalNorm/);
});

test("cosine with warm-up rises in a line, then follows (1 + cos(π · progress)) / 2", () => {
  const schedule = { kind: "cosine", warmupSteps: 2 } as const;
  const want = [0, 1, 0.8535534, 0.5, 0.1464466, 0];
  [0, 2, 4, 6, 8, 10].forEach((step, i) => {
    close(multiplierAt(schedule, step, 10), want[i]!, 5e-8);
  });
});

test("linear decay falls from 1 to 1/steps, and to its floor where one is set", () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((step) => multiplierAt({ kind: "linear" }, step, 4)),
    [1, 0.75, 0.5, 0.25],
  );
  assert.deepEqual(
    [1, 2, 3].map((step) => multiplierAt({ kind: "linear", warmupSteps: 2, minMultiplier: 0.5 }, step, 4)),
    [0.5, 1, 0.75],
  );
  assert.equal(multiplierAt({ kind: "constant" }, 99, 4), 1);
});

test("a schedule of unknown kind is refused by name", () => {
  assert.throws(() => checkSchedule({ kind: "step" as "linear" }), /constant, linear, cosine/);
});

test("clipping brings the norm down to the limit and never raises it", () => {
  using store = createStore([
    { name: "a", shape: [1] },
    { name: "b", shape: [1] },
  ]);
  store.flatGrad.write([3, 4]);
  assert.deepEqual(groupNorms(store, [wholeStore(store, 0)]), [5]);
  close(clipScale(5, 1), 0.2, 1e-6);
  assert.equal(clipScale(0.5, 1), 1);
  assert.equal(clipScale(5, 0), 1);
});

test("the moving average follows decay · average + (1 - decay) · parameters, and takes their place in the end", () => {
  using store = createStore([{ name: "w", shape: [2] }]);
  const { optimizer, update } = descend(store, chain(scaleByLearningRate(1), ema(0.75)));
  assert.deepEqual(update([-4, 0]), [5, 1]);
  assert.deepEqual([...optimizer.tensors["ema"]!.readSync()], [2, 1]); // 0.75 · 1 + 0.25 · 5
  optimizer.finish();
  assert.deepEqual([...store.flat.readSync()], [2, 1]);
});

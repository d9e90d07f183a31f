import assert from "node:assert/strict";
import { test } from "node:test";
import { createReferenceBackend } from "../../tensor/index.ts";
import { type ParameterSpec, ParameterStore } from "../parameters.ts";
import { AdamW } from "./adamw.ts";
import { clipScale, globalNorm } from "./clip.ts";
import { Ema } from "./ema.ts";
import { checkSchedule, multiplierAt } from "./schedule.ts";

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

test("AdamW takes two steps computed by hand: gradients 1 and -1, rate 0.1, decay 0.01", () => {
  using store = createStore([{ name: "w", shape: [1, 1] }]);
  using adamW = new AdamW(store, { weightDecay: 0.01 });
  store.flatGrad.write([1]);
  adamW.step(0.1);
  close(store.flat.readSync()[0]!, 0.899000001, 1e-9);
  store.flatGrad.write([-1]);
  adamW.step(0.1);
  close(store.flat.readSync()[0]!, 0.9033641588, 1e-9);
});

test("AdamW decays matrices but neither norms nor biases", () => {
  using store = createStore([
    { name: "a", shape: [1, 2] },
    { name: "norm", shape: [2] },
    { name: "b", shape: [2, 1] },
    { name: "c", shape: [1, 1] },
  ]);
  using adamW = new AdamW(store, { weightDecay: 0.5 });
  adamW.step(0.1); // no gradient: only the decay 1 - 0.1 · 0.5 acts
  assert.deepEqual([...store.flat.readSync()], [0.95, 0.95, 1, 1, 0.95, 0.95, 0.95]);
});

test("AdamW updates only the runs it is given, each with its own rate and step count", () => {
  using store = createStore([{ name: "w", shape: [1, 4] }]);
  using adamW = new AdamW(store);
  store.flatGrad.write([1, 1, 1, 1]);
  const shared = { length: 1, weightDecay: 0, gradScale: 1 };
  adamW.update([
    { ...shared, offset: 0, learningRate: 0.1, step: 1 },
    { ...shared, offset: 2, learningRate: 0.2, step: 1 },
  ]);
  const values = store.flat.readSync();
  // the first bias-corrected update is the learning rate times the sign of the gradient
  [0.9, 1, 0.8, 1].forEach((want, i) => {
    close(values[i]!, want, 1e-8);
  });
  adamW.update([{ ...shared, offset: 0, learningRate: 0.1, step: 2 }]);
  close(store.flat.readSync()[0]!, 0.8, 1e-8); // a constant gradient moves by the rate again
});

test("AdamW refuses betas outside [0, 1)", () => {
  using store = createStore([{ name: "w", shape: [1] }]);
  assert.throws(() => new AdamW(store, { beta1: 1 }), /betas in \[0, 1\)/);
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

test("clipping brings the global norm down to the limit and never raises it", () => {
  using store = createStore([
    { name: "a", shape: [1] },
    { name: "b", shape: [1] },
  ]);
  store.flatGrad.write([3, 4]);
  assert.equal(globalNorm(store.flatGrad), 5);
  close(clipScale(5, 1), 0.2, 1e-6);
  assert.equal(clipScale(0.5, 1), 1);
  assert.equal(clipScale(5, 0), 1);
});

test("the moving average follows decay · average + (1 - decay) · parameters", () => {
  using store = createStore([{ name: "w", shape: [2] }]);
  using ema = new Ema(store, 0.75);
  store.flat.write([5, 1]);
  ema.update();
  assert.deepEqual([...ema.average.readSync()], [2, 1]); // 0.75 · 1 + 0.25 · 5
  ema.copyToStore();
  assert.deepEqual([...store.flat.readSync()], [2, 1]);
});

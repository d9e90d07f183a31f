import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import {
  createCpuBackend,
  createReferenceBackend,
  linear,
  nativeInstructionSets,
  Scope,
  sum,
} from "../tensor/index.ts";
import { ParameterStore } from "./parameters.ts";

const specs = [
  { name: "a", shape: [2, 3] },
  { name: "b", shape: [4] },
];

describe("a parameter store", () => {
  test("lays its parameters side by side in one flat tensor", () => {
    using store = new ParameterStore(createReferenceBackend(), specs, "f32");
    store.flat.write([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual([...store.get("b").readSync()], [6, 7, 8, 9]);
    assert.equal(store.offsetOf("b"), 6);
    store.get("a").view(3, [3]).write([30, 40, 50]);
    assert.deepEqual([...store.flat.readSync()], [0, 1, 2, 30, 40, 50, 6, 7, 8, 9]);
  });

  test("gathers gradients in one flat tensor, which zeroGrad clears", () => {
    const backend = createReferenceBackend();
    using store = new ParameterStore(backend, specs, "f32");
    store.flat.write(new Float32Array(10));
    store.enableGrad();
    const { flatGrad } = store;
    store.enableGrad(); // keeps the gradients it has
    assert.equal(store.flatGrad, flatGrad);
    {
      using scope = new Scope(backend, { grad: true });
      scope.backward(sum(scope, store.get("b")), 3);
    }
    assert.deepEqual([...flatGrad.readSync()], [0, 0, 0, 0, 0, 0, 3, 3, 3, 3]);
    store.zeroGrad();
    assert.deepEqual([...store.flatGrad.readSync()], new Array(10).fill(0));
  });

  test("after zeroGrad the first gradient counts alone and the next is added", () => {
    const backend = createReferenceBackend();
    using store = new ParameterStore(backend, specs, "f32");
    store.flat.write(new Float32Array(10));
    store.enableGrad();
    store.flatGrad.write(new Float32Array(10).fill(100));
    store.zeroGrad();
    for (const weight of [3, 4]) {
      using scope = new Scope(backend, { grad: true });
      scope.backward(sum(scope, store.get("b")), weight);
    }
    assert.deepEqual([...store.flatGrad.readSync()], [0, 0, 0, 0, 0, 0, 7, 7, 7, 7]);
  });

  test("keeps chosen matrices quantised, beside the flat store, and then refuses gradients", () => {
    const backend = createReferenceBackend();
    const store = new ParameterStore(backend, specs, "f32", ({ shape }) => (shape.length === 2 ? "int8" : null));
    store.get("a").write([127, 1, 2, 127, 3, -4]);
    store.get("b").write([1, 2, 3, 4]);
    assert.deepEqual([...store.get("a").readSync()], [127, 1, 2, 127, 3, -4]);
    assert.deepEqual([...store.flat.readSync()], [1, 2, 3, 4]);
    assert.deepEqual([store.has("a"), store.offsetOf("b"), store.isQuantised], [true, 0, true]);
    assert.equal(store.numBytes, 4 * 4 + 2 * (64 + 2)); // each row is one padded group with its scale
    store.freeze();
    assert.throws(() => store.enableGrad(), { code: "bad-option", message: /quantised/ });
    store[Symbol.dispose]();
    assert.equal(backend.memory().liveBytes, 0);
  });

  test("keeps gradients of bf16 parameters in f32", () => {
    using store = new ParameterStore(createReferenceBackend(), specs, "bf16");
    store.enableGrad();
    assert.equal(store.flatGrad.dtype, "f32");
    assert.equal(store.get("a").grad?.dtype, "f32");
  });

  test("freezes again, and returns all its memory", () => {
    const backend = createReferenceBackend();
    const store = new ParameterStore(backend, specs, "f32");
    store.enableGrad();
    assert.equal(backend.memory().liveTensors, 2);
    store.disableGrad();
    assert.equal(store.get("a").requiresGrad, false);
    assert.equal(store.get("a").grad, null);
    assert.equal(backend.memory().liveTensors, 1);
    assert.throws(() => store.flatGrad, { code: "no-gradient" });
    store[Symbol.dispose]();
    assert.equal(backend.memory().liveTensors, 0);
  });

  test("refuses names it does not know and names given twice", () => {
    const backend = createReferenceBackend();
    using store = new ParameterStore(backend, specs, "f32");
    assert.throws(() => store.get("c"), { code: "unknown-name" });
    assert.throws(() => store.offsetOf("c"), { code: "unknown-name" });
    assert.equal(store.has("a"), true);
    assert.throws(() => new ParameterStore(backend, [...specs, specs[0]!], "f32"), { code: "duplicate-name" });
  });
});

describe("frozen parameters", () => {
  test("may be packed by products until gradients or disposal thaw them", {
    skip: nativeInstructionSets().length === 0,
  }, () => {
    const backend = createCpuBackend({ threads: 1 });
    const live = backend.memory().liveBytes;
    {
      using store = new ParameterStore(backend, [{ name: "weight", shape: [2, 2] }], "f32");
      const product = (): number[] => {
        using scope = new Scope(backend);
        const x = scope.empty([1, 2], "f32");
        x.write([1, 10]);
        return [...linear(scope, x, store.get("weight"), { compute: "f32" }).readSync()];
      };
      store.flat.write([1, 2, 3, 4]);
      const plain = backend.memory().liveBytes;
      store.freeze();
      store.freeze();
      assert.deepEqual(product(), [21, 43]);
      assert.ok(backend.memory().liveBytes > plain, "a packed copy is kept");
      store.enableGrad();
      store.freeze(); // without effect: an optimizer may write
      store.flat.write([5, 6, 7, 8]);
      assert.deepEqual(product(), [65, 87]);
      store.disableGrad();
      assert.equal(backend.memory().liveBytes, plain);
      store.freeze();
      assert.deepEqual(product(), [65, 87]);
    }
    assert.equal(backend.memory().liveBytes, live);
  });
});

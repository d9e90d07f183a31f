import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import type { Backend } from "./backend.ts";
import { createReferenceBackend } from "./backends/reference/index.ts";
import {
  add,
  attention,
  crossEntropy,
  gatherRows,
  gelu,
  linear,
  packedLayout,
  rmsNorm,
  scale,
  sum,
  swiglu,
  tokenLogprobs,
} from "./ops/index.ts";
import { Scope } from "./scope.ts";
import { type Tensor, tensorOf, zeros } from "./tensor.ts";

const compute = "f32";

function leaf(backend: Backend, values: readonly number[], shape: readonly number[] = [values.length]): Tensor {
  const tensor = tensorOf(backend, values, shape);
  tensor.requiresGrad = true;
  return tensor;
}

const live = (backend: Backend): number => backend.memory().liveTensors;

describe("a scope owns what ops allocate in it", () => {
  test("disposing of it releases everything", () => {
    const backend = createReferenceBackend();
    const scope = new Scope(backend);
    const x = scope.from([1, 2], [2]);
    const y = add(scope, x, scope.zeros([2], "f32"));
    assert.deepEqual([...y.readSync()], [1, 2]);
    assert.equal(live(backend), 3);
    scope[Symbol.dispose]();
    assert.equal(live(backend), 0);
    assert.equal(backend.memory().liveBytes, 0);
    assert.ok(x.isDisposed && y.isDisposed);
  });

  test("keep hands a tensor to the caller", () => {
    const backend = createReferenceBackend();
    let kept: Tensor;
    {
      using scope = new Scope(backend);
      kept = scope.keep(scope.from([7], [1]));
    }
    assert.equal(kept.readSync()[0], 7);
    kept[Symbol.dispose]();
    assert.equal(live(backend), 0);
  });

  test("free disposes of an owned tensor at once, and of no other", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend);
    using foreign = tensorOf(backend, [1], [1]);
    const own = scope.from([1], [1]);
    scope.free(own);
    scope.free(foreign);
    assert.ok(own.isDisposed);
    assert.ok(!foreign.isDisposed);
  });

  test("free waits for disposal while recording, where the tape may need the tensor", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const own = scope.from([1], [1]);
    scope.free(own);
    assert.ok(!own.isDisposed);
  });

  test("what only a backward pass would read is not kept when nothing is recorded", () => {
    const backend = createReferenceBackend();
    for (const grad of [false, true]) {
      using scope = new Scope(backend, { grad });
      const x = scope.from([1, 2, 3, 4], [2, 2]);
      const lora = {
        loraA: scope.from([1, 2], [1, 1, 2]),
        loraB: scope.from([1, 2], [1, 2, 1]),
        scales: Float32Array.of(1),
        segments: Int32Array.of(0, 2),
      };
      const before = live(backend);
      const y = linear(scope, rmsNorm(scope, x, scope.from([1, 1], [2]), 1e-5), x, { lora, compute });
      assert.equal(live(backend), before + 3); // the weight, the normed input, the result
      assert.equal(y.requiresGrad, false);
    }
  });
});

describe("backward", () => {
  test("gives the gradient of a small product by hand", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const x = leaf(backend, [1, 2, 3, 4], [2, 2]);
    const weight = leaf(backend, [5, 6], [1, 2]);
    scope.backward(sum(scope, linear(scope, x, weight, { compute })), 2);
    assert.deepEqual([...scope.gradOf(weight)!.readSync()], [8, 12]); // 2 · (1 + 3, 2 + 4)
    assert.deepEqual([...scope.gradOf(x)!.readSync()], [10, 12, 10, 12]);
  });

  test("frees each activation as it goes, and leaves the loss to read", () => {
    const backend = createReferenceBackend();
    const x = leaf(backend, new Array(1000).fill(0.5));
    x.grad = zeros(backend, x.shape);
    using scope = new Scope(backend, { grad: true });
    const before = live(backend);
    const activations = [gelu(scope, x)];
    for (let i = 0; i < 9; i++) activations.push(gelu(scope, activations.at(-1)!));
    const loss = sum(scope, activations.at(-1)!);
    const forwardBytes = backend.memory().liveBytes;
    backend.resetPeak();
    scope.backward(loss);
    assert.ok(activations.every((tensor) => tensor.isDisposed));
    assert.equal(live(backend), before + 1);
    assert.ok(Number.isFinite(loss.readSync()[0]));
    // ten activations are freed while ten gradients are made, of which two or three live at a time
    assert.ok(
      backend.memory().peakBytes - forwardBytes < 4 * 4608,
      `${backend.memory().peakBytes - forwardBytes} bytes`,
    );
  });

  test("is refused a second time", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const loss = sum(scope, leaf(backend, [1, 2]));
    scope.backward(loss);
    assert.throws(() => scope.backward(loss), { code: "no-gradient", message: /already walked/ });
  });

  test("is refused for losses of other scopes, of no leaf and of several elements", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    using other = new Scope(backend, { grad: true });
    const x = leaf(backend, [1, 2]);
    assert.throws(() => scope.backward(sum(other, x)), /recorded elsewhere/);
    assert.throws(() => scope.backward(sum(scope, scope.from([1, 2], [2]))), /leaf that requires a gradient/);
    assert.throws(() => scope.backward(scale(scope, x, 2)), /scalar loss/);
    using silent = new Scope(backend);
    assert.throws(() => silent.backward(sum(silent, x)), /make the scope with \{ grad: true \}/);
  });

  test("can follow a second forward pass in the same scope", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const x = leaf(backend, [1, 2]);
    x.grad = zeros(backend, [2]);
    scope.backward(sum(scope, x));
    scope.backward(sum(scope, scale(scope, x, 3)));
    assert.deepEqual([...x.grad.readSync()], [4, 4]);
  });

  test("over micro-batches adds up to the gradient of the whole batch", () => {
    const backend = createReferenceBackend();
    const rows = [0.3, -1, 2, 0.7, 0.1, -0.4];
    const weight = leaf(backend, [0.5, -0.2, 0.1, 0.9], [2, 2]);
    const gradient = (parts: readonly (readonly number[])[]): readonly number[] => {
      weight.grad = zeros(backend, weight.shape);
      for (const part of parts) {
        using scope = new Scope(backend, { grad: true });
        const y = gelu(scope, linear(scope, scope.from(part, [part.length / 2, 2]), weight, { compute }));
        scope.backward(sum(scope, y), 1 / 3);
      }
      return [...weight.grad.readSync()];
    };
    const whole = gradient([rows]);
    gradient([rows.slice(0, 4), rows.slice(4)]).forEach((value, i) => {
      assert.ok(Math.abs(value - whole[i]!) < 1e-6);
    });
  });

  test("passes nothing to branches that the loss does not use", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const [used, unused] = [leaf(backend, [1]), leaf(backend, [1])];
    gelu(scope, unused);
    scope.backward(sum(scope, used));
    assert.deepEqual([...scope.gradOf(used)!.readSync()], [1]);
    assert.equal(scope.gradOf(unused), null);
  });

  test("gives an input that an op reads twice both contributions", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const x = leaf(backend, [0.5]);
    scope.backward(sum(scope, swiglu(scope, x, x))); // x² σ(x)
    const sigmoid = 1 / (1 + Math.exp(-0.5));
    const slope = 2 * 0.5 * sigmoid + 0.25 * sigmoid * (1 - sigmoid);
    assert.ok(Math.abs(scope.gradOf(x)!.readSync()[0]! - slope) < 1e-6);
  });

  test("hands a rule that asks twice for one input two buffers, since outputs of a kernel must not alias", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const x = leaf(backend, [1]);
    x.grad = tensorOf(backend, [100], [1]);
    const y = scope.from([2], [1]);
    scope.record([x], [y], (gradients) => {
      const [first, second] = [gradients.into(x)!, gradients.into(x)!];
      assert.equal(first.grad, x.grad);
      assert.notEqual(second.grad.data.buffer, first.grad.data.buffer);
      assert.deepEqual([first.accumulate, second.accumulate], [true, false]);
      first.grad.write([107]);
      second.grad.write([20]);
    });
    scope.backward(y);
    assert.equal(x.grad.readSync()[0], 127);
  });

  test("passes the memory of a gradient on to an input without one, and adds to what an input has", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const x = leaf(backend, [1]);
    x.grad = tensorOf(backend, [100], [1]);
    const [stream, next] = [scope.from([2], [1]), scope.from([3], [1])];
    let taken: Tensor | null = null;
    scope.record([x], [stream], (gradients) => {
      taken = gradients.of(stream);
      gradients.pass(stream, x); // a leaf keeps its own memory
    });
    let given: Tensor | null = null;
    scope.record([stream], [next], (gradients) => {
      given = gradients.of(next);
      gradients.pass(next, stream);
    });
    scope.backward(next, 7);
    assert.equal(taken, given);
    assert.equal(x.grad.readSync()[0], 107);
  });

  test("overwrites a stale gradient once, then adds", () => {
    const backend = createReferenceBackend();
    const x = leaf(backend, [1]);
    x.grad = tensorOf(backend, [NaN], [1]);
    x.isGradStale = true;
    using scope = new Scope(backend, { grad: true });
    scope.backward(sum(scope, add(scope, scale(scope, x, 2), scale(scope, x, 3))));
    assert.equal(x.grad.readSync()[0], 5);
    assert.equal(x.isGradStale, false);
  });

  test("leaves only the loss and the caller's own tensors behind, whatever the rules needed on the way", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const x = leaf(backend, [1, 2, 3, 4], [2, 2]);
    const [loraA, loraB] = [leaf(backend, [1, 2], [1, 1, 2]), leaf(backend, [1, 2], [1, 2, 1])];
    for (const tensor of [x, loraA, loraB]) tensor.grad = zeros(backend, tensor.shape);
    const bias = leaf(backend, [1, 1]);
    bias.grad = zeros(backend, [2]);
    const before = live(backend);
    const lora = { loraA, loraB, scales: Float32Array.of(1), segments: Int32Array.of(0, 2) };
    const y = linear(scope, x, x, { lora, bias, compute });
    const layout = packedLayout(Int32Array.of(0, 2));
    const mixed = attention(scope, swiglu(scope, y, y), scale(scope, y, 2), y, { layout, numHeads: 1, numKvHeads: 1 });
    const picked = tokenLogprobs(scope, gatherRows(scope, mixed, Int32Array.of(1, 1)), x, Int32Array.of(0, 1), {
      compute,
    });
    scope.backward(sum(scope, picked));
    assert.equal(live(backend), before + 1);
  });

  test("sums repeated rows of a bf16 activation in f32 and rounds once", () => {
    const backend = createReferenceBackend();
    using scope = new Scope(backend, { grad: true });
    const x = scope.from([1], [1, 1], "bf16");
    x.requiresGrad = true;
    const rows = new Int32Array(300); // a bf16 running sum of ones would stop at 256
    scope.backward(sum(scope, gatherRows(scope, x, rows, "f32")));
    assert.equal(scope.gradOf(x)!.readSync()[0], 300);
  });
});

describe("a training loop", () => {
  test("reuses its memory: the second step allocates no new bytes and nothing leaks", () => {
    const backend = createReferenceBackend();
    const weight = leaf(
      backend,
      Array.from({ length: 12 }, (_, i) => Math.sin(i)),
      [4, 3],
    );
    weight.grad = zeros(backend, weight.shape);
    const before = live(backend);
    const total = (): number => backend.memory().liveBytes + backend.memory().pooledBytes;
    const held: number[] = [];
    for (let step = 0; step < 3; step++) {
      using scope = new Scope(backend, { grad: true });
      const hidden = gelu(scope, gatherRows(scope, weight, Int32Array.of(0, 3, 3)));
      const targets = Int32Array.of(1, 2, -1);
      const { loss } = crossEntropy(scope, hidden, weight, targets, Float32Array.of(0.5, 0.5, 0), { compute });
      scope.backward(loss);
      scope[Symbol.dispose]();
      held.push(total());
    }
    assert.equal(live(backend), before);
    assert.deepEqual(held, [held[0], held[0], held[0]]);
  });
});

describe("ops refuse indices that would read foreign memory", () => {
  const backend = createReferenceBackend();
  const x = tensorOf(backend, [1, 2, 3, 4], [2, 2]);

  test("rows and targets beyond the table", () => {
    using scope = new Scope(backend);
    assert.throws(
      () => gatherRows(scope, x, Int32Array.of(0, 2)),
      /gatherRows: rows: expected indices from 0 to 1, got 2 at position 1/,
    );
    assert.throws(() => gatherRows(scope, x, Int32Array.of(-1)), /got -1 at position 0/);
    const options = { compute } as const;
    assert.throws(
      () => crossEntropy(scope, x, x, Int32Array.of(0, 5), Float32Array.of(1, 1), options),
      /targets: expected .* got 5/,
    );
  });

  test("segments that do not cover the rows", () => {
    using scope = new Scope(backend);
    const lora = { loraA: x.reshape([1, 2, 2]), loraB: x.reshape([1, 2, 2]), scales: Float32Array.of(1) };
    const call = (segments: Int32Array) => () => linear(scope, x, x, { lora: { ...lora, segments }, compute });
    call(Int32Array.of(0, 2))();
    assert.throws(
      call(Int32Array.of(0, 1)),
      /linear: segments: expected 2 ascending offsets from 0 to 2, got \[0, 1\]/,
    );
    assert.throws(call(Int32Array.of(0, 2, 2)), /2 ascending offsets/);
  });
});

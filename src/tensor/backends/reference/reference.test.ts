import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { describeKernelContract } from "../../kernel-contract.ts";
import { linear, sum } from "../../ops/index.ts";
import { Scope } from "../../scope.ts";
import { type Tensor, tensorOf, zeros } from "../../tensor.ts";
import { erfc } from "./activation.ts";
import { createReferenceBackend } from "./index.ts";

describeKernelContract("the reference backend", createReferenceBackend);

const backend = createReferenceBackend();
const { kernels } = backend;
const f64 = (values: readonly number[], shape: readonly number[]): Tensor => tensorOf(backend, values, shape, "f64");
const close = (got: number, want: number, tolerance: number): void =>
  assert.ok(Math.abs(got - want) <= tolerance, `expected ${want}, got ${got}`);

describe("the reference backend gives values worked out by hand", () => {
  test("gemm multiplies, transposes, scales, adds a bias and adds on", () => {
    const a = f64([1, 2, 3, 4, 5, 6], [2, 3]);
    const b = f64([1, 0, -1, 2, 1, 0], [2, 3]);
    const c = f64([100, 200, 300, 400], [2, 2]);
    const bias = f64([10, 20], [2]);
    kernels.gemm({ a, b, c, transposeB: true, alpha: 2, bias, accumulate: true, compute: "f32" });
    assert.deepEqual([...c.data], [106, 228, 306, 446]); // 100 + 2(1 - 3) + 10, 200 + 2(2 + 2) + 20, …
    const square = f64([0, 0, 0, 0, 0, 0, 0, 0, 0], [3, 3]);
    kernels.gemm({ a, b, c: square, transposeA: true, compute: "f32" });
    assert.deepEqual([...square.data], [9, 4, -1, 12, 5, -2, 15, 6, -3]);
  });

  test("gemm in bf16 rounds both factors first", () => {
    const c = f64([0], [1, 1]);
    const a = f64([1 + 2 ** -8 + 2 ** -20], [1, 1]); // just above the tie between 1 and 1 + 2^-7
    kernels.gemm({ a, b: f64([1 + 2 ** -9], [1, 1]), c, compute: "bf16" });
    assert.equal(c.data[0], 1 + 2 ** -7);
  });

  test("AdamW follows its formula for two steps", () => {
    const [params, grads] = [f64([1], [1]), f64([1], [1])];
    const [moment1, moment2] = [f64([0], [1]), f64([0], [1])];
    const settings = { params, grads, moment1, moment2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    const run = { offset: 0, length: 1, learningRate: 0.1, weightDecay: 0.01, gradScale: 1 };
    kernels.adamW({ ...settings, segments: [{ ...run, step: 1 }] });
    close(params.data[0]!, 0.899000001, 1e-12); // 0.999 - 0.1 / (1 + 1e-8)
    grads.write([-1]);
    kernels.adamW({ ...settings, segments: [{ ...run, step: 2 }] });
    close(params.data[0]!, 0.9033641588, 1e-10);
  });

  test("LoRA adds scale · B A, and its gradients are those of the product", () => {
    using scope = new Scope(backend, { grad: true });
    const loraA = f64([1, 2], [1, 1, 2]);
    const loraB = f64([0.5, -1], [1, 2, 1]);
    for (const tensor of [loraA, loraB]) tensor.requiresGrad = true;
    const lora = { loraA, loraB, scales: Float32Array.of(2), segments: Int32Array.of(0, 1) };
    const y = linear(scope, f64([1, 1], [1, 2]), f64([1, 0, 0, 1], [2, 2]), { lora, compute: "f32" });
    assert.deepEqual([...y.data], [4, -5]); // (1, 1) + [[1, 2], [-2, -4]] (1, 1)
    scope.backward(sum(scope, y));
    assert.deepEqual([...scope.gradOf(loraA)!.data], [-1, -1]);
    assert.deepEqual([...scope.gradOf(loraB)!.data], [6, 6]);
  });

  test("rope turns feature i together with feature i + E/2", () => {
    const [cos, sin] = [f64([1, 1, 0, 0.6], [2, 2]), f64([0, 0, 1, 0.8], [2, 2])]; // position 1: a quarter turn, and (3, 4, 5)
    const x = f64([1, 2, 3, 4], [1, 4]);
    const y = f64([0, 0, 0, 0], [1, 4]);
    kernels.rope({ x, positions: Int32Array.of(1), cos, sin, numHeads: 1, inverse: false, y });
    assert.deepEqual([...y.data], [-3, 2 * 0.6 - 4 * 0.8, 1, 4 * 0.6 + 2 * 0.8]);
    kernels.rope({ x: y, positions: Int32Array.of(1), cos, sin, numHeads: 1, inverse: true, y });
    [...y.data].forEach((value, i) => {
      close(value, i + 1, 1e-15);
    });
  });

  test("attention of equal scores averages the values so far", () => {
    const v = f64([3, 5, 10], [3, 1]);
    const [o, logSumExp] = [zeros(backend, [3, 1], "f64"), zeros(backend, [3, 1], "f64")];
    const layout = { qOffsets: Int32Array.of(0, 3), kStarts: Int32Array.of(0), kLengths: Int32Array.of(3) };
    const [q, k] = [zeros(backend, [3, 1], "f64"), f64([1, 2, 3], [3, 1])];
    kernels.attention({ q, k, v, o, logSumExp, layout, numHeads: 1, numKvHeads: 1, scale: 1 });
    [3, 4, 6].forEach((want, i) => {
      close(o.data[i]!, want, 1e-14);
      close(logSumExp.data[i]!, Math.log(i + 1), 1e-14);
    });
  });

  test("linearCrossEntropy of equal logits is -ln V, and skipped rows are 0", () => {
    const logprobs = zeros(backend, [2], "f64");
    kernels.linearCrossEntropy({
      hidden: zeros(backend, [2, 3], "f64"),
      weight: f64(new Array(12).fill(1), [4, 3]),
      targets: Int32Array.of(2, -1),
      logprobs,
      gradLogprobs: null,
      gradHidden: null,
      gradWeight: null,
      compute: "f32",
    });
    close(logprobs.data[0]!, -Math.log(4), 1e-15);
    assert.equal(logprobs.data[1], 0);
  });

  test("erfc has its tabulated values in the middle and in the tails", () => {
    // Abramowitz & Stegun, tables 7.1 and 7.3
    for (const [x, want] of [
      [0, 1],
      [0.5, 0.479500122186953],
      [1, 0.157299207050285],
      [2, 0.004677734981047],
      [-1, 1.842700792949715],
    ] as const)
      close(erfc(x), want, 1e-14);
    close(erfc(5) / 1.5374597944280349e-12, 1, 1e-12);
    close(erfc(2 - 1e-9) / erfc(2 + 1e-9), 1, 1e-7); // the two formulas meet
  });
});

test("fresh memory of the reference backend holds NaN, so that unwritten values show", () => {
  for (const dtype of ["f32", "bf16", "f64"] as const) {
    using tensor = tensorOf(backend, [1, 2, 3], [3], dtype);
    tensor[Symbol.dispose]();
    const data = backend.allocate(dtype, 3);
    assert.ok(dtype === "bf16" ? data.every((bits) => bits === 0x7fc0) : data.every(Number.isNaN));
    backend.release(data);
  }
});

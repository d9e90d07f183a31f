import assert from "node:assert/strict";
import { test } from "node:test";
import { createCpuBackend, nativeProblem } from "./backends/cpu/index.ts";
import { createReferenceBackend } from "./backends/reference/index.ts";
import { attention, linear, packedLayout, slidingWindow } from "./ops/index.ts";
import { type KernelProfile, profileBackend, shareOfPeak } from "./profile.ts";
import { Scope } from "./scope.ts";
import { tensorOf } from "./tensor.ts";

const numbers = (count: number) => Float32Array.from({ length: count }, (_, index) => Math.sin(index));

test("calls are counted with their operations and bytes, and results are those of the backend", () => {
  const plain = createReferenceBackend();
  const profiler = profileBackend(plain);
  const run = (backend: typeof plain): Float32Array | Float64Array => {
    using scope = new Scope(backend);
    using x = tensorOf(backend, numbers(15), [3, 5]);
    using weight = tensorOf(backend, numbers(20), [4, 5]);
    return linear(scope, x, weight, { compute: "f32" }).readSync();
  };
  const expected = run(plain);
  assert.deepEqual(run(profiler.backend), expected);
  assert.deepEqual(run(profiler.backend), expected);
  const [entry, ...others] = profiler.entries();
  assert.equal(others.length, 0);
  const { seconds, ...counted } = entry!;
  assert.deepEqual(counted, {
    kernel: "gemm",
    shape: "3×4×5 ·ᵀ",
    compute: "f32",
    calls: 2,
    flops: 2 * (2 * 3 * 4 * 5),
    bytes: 2 * 4 * (15 + 20 + 12),
  });
  assert.ok(seconds > 0);
  profiler.reset();
  assert.deepEqual(profiler.entries(), []);
});

test("attention counts the pairs under the causal mask", () => {
  const profiler = profileBackend(createReferenceBackend());
  using scope = new Scope(profiler.backend);
  const [q, k, v] = [0, 1, 2].map(() => scope.from(numbers(5 * 8), [5, 8])) as [never, never, never];
  const layout = packedLayout(Int32Array.of(0, 3, 5));
  attention(scope, q, k, v, { layout, numHeads: 2, numKvHeads: 2 });
  const [entry] = profiler.entries();
  assert.equal(entry!.flops, 2 * 2 * (6 + 3) * 8, "two products of a multiply-add per pair and feature");
  assert.equal(entry!.bytes, 4 * (5 * 8) * 4, "q, k, v and o");
});

test("attention counts what a layout makes visible, and the keys that are read", () => {
  const profiler = profileBackend(createReferenceBackend());
  using scope = new Scope(profiler.backend);
  const [q, k, v] = [2, 9, 9].map((rows) => scope.from(numbers(rows * 8), [rows, 8])) as [never, never, never];
  const cached = { qOffsets: Int32Array.of(0, 2), kStarts: Int32Array.of(1), kLengths: Int32Array.of(7) };
  attention(scope, q, k, v, { layout: slidingWindow(3)(cached), numHeads: 2, numKvHeads: 2 });
  const [entry] = profiler.entries();
  assert.equal(entry!.flops, 2 * 2 * (3 + 3) * 8);
  assert.equal(entry!.bytes, 4 * (2 * 2 * 8 + 2 * 4 * 8), "q and o, and four rows of k and v");
});

test("the share of peak is the least possible time over the time taken", () => {
  const peaks = { f32FlopsPerSecond: 100, bf16FlopsPerSecond: 1000, bytesPerSecond: 10 };
  const entry: KernelProfile = {
    kernel: "gemm",
    shape: "",
    compute: "f32",
    calls: 1,
    seconds: 4,
    flops: 200,
    bytes: 10,
  };
  assert.deepEqual(shareOfPeak(entry, peaks), { share: 0.5, bound: "arithmetic" });
  assert.deepEqual(shareOfPeak({ ...entry, compute: "bf16" }, peaks), { share: 0.25, bound: "memory" });
});

test("peaks are rates, and the reference backend has none", { skip: nativeProblem() || false }, () => {
  const peaks = createCpuBackend({ threads: 1 }).measurePeaks()!;
  for (const rate of Object.values(peaks)) assert.ok(Number.isFinite(rate) && rate > 1e7, JSON.stringify(peaks));
  assert.equal(createReferenceBackend().measurePeaks(), null);
});

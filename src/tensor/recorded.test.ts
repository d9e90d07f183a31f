import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Backend } from "./backend.ts";
import { createCpuBackend, nativeInstructionSets, nativeProblem } from "./backends/cpu/index.ts";
import { createReferenceBackend } from "./backends/reference/index.ts";
import type { DType } from "./dtype.ts";
import {
  attention,
  blockCausal,
  full,
  gelu,
  layerNorm,
  packedLayout,
  prefix,
  rmsNorm,
  slidingWindow,
  swiglu,
  tokenLogprobs,
  type Visibility,
  weightedSum,
} from "./ops/index.ts";
import { Scope } from "./scope.ts";
import { type Tensor, tensorOf } from "./tensor.ts";

interface Recorded {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}
interface Recording {
  readonly inputs: { readonly [name: string]: Recorded };
  readonly outputs: { readonly [name: string]: Recorded };
}
interface AttentionRecording extends Recording {
  readonly offsets: readonly number[];
  readonly numHeads: number;
  readonly numKvHeads: number;
}
interface Fixture {
  readonly attention: readonly AttentionRecording[];
  readonly rmsNorm: Recording;
  readonly layerNorm: Recording;
  readonly swiglu: Recording;
  readonly gelu: Recording;
  readonly geluTanh: Recording;
  readonly crossEntropy: Recording & { readonly targets: readonly number[] };
  readonly adamW: Recording;
}

/** What test/oracles/record-kernels.py recorded from PyTorch. */
const fixture = JSON.parse(
  readFileSync(new URL("../../test/oracles/fixtures/kernels.json", import.meta.url), "utf8"),
) as Fixture;

interface MaskedRecording extends Recording {
  readonly rule: "full" | "prefix" | "slidingWindow" | "blockCausal";
  /** Window, block size or length of every prefix; 0 for full visibility. */
  readonly size: number;
  readonly qOffsets: readonly number[];
  readonly kStarts: readonly number[];
  readonly kLengths: readonly number[];
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** One line per query, its sequence's keys as 1 where visible. */
  readonly masks: readonly string[];
}

/** What test/oracles/record-attention-masks.py recorded from PyTorch and transformers. */
const masked = JSON.parse(
  readFileSync(new URL("../../test/oracles/fixtures/attention-masks.json", import.meta.url), "utf8"),
) as { readonly cases: readonly MaskedRecording[] };

function ruleOf({ rule, size, kLengths }: MaskedRecording): Visibility {
  if (rule === "full") return full;
  if (rule === "prefix") return prefix(new Int32Array(kLengths.length).fill(size));
  return rule === "slidingWindow" ? slidingWindow(size) : blockCausal(size);
}

function layoutOf(recording: MaskedRecording) {
  const [qOffsets, kStarts, kLengths] = [recording.qOffsets, recording.kStarts, recording.kLengths].map((numbers) =>
    Int32Array.from(numbers),
  );
  return ruleOf(recording)({ qOffsets: qOffsets!, kStarts: kStarts!, kLengths: kLengths! });
}

const eps = 1e-3;

type Inputs = { readonly [name: string]: Tensor };
interface RecordedCase {
  readonly title: string;
  readonly recording: Recording;
  run(scope: Scope, inputs: Inputs): Tensor;
}

const cases: readonly RecordedCase[] = [
  ...fixture.attention.map((recording) => ({
    title: `attention of ${recording.numHeads}/${recording.numKvHeads} heads`,
    recording,
    run(scope: Scope, { q, k, v }: Inputs) {
      const { numHeads, numKvHeads } = recording;
      const layout = packedLayout(Int32Array.from(recording.offsets));
      return attention(scope, q!, k!, v!, { layout, numHeads, numKvHeads });
    },
  })),
  ...masked.cases.map((recording) => ({
    title: `attention, ${recording.rule} ${recording.size} over ${recording.kLengths.join(", ")} keys`,
    recording,
    run(scope: Scope, { q, k, v }: Inputs) {
      const { numHeads, numKvHeads } = recording;
      return attention(scope, q!, k!, v!, { layout: layoutOf(recording), numHeads, numKvHeads });
    },
  })),
  { title: "rmsNorm", recording: fixture.rmsNorm, run: (scope, { x, weight }) => rmsNorm(scope, x!, weight!, eps) },
  {
    title: "layerNorm",
    recording: fixture.layerNorm,
    run: (scope, { x, weight, bias }) => layerNorm(scope, x!, weight!, bias!, eps),
  },
  { title: "swiglu", recording: fixture.swiglu, run: (scope, { gate, up }) => swiglu(scope, gate!, up!) },
  { title: "gelu", recording: fixture.gelu, run: (scope, { x }) => gelu(scope, x!) },
  { title: "gelu, tanh approximation", recording: fixture.geluTanh, run: (scope, { x }) => gelu(scope, x!, "tanh") },
  {
    title: "tokenLogprobs",
    recording: fixture.crossEntropy,
    run: (scope, { hidden, weight }) =>
      tokenLogprobs(scope, hidden!, weight!, Int32Array.from(fixture.crossEntropy.targets), { compute: "f32" }),
  },
];

function assertClose(label: string, got: ArrayLike<number>, recorded: Recorded, tolerance: number): void {
  assert.equal(got.length, recorded.values.length, label);
  recorded.values.forEach((want, i) => {
    assert.ok(
      Math.abs(got[i]! - want) <= tolerance * (1 + Math.abs(want)),
      `${label}[${i}] is ${got[i]}, torch says ${want}`,
    );
  });
}

function checkRecording({ recording, run }: RecordedCase, backend: Backend, dtype: DType, tolerance: number): void {
  using scope = new Scope(backend, { grad: true });
  const inputs: { [name: string]: Tensor } = {};
  for (const [name, { values, shape }] of Object.entries(recording.inputs)) {
    inputs[name] = scope.from(values, shape, dtype);
    inputs[name].requiresGrad = name !== "grad_y";
  }
  const y = run(scope, inputs);
  assertClose("y", y.readSync(), recording.outputs["y"]!, tolerance);
  scope.backward(weightedSum(scope, y, inputs["grad_y"]!));
  for (const [name, input] of Object.entries(inputs))
    if (input.requiresGrad)
      assertClose(
        `gradient of ${name}`,
        scope.gradOf(input)!.readSync(),
        recording.outputs[`grad_${name}`]!,
        tolerance,
      );
}

function checkAdamW(backend: Backend, dtype: DType, tolerance: number): void {
  const { inputs, outputs } = fixture.adamW;
  const [numSteps, size] = inputs["grads"]!.shape as [number, number];
  using params = tensorOf(backend, inputs["w"]!.values, [size], dtype);
  using grads = tensorOf(backend, inputs["grads"]!.values, [numSteps, size], dtype);
  using moment1 = tensorOf(backend, new Float64Array(size), [size], dtype);
  using moment2 = tensorOf(backend, new Float64Array(size), [size], dtype);
  const run = { offset: 0, length: size, learningRate: 0.05, weightDecay: 0.1, gradScale: 1 };
  for (let step = 1; step <= numSteps; step++) {
    const stepGrads = grads.view((step - 1) * size, [size]);
    const segments = [{ ...run, step }];
    backend.kernels.adamW({
      params,
      grads: stepGrads,
      moment1,
      moment2,
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
      segments,
    });
    const values = outputs["w"]!.values.slice((step - 1) * size, step * size);
    assertClose(`after step ${step}`, params.readSync(), { shape: [size], values }, tolerance);
  }
}

function describeRecordings(name: string, createBackend: () => Backend, dtype: DType, tolerance: number): void {
  describe(`${name} agrees with what PyTorch computed`, () => {
    const backend = createBackend();
    for (const row of cases) test(row.title, () => checkRecording(row, backend, dtype, tolerance));
    test("adamW over four steps", () => checkAdamW(backend, dtype, tolerance));
  });
}

test("layouts of visibility hold the ranges of transformers' mask functions", () => {
  for (const recording of masked.cases) {
    const { qOffsets, kLengths, visible } = layoutOf(recording);
    const masks = kLengths.reduce<string[]>((lines, numKeys, b) => {
      for (let row = qOffsets[b]!; row < qOffsets[b + 1]!; row++) {
        const [begin, end] = [visible!.begin[row]!, visible!.end[row]!];
        lines.push("0".repeat(begin) + "1".repeat(end - begin) + "0".repeat(numKeys - end));
      }
      return lines;
    }, []);
    assert.deepEqual(masks, recording.masks, `${recording.rule} ${recording.size}`);
  }
});

describeRecordings("the reference backend in f64", createReferenceBackend, "f64", 2e-9); // recorded to nine decimals
describeRecordings("the reference backend in f32", createReferenceBackend, "f32", 1e-5);
if (nativeInstructionSets().length === 0) test("the cpu backend agrees with PyTorch", { skip: nativeProblem() });
for (const instructionSet of nativeInstructionSets())
  describeRecordings(
    `the cpu backend with ${instructionSet}`,
    () => createCpuBackend({ threads: 2, instructionSet }),
    "f32",
    1e-5, // f32 sums
  );

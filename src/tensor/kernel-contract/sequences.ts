/** @file Contract cases of what runs down the rows of segments: sums, recurrences, convolutions. */
import { strict as assert } from "node:assert";
import type { DType } from "../dtype.ts";
import type { Tensor } from "../tensor.ts";
import { type ContractCase, f32Tolerance, type Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const booleans = [false, true] as const;

/** Segments of rows, and their width. */
const sizes: readonly { readonly offsets: readonly number[]; readonly width: number }[] = [
  { offsets: [0], width: 3 },
  { offsets: [0, 0, 0], width: 5 },
  { offsets: [0, 1], width: 1 },
  { offsets: [0, 1, 1, 4, 11, 11], width: 19 },
  { offsets: [0, 2, 70], width: 130 },
  { offsets: [0, 300, 301, 301, 640], width: 67 },
  { offsets: [0, 3, 40], width: 700 },
  { offsets: [0, 2500, 3000], width: 24 },
];

interface Size {
  readonly trial: Trial;
  readonly offsets: Int32Array;
  readonly numRows: number;
  readonly numSegments: number;
  readonly width: number;
}

const sizeCases = (title: string, run: (size: Size) => void): ContractCase[] =>
  sizes.map(({ offsets, width }) => ({
    title: `${title} over segments at ${offsets.join(", ")} of width ${width}`,
    run: (trial) =>
      run({
        trial,
        offsets: Int32Array.from(offsets),
        numRows: offsets.at(-1)!,
        numSegments: offsets.length - 1,
        width,
      }),
  }));

function runSums({ trial, offsets, numRows, width }: Size): void {
  let variant = 0;
  for (const along of booleans)
    for (const reverse of booleans)
      for (const exclusive of booleans)
        for (const from of dtypes) {
          const [accumulate, to] = [variant % 3 === 0, dtypes[(variant >> 1) % 2]!];
          variant++;
          const label = `${along ? "along" : "down"}${reverse ? " reverse" : ""}${exclusive ? " exclusive" : ""} ${from} ${to}`;
          trial.kernels.cumulativeSum({
            x: trial.input([numRows, width], from),
            offsets: along ? null : offsets,
            reverse,
            exclusive,
            y: trial.output(label, [numRows, width], to, { initial: accumulate }),
            accumulate,
          });
        }
}

/** Decays from 0 to 1, as gates have them. */
const decays = ({ trial, numRows, width }: Size, dtype: DType): Tensor =>
  trial.values(
    trial.normals(numRows * width).map((value) => 1 / (1 + Math.exp(-2 * value))),
    [numRows, width],
    dtype,
  );

function runRecurrence(size: Size): void {
  const { trial, offsets, numRows, numSegments, width } = size;
  const shape = [numRows, width];
  for (const ofA of dtypes)
    for (const ofB of dtypes)
      for (const hasStates of booleans) {
        const label = `${ofA} ${ofB}${hasStates ? " with states" : ""}`;
        trial.kernels.linearRecurrence({
          a: decays(size, ofA),
          b: trial.input(shape, ofB),
          initial: hasStates ? trial.input([numSegments, width]) : null,
          offsets,
          h: trial.output(`${label}: h`, shape, ofA),
          final: hasStates ? trial.output(`${label}: final`, [numSegments, width]) : null,
        });
      }
}

function runRecurrenceBackward(size: Size): void {
  const { trial, offsets, numRows, numSegments, width } = size;
  const shape = [numRows, width];
  let variant = 0;
  for (const ofA of dtypes)
    for (const ofH of dtypes)
      for (const ofGradient of dtypes)
        for (const accumulate of booleans) {
          const [wanted, hasInitial, hasFinal] = [1 + (variant % 7), variant % 2 === 0, variant % 3 > 0];
          variant++;
          const label = `${ofA} ${ofH} to ${ofGradient}${accumulate ? ", accumulating" : ""}`;
          trial.kernels.linearRecurrenceBackward({
            a: decays(size, ofA),
            h: trial.input(shape, ofH),
            initial: hasInitial ? trial.input([numSegments, width]) : null,
            offsets,
            gradH: variant % 5 === 0 ? null : trial.input(shape, ofH),
            gradFinal: hasFinal ? trial.input([numSegments, width]) : null,
            gradA: wanted & 1 ? trial.target(`${label}: gradA`, shape, ofGradient, accumulate) : null,
            gradB: wanted & 2 ? trial.target(`${label}: gradB`, shape, ofA, accumulate) : null,
            gradInitial:
              wanted & 4 ? trial.target(`${label}: gradInitial`, [numSegments, width], "f32", accumulate) : null,
          });
        }
}

function runConvolution({ trial, offsets, numRows, numSegments, width }: Size): void {
  const shape = [numRows, width];
  let variant = 0;
  for (const k of [1, 2, 4, 5, 11])
    for (const dtype of dtypes)
      for (const hasPrevious of booleans) {
        const other = dtypes[variant % 2]!;
        variant++;
        trial.kernels.depthwiseConvolution({
          x: trial.input(shape, dtype),
          weight: trial.input([width, k], other),
          bias: variant % 3 === 0 ? null : trial.input([width], other),
          previous: hasPrevious ? trial.input([numSegments, k - 1, width], dtype) : null,
          offsets,
          y: trial.output(`${k} taps ${dtype} ${other}`, shape, dtypes[(variant >> 1) % 2]!),
        });
      }
}

function runConvolutionBackward({ trial, offsets, numRows, numSegments, width }: Size): void {
  const shape = [numRows, width];
  let variant = 0;
  for (const k of [1, 2, 4, 5, 11])
    for (const dtype of dtypes)
      for (const hasPrevious of booleans) {
        const [other, third] = [dtypes[variant % 2]!, dtypes[(variant >> 1) % 2]!];
        const [wanted, accumulate] = [1 + ((variant * 7) % 15), variant % 3 === 0];
        variant++;
        const label = `${k} taps ${dtype} ${other} ${third}${accumulate ? ", accumulating" : ""}`;
        const beforeShape = [numSegments, k - 1, width];
        trial.kernels.depthwiseConvolutionBackward({
          x: trial.input(shape, dtype),
          weight: trial.input([width, k], other),
          previous: hasPrevious ? trial.input(beforeShape, dtype) : null,
          offsets,
          gradY: trial.input(shape, third),
          gradX: wanted & 1 ? trial.target(`${label}: gradX`, shape, other, accumulate) : null,
          gradPrevious: wanted & 2 ? trial.target(`${label}: gradPrevious`, beforeShape, third, accumulate) : null,
          gradWeight: wanted & 4 ? trial.target(`${label}: gradWeight`, [width, k], third, accumulate) : null,
          gradBias: wanted & 8 ? trial.target(`${label}: gradBias`, [width], other, accumulate) : null,
        });
      }
}

/** One way through all kernels; `offsets` of the whole or of a part. Returns everything with a row per row of `x`. */
function runAll(trial: Trial, label: string, inputs: readonly Tensor[], weight: Tensor, offsets: Int32Array): Tensor[] {
  const [x, a, gradH] = inputs as [Tensor, Tensor, Tensor];
  const results: Tensor[] = [];
  const output = (name: string): Tensor => {
    results.push(trial.output(`${label}: ${name}`, x.shape, x.dtype));
    return results.at(-1)!;
  };
  const target = (name: string) => ({ grad: output(name), accumulate: false });
  trial.kernels.cumulativeSum({ x, offsets, reverse: true, exclusive: false, y: output("sums") });
  const recurrence = { a, initial: null, offsets, h: output("h") } as const;
  trial.kernels.linearRecurrence({ ...recurrence, b: x, final: null });
  trial.kernels.linearRecurrenceBackward({
    ...recurrence,
    gradH,
    gradFinal: null,
    gradA: target("gradA"),
    gradB: target("gradB"),
    gradInitial: null,
  });
  const convolution = { x, weight, previous: null, offsets } as const;
  trial.kernels.depthwiseConvolution({ ...convolution, bias: null, y: output("y") });
  trial.kernels.depthwiseConvolutionBackward({
    ...convolution,
    gradY: gradH,
    gradX: target("gradX"),
    gradPrevious: null,
    gradWeight: null,
    gradBias: null,
  });
  return results;
}

const segmentCase: ContractCase = {
  title: "segments have the bits of runs of their own",
  run(trial) {
    const [offsets, width] = [Int32Array.of(0, 9, 9, 40, 300), 200];
    for (const dtype of dtypes) {
      const shape = [300, width];
      const a = trial.values(trial.normals(300 * width).map(Math.tanh), shape, dtype);
      const inputs = [trial.input(shape, dtype), a, trial.input(shape, dtype)];
      const weight = trial.input([width, 4], dtype);
      const whole = runAll(trial, `whole ${dtype}`, inputs, weight, offsets);
      for (let segment = 0; segment + 1 < offsets.length; segment++) {
        const [first, end] = [offsets[segment]!, offsets[segment + 1]!];
        const part = (tensor: Tensor): Tensor => tensor.view(first * width, [end - first, width]);
        const label = `segment ${segment} ${dtype}`;
        const alone = runAll(trial, label, inputs.map(part), weight, Int32Array.of(0, end - first));
        alone.forEach((tensor, i) => {
          assert.deepEqual(tensor.readSync(), part(whole[i]!).readSync(), `${label}, result ${i}`);
        });
      }
    }
  },
};

const equalCase: ContractCase = {
  title: "a recurrence whose decays are 1 has the bits of a running sum, and a convolution with one tap of 1 shifts",
  run(trial) {
    const offsets = Int32Array.of(0, 70, 71, 200);
    for (const dtype of dtypes) {
      const [shape, width] = [[200, 130], 130];
      const b = trial.input(shape, dtype);
      const [h, sums] = [trial.output(`h ${dtype}`, shape, dtype), trial.output(`sums ${dtype}`, shape, dtype)];
      const a = trial.values(new Float64Array(b.size).fill(1), shape, dtype);
      trial.kernels.linearRecurrence({ a, b, initial: null, offsets, h, final: null });
      trial.kernels.cumulativeSum({ x: b, offsets, reverse: false, exclusive: false, y: sums });
      assert.deepEqual(h.readSync(), sums.readSync());
      const values = b.readSync();
      for (let tap = 0; tap < 4; tap++) {
        const weight = trial.values(
          Array.from({ length: 4 * width }, (_, i) => Number(i % 4 === tap)),
          [width, 4],
        );
        const y = trial.output(`shifted by ${3 - tap} ${dtype}`, shape, dtype);
        trial.kernels.depthwiseConvolution({ x: b, weight, bias: null, previous: null, offsets, y });
        y.readSync().forEach((got, i) => {
          const row = Math.floor(i / width);
          const start = offsets.findLast((offset) => offset <= row)!;
          const from = row - (3 - tap);
          assert.equal(got, from < start ? 0 : values[from * width + (i % width)], `element ${i}`);
        });
      }
    }
  },
};

const longCase: ContractCase = {
  title: "a state that decays toward zero for a long time, and one that never does",
  run(trial) {
    const [numRows, width] = [5000, 20];
    const a = trial.values(
      Array.from({ length: numRows * width }, (_, i) => [0.5, 0.999, 1, 0][i % 4]!),
      [numRows, width],
    );
    trial.kernels.linearRecurrence({
      a,
      b: trial.input([numRows, width], "f32", 0.01),
      initial: trial.input([1, width]),
      offsets: Int32Array.of(0, numRows),
      h: trial.output("h", [numRows, width], "f32", { tolerance: 4 * f32Tolerance }),
      final: trial.output("final", [1, width], "f32", { tolerance: 4 * f32Tolerance }),
    });
  },
};

export const sequenceCases: readonly ContractCase[] = [
  ...sizeCases("cumulativeSum", runSums),
  ...sizeCases("linearRecurrence", runRecurrence),
  ...sizeCases("gradients of linearRecurrence", runRecurrenceBackward),
  ...sizeCases("depthwiseConvolution", runConvolution),
  ...sizeCases("gradients of depthwiseConvolution", runConvolutionBackward),
  segmentCase,
  equalCase,
  longCase,
];

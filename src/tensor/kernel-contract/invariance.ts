/**
 * @file Contract cases of batch invariance: a row of a product with frozen weights, or with an adapter's, has the same
 * bits alone as among any other rows. Decoding relies on it: a request must not depend on the requests beside it.
 */
import { strict as assert } from "node:assert";
import type { ComputeType, DType } from "../dtype.ts";
import type { Tensor } from "../tensor.ts";
import type { ContractCase, Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const computes: readonly ComputeType[] = ["f32", "bf16"];
const numRows = 131;
/** Runs of rows, `[first, end]`: one row, a few at different places, past every panel height, all. */
const stretches: readonly (readonly [number, number])[] = [
  [0, 1],
  [130, 131],
  [40, 42],
  [7, 10],
  [50, 55],
  [123, 131],
  [3, 20],
  [60, 120],
];

/** Rows `first .. end` of a matrix. */
function rowsOf(matrix: Tensor, [first, end]: readonly [number, number]): Tensor {
  const width = matrix.shape[1]!;
  return matrix.view(first * width, [end - first, width]);
}

function expectSameRows(part: Tensor, whole: Tensor, stretch: readonly [number, number], label: string): void {
  assert.deepEqual(part.readSync(), rowsOf(whole, stretch).readSync(), `${label}: rows ${stretch.join(" to ")}`);
}

const gemmCases: readonly ContractCase[] = (
  [
    [15, 70],
    [100, 33],
    [65, 600],
    [33, 2112],
  ] as const
).map(([n, k]) => ({
  title: `gemm with frozen weights of ${n} x ${k}: a row's result does not depend on the other rows`,
  run(trial) {
    for (const transposeB of [true, false])
      for (const compute of computes)
        for (const [index, dtype] of dtypes.entries()) {
          const label = `frozen gemm B${transposeB ? "ᵀ" : ""} ${compute} ${dtype}`;
          const a = trial.input([numRows, k], dtype);
          const b = trial.input(transposeB ? [n, k] : [k, n], dtypes[(index + Number(transposeB)) % 2]!);
          const bias = trial.input([n]);
          const whole = trial.output(label, [numRows, n], dtype);
          trial.backend.freeze([b]);
          trial.kernels.gemm({ a, b, c: whole, transposeB, bias, compute });
          for (const stretch of stretches) {
            const c = trial.output(`${label} of ${stretch}`, [stretch[1] - stretch[0], n], dtype);
            trial.kernels.gemm({ a: rowsOf(a, stretch), b, c, transposeB, bias, compute });
            expectSameRows(c, whole, stretch, label);
          }
          trial.backend.thaw([b]);
        }
  },
}));

const thawCase: ContractCase = {
  title: "gemm after thaw sees the values written since",
  run(trial) {
    const a = trial.input([5, 40]);
    const b = trial.output("weights", [30, 40], "f32", { initial: true });
    for (const label of ["frozen", "thawed and written"]) {
      trial.backend.freeze([b]);
      trial.backend.freeze([b]);
      trial.kernels.gemm({ a, b, c: trial.output(label, [5, 30]), transposeB: true, compute: "f32" });
      trial.backend.thaw([b]);
      trial.backend.thaw([b]);
      b.write(trial.normals(b.size));
    }
  },
};

const loraCases: readonly ContractCase[] = (
  [
    [70, 8, 64],
    [64, 16, 70],
    [5, 15, 3],
    [96, 40, 33],
  ] as const
).map(([k, r, p]) => ({
  title: `lora of rank ${r} from ${k} to ${p}: a row's result does not depend on the other rows`,
  run: (trial: Trial) => {
    for (const compute of computes)
      for (const dtype of dtypes) {
        const label = `lora ${compute} ${dtype}`;
        const x = trial.input([numRows, k], dtype);
        const loraA = trial.input([3, r, k]);
        const loraB = trial.input([3, p, r]);
        const scales = Float32Array.of(1, 0.7, 2);
        const before = trial.normals(numRows * p);
        const whole = trial.output(label, [numRows, p], dtype);
        whole.write(before);
        const wholeLow = trial.output(`${label} low rank`, [numRows, r], dtype);
        const common = { loraA, loraB, scales, compute } as const;
        trial.kernels.lora({
          ...common,
          x,
          lowRank: wholeLow,
          y: whole,
          segments: Int32Array.of(0, 0, numRows, numRows),
        });
        for (const stretch of stretches) {
          // the stretch belongs to the second group, among rows of others
          const [first, last] = [3, 3 + stretch[1] - stretch[0]];
          const all = last + 9;
          const mixed = trial.values(
            [...trial.normals(first * k), ...rowsOf(x, stretch).readSync(), ...trial.normals(9 * k)],
            [all, k],
            dtype,
          );
          const y = trial.output(`${label} of ${stretch}`, [all, p], dtype);
          const kept = before.subarray(stretch[0] * p, stretch[1] * p);
          y.write([...trial.normals(first * p), ...kept, ...trial.normals(9 * p)]);
          const lowRank = trial.output(`${label} of ${stretch} low rank`, [all, r], dtype);
          trial.kernels.lora({ ...common, x: mixed, lowRank, y, segments: Int32Array.of(0, first, last, all) });
          expectSameRows(rowsOf(y, [first, last]), whole, stretch, label);
          expectSameRows(rowsOf(lowRank, [first, last]), wholeLow, stretch, label);
        }
      }
  },
}));

/** An adapter in a bank of another width and with other adapters: its rows beyond its rank are zero. */
const paddingCases: readonly ContractCase[] = (
  [
    [70, 3, 65],
    [96, 8, 33],
    [64, 16, 128],
  ] as const
).map(([k, r, p]) => ({
  title: `lora of rank ${r} from ${k} to ${p}: zeros beyond an adapter's rank, and other adapters, change no bit`,
  run: (trial: Trial) => {
    for (const compute of computes)
      for (const dtype of dtypes)
        for (const numRows of [1, 5, 40]) {
          const label = `padded lora ${compute} ${dtype} of ${numRows} rows`;
          const x = trial.input([numRows, k], dtype);
          const [a, b, before] = [trial.normals(r * k), trial.normals(p * r), trial.normals(numRows * p)];
          const results = [r, r + 1, 16 + r, 64].map((width) => {
            const numGroups = width === r ? 1 : 3;
            const place = numGroups - 1;
            const [loraA, loraB] = [new Float64Array(numGroups * width * k), new Float64Array(numGroups * p * width)];
            loraA.set(a, place * width * k);
            for (let row = 0; row < p; row++)
              loraB.set(b.subarray(row * r, (row + 1) * r), place * p * width + row * width);
            const y = trial.output(`${label}, width ${width}`, [numRows, p], dtype);
            y.write(before);
            const segments = new Int32Array(numGroups + 1).fill(0, 0, numGroups).fill(numRows, numGroups);
            trial.kernels.lora({
              ...{ x, y, segments, compute },
              loraA: trial.values(loraA, [numGroups, width, k]),
              loraB: trial.values(loraB, [numGroups, p, width]),
              scales: new Float32Array(numGroups).fill(0.7),
              lowRank: trial.output(`${label} low rank, width ${width}`, [numRows, width], dtype),
            });
            return y.readSync();
          });
          for (const padded of results.slice(1)) assert.deepEqual(padded, results[0], label);
        }
  },
}));

export const invarianceCases: readonly ContractCase[] = [...gemmCases, thawCase, ...loraCases, ...paddingCases];

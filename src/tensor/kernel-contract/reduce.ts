/** @file Contract cases of reductions and softmax over one axis, rows of infinities and NaN included. */
import type { DType } from "../dtype.ts";
import type { AxisView } from "../primitive-kernels.ts";
import type { Tensor } from "../tensor.ts";
import type { ContractCase, Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const booleans = [false, true] as const;

/** `[outer, length, inner]`: rows and columns, shorter and longer than a vector, a band and a chunk. */
const sizes: readonly (readonly [number, number, number])[] = [
  [0, 5, 1],
  [0, 3, 7],
  [1, 1, 1],
  [7, 3, 1],
  [5, 64, 1],
  [13, 129, 1],
  [2, 5003, 1],
  [3, 8192, 1],
  [1, 3, 5],
  [4, 17, 24],
  [1, 300, 70],
  [2, 1, 600],
  [1, 1030, 3],
  [3, 6, 1027],
  [9000, 2, 1],
];

const sizeOf = ([outer, length, inner]: readonly [number, number, number]): number => outer * length * inner;
const viewOf = ([outer, length, inner]: readonly [number, number, number]): AxisView => ({ outer, length, inner });

/** Whole and half numbers, so that the largest often comes more than once. */
function stepped(trial: Trial, size: number, dtype: DType): Tensor {
  return trial.values(
    trial.normals(size, 3).map((value) => Math.round(2 * value) / 2),
    [size],
    dtype,
  );
}

function runReductions(trial: Trial, shape: readonly [number, number, number]): void {
  const axis = viewOf(shape);
  const [size, reduced] = [sizeOf(shape), axis.outer * axis.inner];
  for (const dtype of dtypes) {
    const x = stepped(trial, size, dtype);
    for (const y of dtypes)
      for (const accumulate of booleans) {
        const sum = trial.output(`sum ${dtype} ${y}`, [reduced], y, {
          initial: accumulate,
          leastSize: Math.sqrt(axis.length),
        });
        trial.kernels.reduce({ op: "sum", x, y: sum, axis, scale: accumulate ? -0.5 : 1, accumulate });
      }
    const indices = new Int32Array(reduced).fill(-1);
    trial.kernels.argmax({ x, indices, axis });
    trial.numbers(`argmax ${dtype}`, indices, 0);
    for (const [op, stored] of [
      ["max", dtype],
      ["logSumExp", "f32"],
    ] as const) {
      const label = `${op} ${dtype}`;
      trial.kernels.reduce({ op, x, y: trial.output(label, [reduced], stored), axis });
      const [known = []] = trial.prepare(`${label} of ${shape}`, (reference) => {
        const y = reference.output("y", [reduced], stored);
        const copy = reference.values(x.readSync(), [size], dtype);
        reference.kernels.reduce({ op, x: copy, y, axis });
        return [y];
      });
      const y = trial.values(known, [reduced], stored);
      const gradY = trial.input([reduced], stored);
      for (const [grad, accumulate] of [
        [dtype, false],
        ["f32", true],
      ] as const) {
        const gradX = trial.target(`${label} gradX ${grad}`, [size], grad, accumulate);
        trial.kernels.reduceBackward({ op, x, y, gradY, gradX, axis });
      }
    }
  }
}

function runSoftmax(trial: Trial, shape: readonly [number, number, number]): void {
  const axis = viewOf(shape);
  const size = sizeOf(shape);
  for (const dtype of dtypes)
    for (const log of booleans) {
      const label = `${log ? "logSoftmax" : "softmax"} ${dtype}`;
      trial.kernels.softmax({ x: trial.input([size], dtype, 3), y: trial.output(label, [size], dtype), axis, log });
      const y = trial.values(
        trial.normals(size).map((value) => (log ? -Math.abs(3 * value) : Math.abs(value) / axis.length)),
        [size],
        dtype,
      );
      const gradY = trial.input([size], dtype);
      for (const grad of dtypes)
        for (const accumulate of booleans) {
          const gradX = trial.target(`${label} gradX ${grad}`, [size], grad, accumulate);
          trial.kernels.softmaxBackward({ y, gradY, gradX, axis, log });
        }
    }
}

const { POSITIVE_INFINITY: infinity, NaN: nan } = Number;

/** Rows of six: masks, overflow, NaN and infinities. */
const specialRows: readonly (readonly number[])[] = [
  [-infinity, -infinity, -infinity, -infinity, -infinity, -infinity],
  [-infinity, 2, -infinity, 2, 1, -infinity],
  [1, nan, 3, nan, -infinity, 0],
  [-infinity, nan, -infinity, -infinity, -infinity, -infinity],
  [1000, 1001, 999, -1000, 0, 1001],
  [-1000, -1001, -1002, -1000, -1e30, -1000],
  [3e38, -1e38, 0, 1, 2, 3],
  [0, infinity, 1, 2, 3, infinity],
  [infinity, nan, 1, 2, 3, 4],
  [0, -0, 0, -0, 0, -0],
  [5, 5, 5, 5, 5, 5],
];

const specialCase: ContractCase = {
  title: "reductions and softmax of infinities, NaN and large numbers, along rows and along columns",
  run(trial) {
    const [numRows, width] = [specialRows.length, 6];
    const rows = specialRows.flat();
    const columns = rows.map((_, i) => rows[(i % numRows) * width + Math.floor(i / numRows)]!);
    for (const [values, axis] of [
      [rows, { outer: numRows, length: width, inner: 1 }],
      [columns, { outer: 1, length: width, inner: numRows }],
    ] as const)
      for (const dtype of dtypes) {
        const x = trial.values(values, [values.length], dtype);
        for (const op of ["sum", "max", "logSumExp"] as const) {
          const y = trial.output(op, [numRows], "f32", { initial: true, ulps: 4 });
          trial.kernels.reduce({ op, x, y, axis });
        }
        const indices = new Int32Array(numRows);
        trial.kernels.argmax({ x, indices, axis });
        trial.numbers("argmax", indices, 0);
        const ulps = dtype === "bf16" ? 1 : 8;
        for (const log of booleans) {
          const y = trial.output(`softmax ${log}`, [values.length], dtype, { initial: true, ulps });
          trial.kernels.softmax({ x, y, axis, log });
        }
        // of finite gradients; what is -∞ everywhere takes none
        const logs = specialRows.map((row) => (row.every((value) => value === -infinity) ? -infinity : 3));
        const gradX = trial.target("logSumExp gradX", [values.length], "f32", false, { ulps: 8 });
        const gradY = trial.input([numRows]);
        trial.kernels.reduceBackward({ op: "logSumExp", x, y: trial.values(logs, [numRows]), gradY, gradX, axis });
      }
  },
};

const emptyCase: ContractCase = {
  title: "the sum over an empty axis is 0 and its logSumExp -∞",
  run(trial) {
    for (const [outer, inner] of [
      [3, 1],
      [2, 5],
    ] as const)
      for (const op of ["sum", "logSumExp"] as const) {
        const axis = { outer, length: 0, inner };
        trial.kernels.reduce({ op, x: trial.input([0]), y: trial.output(op, [outer * inner]), axis });
      }
  },
};

/** A sum of many ones is exact only when it is not one chain of f32. */
const longCase: ContractCase = {
  title: "sums of a million elements, in one row and in a few columns",
  run(trial) {
    const size = 1_000_000;
    const x = trial.values(
      trial.normals(size).map((value) => 3 + value),
      [size],
    );
    for (const [length, inner] of [
      [size, 1],
      [size / 4, 4],
    ] as const) {
      const y = trial.output(`${length} x ${inner}`, [inner], "f32", { ulps: 8 });
      trial.kernels.reduce({ op: "sum", x, y, axis: { outer: 1, length, inner } });
    }
  },
};

export const reduceCases: readonly ContractCase[] = [
  ...sizes.map((shape) => ({
    title: `reductions over the middle axis of ${shape.join(" x ")}`,
    run: (trial: Trial) => runReductions(trial, shape),
  })),
  ...sizes.map((shape) => ({
    title: `softmax over the middle axis of ${shape.join(" x ")}`,
    run: (trial: Trial) => runSoftmax(trial, shape),
  })),
  specialCase,
  emptyCase,
  longCase,
];

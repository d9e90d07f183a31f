/** @file Contract cases of kernels that work row by row or element by element: norms, rope, activations. */
import type { DType } from "../dtype.ts";
import type { Tensor } from "../tensor.ts";
import type { ContractCase, Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const booleans = [false, true] as const;

/** `[N, D]`. */
const sizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [3, 5],
  [17, 24],
  [130, 70],
  [4, 1000],
];

const eps = 1e-5;

function runRmsNorm(trial: Trial, numRows: number, width: number): void {
  for (const x of dtypes)
    for (const y of dtypes)
      for (const accumulate of booleans) {
        const label = `rmsNorm ${x} to ${y}`;
        const input = trial.input([numRows, width], x);
        const weight = trial.input([width], y);
        trial.kernels.rmsNorm({
          x: input,
          weight,
          eps,
          y: trial.output(label, input.shape, y),
          rstd: trial.output(`${label} rstd`, [numRows]),
        });
        const rstd = trial.values(trial.normals(numRows).map(Math.exp), [numRows]);
        trial.kernels.rmsNormBackward({
          x: input,
          weight,
          rstd,
          gradY: trial.input(input.shape, y),
          gradX: trial.target(`${label} gradX`, input.shape, x, accumulate),
          gradWeight: accumulate || x === y ? trial.target(`${label} gradWeight`, [width], "f32", accumulate) : null,
        });
      }
}

function runLayerNorm(trial: Trial, numRows: number, width: number): void {
  for (const x of dtypes)
    for (const y of dtypes)
      for (const accumulate of booleans) {
        const label = `layerNorm ${x} to ${y}`;
        const input = trial.input([numRows, width], x);
        const weight = trial.input([width], y);
        trial.kernels.layerNorm({
          x: input,
          weight,
          bias: trial.input([width], y),
          eps,
          y: trial.output(label, input.shape, y),
          mean: trial.output(`${label} mean`, [numRows]),
          rstd: trial.output(`${label} rstd`, [numRows]),
        });
        trial.kernels.layerNormBackward({
          x: input,
          weight,
          mean: trial.input([numRows]),
          rstd: trial.values(trial.normals(numRows).map(Math.exp), [numRows]),
          gradY: trial.input(input.shape, y),
          gradX: trial.target(`${label} gradX`, input.shape, x, accumulate),
          gradWeight: trial.target(`${label} gradWeight`, [width], "f32", accumulate),
          gradBias: accumulate || x === y ? trial.target(`${label} gradBias`, [width], "f32", accumulate) : null,
        });
      }
}

/** `[heads, E/2]`. */
const ropeSizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [3, 5],
  [2, 32],
];

function runRope(trial: Trial, numHeads: number, half: number): void {
  const positions = Int32Array.of(0, 1, 2, 9, 3, 3, 0);
  const angles = Float64Array.from(
    { length: 10 * half },
    (_, i) => Math.floor(i / half) * 10000 ** -((i % half) / half),
  );
  const cos = trial.values(angles.map(Math.cos), [10, half]);
  const sin = trial.values(angles.map(Math.sin), [10, half]);
  const shape = [positions.length, numHeads * 2 * half];
  for (const dtype of dtypes)
    for (const inverse of booleans) {
      const common = { positions, cos, sin, numHeads, inverse };
      const label = `rope ${dtype} ${inverse ? "inverse" : ""}`;
      trial.kernels.rope({ ...common, x: trial.input(shape, dtype), y: trial.output(label, shape, dtype) });
      const sum = trial.output(`${label} accumulate`, shape, dtype, { initial: true });
      trial.kernels.rope({ ...common, x: trial.input(shape, dtype), y: sum, accumulate: true });
      const inPlace = trial.output(`${label} in place`, shape, dtype, { initial: true });
      trial.kernels.rope({ ...common, x: inPlace, y: inPlace });
    }
}

/** Values where exp overflows or vanishes, beside ordinary ones. */
function activationInput(trial: Trial, size: number, dtype: DType): Tensor {
  const values = trial.normals(size, 3);
  [0, -0.001, 30, -30, 95, -95, 1000, -1000].forEach((extreme, i) => {
    if (size > 20) values[2 * i] = extreme;
  });
  return trial.values(values, [size], dtype);
}

function runActivations(trial: Trial, size: number): void {
  for (const dtype of dtypes)
    for (const accumulate of booleans) {
      const gate = activationInput(trial, size, dtype);
      const up = trial.input([size], dtype);
      const gradY = trial.input([size], dtype);
      trial.kernels.swiglu({ gate, up, y: trial.output(`swiglu ${dtype}`, [size], dtype) });
      trial.kernels.swigluBackward({
        gate,
        up,
        gradY,
        gradGate: trial.target(`swiglu ${dtype} gradGate`, [size], dtype, accumulate),
        gradUp: accumulate ? null : trial.target(`swiglu ${dtype} gradUp`, [size], dtype, accumulate),
      });
      for (const approximate of ["none", "tanh"] as const) {
        const label = `gelu ${approximate} ${dtype}`;
        trial.kernels.gelu({ x: gate, approximate, y: trial.output(label, [size], dtype) });
        const gradX = trial.target(`${label} gradX`, [size], dtype, accumulate);
        trial.kernels.geluBackward({ x: gate, gradY, approximate, gradX });
      }
    }
}

export const rowwiseCases: readonly ContractCase[] = [
  ...sizes.map(([n, d]) => ({ title: `rmsNorm of ${n} x ${d}`, run: (trial: Trial) => runRmsNorm(trial, n, d) })),
  ...sizes.map(([n, d]) => ({ title: `layerNorm of ${n} x ${d}`, run: (trial: Trial) => runLayerNorm(trial, n, d) })),
  ...ropeSizes.map(([heads, half]) => ({
    title: `rope of ${heads} heads of ${2 * half}`,
    run: (trial: Trial) => runRope(trial, heads, half),
  })),
  ...[1, 21, 1003].map((size) => ({
    title: `swiglu and gelu of ${size} elements, far tails included`,
    run: (trial: Trial) => runActivations(trial, size),
  })),
];

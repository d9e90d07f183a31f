/**
 * @file Contract cases of quantised weights: products in both orientations, lookups and the output layer, in every format,
 * with sizes around groups and panels. On one backend a product must have the bits of the product with the dequantised
 * weight, and its rows those of any other batch.
 */
import { strict as assert } from "node:assert";
import type { ComputeType, DType } from "../dtype.ts";
import { quantisedFormats } from "../quantise.ts";
import type { Tensor } from "../tensor.ts";
import { type ContractCase, f32Tolerance, type Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const computes: readonly ComputeType[] = ["f32", "bf16"];

/** `[rows of a, rows of the weight, columns of the weight]`. */
const sizes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [1, 70, 64],
  [3, 17, 130],
  [16, 33, 65],
  [17, 64, 600],
  [40, 5, 63],
  [130, 100, 192],
  [300, 37, 70],
];

const gemmCases: readonly ContractCase[] = sizes.map(([m, numRows, numColumns]) => ({
  title: `gemm of ${m} rows with a quantised weight of ${numRows} x ${numColumns}`,
  run(trial) {
    let variant = 0;
    for (const format of quantisedFormats)
      for (const transposeB of [true, false])
        for (const compute of computes)
          for (const dtype of dtypes) {
            const weight = trial.quantised([numRows, numColumns], format);
            const [n, k] = transposeB ? [numRows, numColumns] : [numColumns, numRows];
            const accumulate = ++variant % 3 === 0;
            const label = `gemm ${format} B${transposeB ? "ᵀ" : ""} ${compute} ${dtype}`;
            trial.kernels.gemm({
              a: trial.input([m, k], dtype),
              b: weight,
              c: trial.output(label, [m, n], dtype, { initial: accumulate }),
              transposeB,
              alpha: variant % 2 === 0 ? 0.75 : 1,
              accumulate,
              bias: variant % 4 < 2 ? trial.input([n], dtype) : null,
              addend: variant % 5 < 2 ? trial.input([m, n], dtype) : null,
              compute,
            });
          }
  },
}));

const transposedCase: ContractCase = {
  title: "gemm of a transposed first factor with a quantised weight",
  run(trial) {
    const weight = trial.quantised([20, 70], "int8");
    const c = trial.output("gemm Aᵀ", [9, 20]);
    trial.kernels.gemm({ a: trial.input([70, 9]), b: weight, c, transposeA: true, transposeB: true, compute: "f32" });
    trial.kernels.gemm({
      a: trial.input([0, 70]),
      b: weight,
      c: trial.output("no rows", [0, 20]),
      transposeB: true,
      compute: "f32",
    });
  },
};

const numRows = 300;
/** Runs of rows, `[first, end]`, that take every way through the kernels. */
const stretches: readonly (readonly [number, number])[] = [
  [0, 1],
  [299, 300],
  [40, 44],
  [7, 23],
  [50, 67],
  [3, 35],
  [60, 100],
  [90, 218],
  [20, 149],
];

const rowsOf = (matrix: Tensor, first: number, end: number): Tensor =>
  matrix.view(first * matrix.shape[1]!, [end - first, matrix.shape[1]!]);

const sameBitsCases: readonly ContractCase[] = quantisedFormats.flatMap((format) =>
  computes.map((compute) => ({
    title: `gemm with ${format} weights in ${compute} has the bits of the dequantised weight, in any batch`,
    run: (trial: Trial) => {
      for (const [n, k] of [
        [33, 36],
        [70, 600],
      ] as const) {
        const weight = trial.quantised([n, k], format);
        const dense = trial.values(weight.readSync(), [n, k]);
        const a = trial.input([numRows, k], compute);
        const common = { transposeB: true, bias: trial.input([n]), compute } as const;
        const whole = trial.output(`${format} ${compute} ${n} x ${k}`, [numRows, n]);
        trial.kernels.gemm({ ...common, a, b: weight, c: whole });
        const expected = trial.output("with the dense weight", [numRows, n]);
        trial.backend.freeze([dense]);
        trial.kernels.gemm({ ...common, a, b: dense, c: expected });
        trial.backend.thaw([dense]);
        assert.deepEqual(whole.readSync(), expected.readSync());
        for (const [first, end] of stretches) {
          const c = trial.output(`rows ${first} to ${end}`, [end - first, n]);
          trial.kernels.gemm({ ...common, a: rowsOf(a, first, end), b: weight, c });
          assert.deepEqual(
            c.readSync(),
            rowsOf(whole, first, end).readSync(),
            `rows ${first} to ${end} of ${n} x ${k}`,
          );
        }
      }
    },
  })),
);

const rowCases: readonly ContractCase[] = [1, 64, 130].map((width) => ({
  title: `gatherRows from a quantised matrix of width ${width}`,
  run(trial) {
    for (const format of quantisedFormats)
      for (const dtype of dtypes) {
        const rows = Int32Array.of(4, 0, 4, 11, 7);
        const y = trial.output(`gatherRows ${format} to ${dtype}`, [rows.length, width], dtype);
        trial.kernels.gatherRows({ x: trial.quantised([12, width], format), rows, y });
      }
  },
}));

const outputLayerCases: readonly ContractCase[] = [
  [7, 130, 70],
  [200, 90, 64],
].map(([count = 0, vocabulary = 0, width = 0]) => ({
  title: `linearCrossEntropy of ${count} rows with a quantised weight of ${vocabulary} x ${width}`,
  run(trial) {
    for (const format of quantisedFormats)
      for (const compute of computes) {
        const dtype = compute;
        const label = `linearCrossEntropy ${format} ${compute}`;
        // gradients of bf16 products are sums of rounded factors
        const tolerance = compute === "bf16" ? 2 ** -7 : f32Tolerance;
        trial.kernels.linearCrossEntropy({
          hidden: trial.input([count, width], dtype),
          weight: trial.quantised([vocabulary, width], format, width ** -0.5),
          targets: Int32Array.from({ length: count }, (_, i) => (i % 5 === 3 ? -1 : (i * 7) % vocabulary)),
          logprobs: trial.output(`${label} logprobs`, [count], "f32", { tolerance }),
          gradLogprobs: trial.input([count]),
          gradHidden: trial.target(`${label} gradHidden`, [count, width], dtype, format === "nf4", { tolerance }),
          gradWeight: null,
          compute,
        });
      }
  },
}));

export const quantisedCases: readonly ContractCase[] = [
  ...gemmCases,
  transposedCase,
  ...sameBitsCases,
  ...rowCases,
  ...outputLayerCases,
];

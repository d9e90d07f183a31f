/** @file Contract cases of choice within rows: every way of choosing, ties, NaN, infinities and zeros of both signs. */
import { strict as assert } from "node:assert";
import type { DType } from "../dtype.ts";
import type { Tensor } from "../tensor.ts";
import type { ContractCase, Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const booleans = [false, true] as const;

function runTopK(trial: Trial, x: Tensor, k: number, label: string): void {
  for (const descending of booleans) {
    const indices = new Int32Array(x.shape[0]! * k).fill(-1);
    const values = trial.output(`${label} ${descending}: values`, [x.shape[0]!, k], x.dtype, { tolerance: 0 });
    trial.kernels.topK({ x, k, descending, values, indices });
    trial.numbers(`${label} ${descending}: indices`, indices, 0);
  }
}

/** `[N, D]` with every `k` to try. */
const sizes: readonly { readonly shape: readonly [number, number]; readonly ks: readonly number[] }[] = [
  { shape: [0, 5], ks: [2] },
  { shape: [3, 1], ks: [0, 1] },
  { shape: [5, 7], ks: [1, 3, 7] },
  { shape: [700, 64], ks: [1, 8, 64] },
  { shape: [9, 70], ks: [5, 32, 33, 70] },
  { shape: [2, 1000], ks: [50, 125, 126, 1000] },
  { shape: [3, 5003], ks: [1, 256, 257, 5003] },
];

const sizeCases: readonly ContractCase[] = sizes.map(({ shape, ks }) => ({
  title: `topK of rows of ${shape[1]}`,
  run(trial) {
    for (const dtype of dtypes) {
      const label = `${shape.join(" x ")} ${dtype}`;
      const x = trial.input(shape, dtype);
      // few different values, so that nearly all are ties
      const tied = trial.values(trial.normals(x.size).map(Math.round), shape, dtype);
      for (const k of ks) {
        runTopK(trial, x, k, `${label} ${k}`);
        runTopK(trial, tied, k, `${label} ${k} tied`);
      }
    }
  },
}));

const orderCase: ContractCase = {
  title: "topK of rows that rise, fall, or hold NaN, infinities and zeros of both signs",
  run(trial) {
    const width = 300;
    const columns = Array.from({ length: width }, (_, i) => i);
    const edges = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      0,
      -0,
      1,
      -1,
      2 ** -133,
      -(2 ** -133),
    ];
    const rows = [columns, columns.map((i) => -i), columns.map((i) => edges[(i * 7) % edges.length]!)];
    const ties = columns.map(() => Number.NEGATIVE_INFINITY);
    for (const dtype of dtypes) {
      const x = trial.values([...rows.flat(), ...ties], [4, width], dtype);
      for (const k of [1, 20, 40, 300])
        for (const descending of booleans) {
          const indices = new Int32Array(4 * k);
          const values = trial.output(`${dtype} ${k} ${descending}`, [4, k], dtype, { initial: true });
          trial.kernels.topK({ x, k, descending, values, indices });
          trial.numbers(`${dtype} ${k} ${descending}: indices`, indices, 0);
          const source = x.readSync();
          const wanted = Array.from(indices, (index, i) => source[Math.floor(i / k) * width + index]!);
          const unsigned = (list: Iterable<number>): number[] => Array.from(list, (value) => value + 0); // -0 may become 0
          assert.deepEqual(unsigned(values.readSync()), unsigned(wanted), "values are those at the indices");
          values.write(new Float64Array(values.size)); // NaN equals nothing in a comparison
        }
    }
  },
};

const handCase: ContractCase = {
  title: "topK by hand: NaN is the largest, the lower index comes first among equals",
  run(trial) {
    const x = trial.values([2, Number.NaN, -1, 2, Number.NaN, 0, -0, 5], [1, 8]);
    const indices = new Int32Array(8);
    const values = trial.output("values", [1, 8], "f32", { initial: true });
    const choose = (descending: boolean): number[] => {
      trial.kernels.topK({ x, k: 8, descending, values, indices });
      return [...indices];
    };
    assert.deepEqual(choose(true), [1, 4, 7, 0, 3, 5, 6, 2]);
    assert.deepEqual(choose(false), [2, 5, 6, 0, 3, 7, 1, 4]);
    values.write(new Float64Array(8));
  },
};

/** `[N, D, k]`. */
const lookupSizes: readonly (readonly [number, number, number])[] = [
  [0, 4, 1],
  [1, 1, 1],
  [5, 19, 3],
  [300, 130, 8],
];

const lookupCases: readonly ContractCase[] = lookupSizes.map(([numRows, width, perRow]) => ({
  title: `gatherLast and scatterLast of ${perRow} in rows of ${width}`,
  run(trial) {
    const indices = Int32Array.from({ length: numRows * perRow }, (_, i) => (i * i * 7 + (i % 3)) % width); // some repeat
    for (const from of dtypes)
      for (const to of dtypes) {
        trial.kernels.gatherLast({
          x: trial.input([numRows, width], from),
          indices,
          y: trial.output(`gatherLast ${from} ${to}`, [numRows, perRow], to),
        });
        for (const accumulate of booleans)
          trial.kernels.scatterLast({
            x: trial.input([numRows, perRow], from),
            indices,
            y: trial.output(`scatterLast ${from} ${to} ${accumulate}`, [numRows, width], to, { initial: accumulate }),
            accumulate,
          });
      }
  },
}));

export const topKCases: readonly ContractCase[] = [...sizeCases, orderCase, handCase, ...lookupCases];

/** @file Contract cases of products of many matrices: per batch, per group of rows, and summed. */
import { strict as assert } from "node:assert";
import type { ComputeType, DType } from "../dtype.ts";
import type { Tensor } from "../tensor.ts";
import type { ContractCase, Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const computes: readonly ComputeType[] = ["f32", "bf16"];
const booleans = [false, true] as const;

/** `[B, M, N, K]`. */
const batchedSizes: readonly (readonly [number, number, number, number])[] = [
  [0, 3, 4, 5],
  [3, 1, 1, 1],
  [2, 0, 4, 5],
  [2, 5, 4, 0],
  [5, 17, 3, 33],
  [4, 33, 70, 65],
  [70, 4, 6, 8],
  [2, 40, 33, 1100],
];

function runBatched(trial: Trial, [batch, m, n, k]: readonly [number, number, number, number]): void {
  let variant = 0;
  for (const transposeA of booleans)
    for (const transposeB of booleans)
      for (const compute of computes)
        for (const dtype of dtypes) {
          const accumulate = variant++ % 3 === 0;
          // every factor of its own, either shared, both summed
          const [countA, countB, countC] = [
            [batch, batch, batch],
            [1, batch, batch],
            [batch, 1, batch],
            [batch, batch, 1],
            [1, batch, 1],
            [batch, 1, 1],
            [1, 1, 1],
          ][variant % 7] as [number, number, number];
          const label = `A${transposeA ? "ᵀ" : ""} B${transposeB ? "ᵀ" : ""} ${countA}·${countB}→${countC} ${compute} ${dtype}`;
          trial.kernels.batchedGemm({
            a: trial.input(transposeA ? [countA, k, m] : [countA, m, k], dtype),
            b: trial.input(transposeB ? [countB, n, k] : [countB, k, n], dtypes[variant % 2]!),
            c: trial.output(label, [countC, m, n], dtype, { initial: accumulate }),
            transposeA,
            transposeB,
            accumulate,
            compute,
          });
        }
}

const groupings: readonly { readonly name: string; readonly offsets: readonly number[] }[] = [
  { name: "one group", offsets: [0, 17] },
  { name: "three groups, the middle one empty", offsets: [0, 3, 3, 20] },
  { name: "six groups of 1, 0, 63, 2, 0 and 64 rows", offsets: [0, 1, 1, 64, 66, 66, 130] },
  { name: "one group with all of 1300 rows, between empty ones", offsets: [0, 0, 1300, 1300] },
  { name: "three empty groups", offsets: [0, 0, 0, 0] },
  { name: "no groups", offsets: [0] },
];

/** `[P, K]`. */
const groupedSizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [20, 7],
  [33, 70],
  [70, 129],
];

function runGrouped(trial: Trial, offsets: Int32Array): void {
  const [numRows, numGroups] = [offsets.at(-1)!, offsets.length - 1];
  let variant = 0;
  for (const [p, k] of groupedSizes)
    for (const compute of computes)
      for (const dtype of dtypes)
        for (const transposeB of booleans) {
          const [accumulate, other] = [variant % 3 === 0, dtypes[variant % 2]!];
          variant++;
          const label = `${p} x ${k} ${compute} ${dtype} ${transposeB ? "Bᵀ" : "B"}`;
          trial.kernels.groupedGemm({
            a: trial.input([numRows, k], dtype),
            b: trial.input(transposeB ? [numGroups, p, k] : [numGroups, k, p], other),
            c: trial.output(`groupedGemm ${label}`, [numRows, p], dtype, { initial: accumulate }),
            offsets,
            transposeB,
            accumulate,
            compute,
          });
          trial.kernels.groupedOuter({
            a: trial.input([numRows, p], dtype),
            b: trial.input([numRows, k], other),
            c: trial.output(`groupedOuter ${label}`, [numGroups, p, k], other, { initial: accumulate }),
            offsets,
            accumulate,
            compute,
          });
        }
}

/** Groups one by one, each as a product of its own, frozen or not: not a bit may differ. */
const separateCase: ContractCase = {
  title: "groupedGemm gives every group the bits of a product of its own, and frozen weights change none",
  run(trial) {
    const offsets = Int32Array.of(0, 5, 5, 70, 71);
    const [p, k] = [45, 130];
    for (const compute of computes)
      for (const dtype of dtypes) {
        const label = `${compute} ${dtype}`;
        const [a, b] = [trial.input([71, k], dtype), trial.input([4, p, k], dtype)];
        const whole = trial.output(label, [71, p], dtype);
        const ofFrozen = trial.output(`${label} frozen`, [71, p], dtype);
        const separate = trial.output(`${label} one by one`, [71, p], dtype);
        trial.kernels.groupedGemm({ a, b, c: whole, offsets, transposeB: true, compute });
        trial.backend.freeze([b]);
        trial.kernels.groupedGemm({ a, b, c: ofFrozen, offsets, transposeB: true, compute });
        trial.backend.thaw([b]);
        for (let group = 0; group < 4; group++) {
          const [first, end] = [offsets[group]!, offsets[group + 1]!];
          const rows = (tensor: Tensor, width: number): Tensor => tensor.view(first * width, [end - first, width]);
          const weight = b.view(group * p * k, [p, k]);
          trial.kernels.gemm({ a: rows(a, k), b: weight, c: rows(separate, p), transposeB: true, compute });
        }
        assert.deepEqual(separate.readSync(), whole.readSync(), `${label}: one by one`);
        assert.deepEqual(ofFrozen.readSync(), whole.readSync(), `${label}: frozen`);
      }
  },
};

const roundOnceCase: ContractCase = {
  title: "batchedGemm rounds a bf16 sum of products once",
  run(trial) {
    // 256 + 64 times 1 in bf16 steps of 2 would stay 256 if every addition were rounded
    const a = trial.values(
      Array.from({ length: 65 }, (_, i) => (i === 0 ? 256 : 1)),
      [65, 1, 1],
      "bf16",
    );
    const b = trial.values([1], [1, 1, 1], "bf16");
    const c = trial.output("c", [1, 1, 1], "bf16");
    trial.kernels.batchedGemm({ a, b, c, compute: "f32" });
    assert.deepEqual([...c.readSync()], [320]);
  },
};

export const batchedCases: readonly ContractCase[] = [
  ...batchedSizes.map((size) => ({
    title: `batchedGemm of ${size[0]} products of ${size[1]} x ${size[2]} over ${size[3]}, shared and summed`,
    run: (trial: Trial) => runBatched(trial, size),
  })),
  ...groupings.map(({ name, offsets }) => ({
    title: `groupedGemm and groupedOuter over ${name}`,
    run: (trial: Trial) => runGrouped(trial, Int32Array.from(offsets)),
  })),
  separateCase,
  roundOnceCase,
];

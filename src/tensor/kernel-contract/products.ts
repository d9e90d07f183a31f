/** @file Contract cases of the matrix products: sizes around every block edge, all layouts, all mixtures of dtypes. */
import type { ComputeType } from "../backend.ts";
import type { DType } from "../dtype.ts";
import type { ContractCase, Trial } from "./trial.ts";

const dtypes: readonly DType[] = ["f32", "bf16"];
const computes: readonly ComputeType[] = ["f32", "bf16"];
const booleans = [false, true] as const;

/** `[M, N, K]`. */
const gemmSizes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [1, 5, 1],
  [3, 17, 1],
  [1, 300, 70],
  [17, 3, 33],
  [17, 1, 130],
  [64, 64, 64],
  [130, 50, 65],
  [33, 257, 130],
  [200, 96, 301],
];

const gemmCases: readonly ContractCase[] = gemmSizes.map(([m, n, k]) => ({
  title: `gemm of ${m} x ${n} over ${k} in every layout`,
  run(trial) {
    let variant = 0;
    for (const transposeA of booleans)
      for (const transposeB of booleans)
        for (const compute of computes)
          for (const dtype of dtypes) {
            variant++;
            const accumulate = variant % 3 === 0;
            const alpha = variant % 2 === 0 ? 0.75 : 1;
            const label = `gemm A${transposeA ? "ᵀ" : ""} B${transposeB ? "ᵀ" : ""} ${compute} ${dtype} alpha ${alpha} ${accumulate ? "accumulate" : ""}`;
            trial.kernels.gemm({
              a: trial.input(transposeA ? [k, m] : [m, k], dtype),
              b: trial.input(transposeB ? [n, k] : [k, n], dtype),
              c: trial.output(label, [m, n], dtype, { initial: accumulate }),
              transposeA,
              transposeB,
              alpha,
              accumulate,
              bias: variant % 4 < 2 ? trial.input([n], dtype) : null,
              addend: variant % 5 < 2 ? trial.input([m, n], dtype) : null,
              compute,
            });
          }
  },
}));

const mixedGemmCase: ContractCase = {
  title: "gemm with every mixture of f32 and bf16 tensors",
  run(trial) {
    for (const a of dtypes)
      for (const b of dtypes)
        for (const c of dtypes)
          for (const compute of computes)
            for (const accumulate of booleans)
              trial.kernels.gemm({
                a: trial.input([19, 37], a),
                b: trial.input([45, 37], b),
                c: trial.output(`gemm ${a} x ${b} to ${c} in ${compute}`, [19, 45], c, { initial: accumulate }),
                transposeB: true,
                accumulate,
                bias: trial.input([45], a),
                addend: accumulate ? null : trial.input([19, 45], b),
                compute,
              });
  },
};

const emptyGemmCase: ContractCase = {
  title: "gemm without rows writes nothing",
  run: (trial) =>
    trial.kernels.gemm({
      a: trial.input([0, 5]),
      b: trial.input([5, 4]),
      c: trial.output("c", [0, 4]),
      compute: "f32",
    }),
};

interface Grouping {
  readonly name: string;
  readonly segments: readonly number[];
}

const groupings: readonly Grouping[] = [
  { name: "one group", segments: [0, 17] },
  { name: "three groups, the middle one empty", segments: [0, 3, 3, 20] },
  { name: "six groups of 1, 0, 63, 2, 0 and 64 rows", segments: [0, 1, 1, 64, 66, 66, 130] },
  { name: "no rows at all", segments: [0, 0, 0] },
];

/** `[K or P, P or Q]`: rank by width in both orders, as LoRA uses them. */
const segmentSizes: readonly (readonly [number, number])[] = [
  [1, 7],
  [24, 4],
  [4, 24],
  [70, 33],
];

const segmentCases: readonly ContractCase[] = groupings.flatMap((grouping) => [
  { title: `segmentGemm over ${grouping.name}`, run: (trial: Trial) => runSegmentGemm(trial, grouping) },
  { title: `segmentOuter over ${grouping.name}`, run: (trial: Trial) => runSegmentOuter(trial, grouping) },
]);

function factors(trial: Trial, grouping: Grouping): { alpha: Float32Array; segments: Int32Array; numRows: number } {
  const segments = Int32Array.from(grouping.segments);
  return { alpha: Float32Array.from(trial.normals(segments.length - 1)), segments, numRows: segments.at(-1)! };
}

function runSegmentGemm(trial: Trial, grouping: Grouping): void {
  let variant = 0;
  for (const [k, p] of segmentSizes)
    for (const transposeB of booleans)
      for (const compute of computes)
        for (const accumulate of booleans) {
          const { alpha, segments, numRows } = factors(trial, grouping);
          const [a, b, c] = [0, 1, 2].map((bit) => dtypes[(variant >> bit) & 1]!) as [DType, DType, DType];
          variant += 3;
          trial.kernels.segmentGemm({
            a: trial.input([numRows, k], a),
            b: trial.input(transposeB ? [alpha.length, p, k] : [alpha.length, k, p], b),
            c: trial.output(`segmentGemm ${k} to ${p} ${a} ${b} ${c} in ${compute}`, [numRows, p], c, {
              initial: accumulate,
            }),
            transposeB,
            alpha,
            segments,
            accumulate,
            compute,
          });
        }
}

function runSegmentOuter(trial: Trial, grouping: Grouping): void {
  let variant = 0;
  for (const [p, q] of segmentSizes)
    for (const compute of computes)
      for (const accumulate of booleans) {
        const { alpha, segments, numRows } = factors(trial, grouping);
        const [a, b, c] = [0, 1, 2].map((bit) => dtypes[(variant >> bit) & 1]!) as [DType, DType, DType];
        variant += 3;
        trial.kernels.segmentOuter({
          a: trial.input([numRows, p], a),
          b: trial.input([numRows, q], b),
          c: trial.output(`segmentOuter ${p} by ${q} ${a} ${b} ${c} in ${compute}`, [alpha.length, p, q], c, {
            initial: accumulate,
          }),
          alpha,
          segments,
          accumulate,
          compute,
        });
      }
}

export const productCases: readonly ContractCase[] = [...gemmCases, mixedGemmCase, emptyGemmCase, ...segmentCases];

/** @file Contract cases of the matrix products: sizes around every block edge, all layouts, all mixtures of dtypes. */
import type { ComputeType, DType } from "../dtype.ts";
import type { ContractCase } from "./trial.ts";

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
  // rows read where they lie, several steps of k, several blocks, more rows than are packed at a time
  [64, 48, 96],
  [5, 40, 2112],
  [40, 33, 1100],
  [260, 20, 530],
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

export const productCases: readonly ContractCase[] = [...gemmCases, mixedGemmCase, emptyGemmCase];

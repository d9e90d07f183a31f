/** @file Row lookup: token embeddings and any other gather. */
import type { DType } from "../dtype.ts";
import type { Scope } from "../scope.ts";
import type { Tensor } from "../tensor.ts";

/** `y[i] = x[rows[i]]`; the backward pass adds rows in ascending `i`. `x [R, D]`, result `[N, D]`. */
export function gatherRows(scope: Scope, x: Tensor<"R D">, rows: Int32Array, dtype: DType = x.dtype): Tensor<"N D"> {
  const { kernels } = scope.backend;
  const y = scope.empty([rows.length, x.shape[1]!], dtype);
  kernels.gatherRows({ x, rows, y });
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    if (!accumulate) kernels.axpby({ x: grad, alpha: 0, y: grad, beta: 0 });
    kernels.scatterAddRows({ x: gradients.of(y)!, rows, y: grad });
  });
  return y;
}

/** Token embeddings: row `tokenIds[i]` of `weight [V, D]`. */
export const embedding: (scope: Scope, weight: Tensor<"V D">, tokenIds: Int32Array, dtype?: DType) => Tensor<"N D"> = gatherRows;

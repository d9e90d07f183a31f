/** @file Row lookup: token embeddings and any other gather. */
import type { DType } from "../dtype.ts";
import type { Scope } from "../scope.ts";
import { checkIndices } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** `y[i] = x[rows[i]]`; the backward pass adds rows in ascending `i`. `x [R, D]`, result `[N, D]`. */
export function gatherRows(scope: Scope, x: Tensor<"R D">, rows: Int32Array, dtype: DType = x.dtype): Tensor<"N D"> {
  checkIndices("gatherRows: rows", rows, x.shape[0]!);
  const { kernels } = scope.backend;
  const y = scope.empty([rows.length, x.shape[1]!], dtype);
  kernels.gatherRows({ x, rows, y });
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    const gradY = gradients.of(y)!;
    if (grad.dtype === "bf16") {
      // repeated rows are summed in f32 and rounded once
      const total = scope.zeros(grad.shape, "f32");
      kernels.scatterAddRows({ x: gradY, rows, y: total });
      kernels.axpby({ x: total, alpha: 1, y: grad, beta: accumulate ? 1 : 0 });
      scope.discard(total);
      return;
    }
    if (!accumulate) grad.data.fill(0);
    kernels.scatterAddRows({ x: gradY, rows, y: grad });
  });
  return y;
}

/** Token embeddings: row `tokenIds[i]` of `weight [V, D]`. */
export const embedding: (scope: Scope, weight: Tensor<"V D">, tokenIds: Int32Array, dtype?: DType) => Tensor<"N D"> =
  gatherRows;

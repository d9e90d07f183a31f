/** @file Row lookup and its reverse: token embeddings and any other gather, rows summed into others. */
import type { DType } from "../dtype.ts";
import type { Scope } from "../scope.ts";
import { checkIndices, checkShape } from "../shape.ts";
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

/**
 * `y = base`, then `y[rows[i]] += x[i]` in ascending `i`: what experts computed, back where their tokens stand.
 * Sums are f32 and rounded once.
 *
 * @param base - `[R, D]`; the result is stored as it is.
 * @param x - `[N, D]`.
 * @param rows - `[N]`, each below R; a row may come several times or never.
 */
export function scatterAddRows(scope: Scope, base: Tensor<"R D">, x: Tensor<"N D">, rows: Int32Array): Tensor<"R D"> {
  checkShape("scatterAddRows: base", base.shape, [null, null], "rows to add to");
  checkShape("scatterAddRows: x", x.shape, [rows.length, base.shape[1]!], "one row of the same width per index");
  checkIndices("scatterAddRows: rows", rows, base.shape[0]!);
  const { kernels } = scope.backend;
  const total = scope.empty(base.shape, base.dtype === "f64" ? "f64" : "f32");
  kernels.axpby({ x: base, alpha: 1, y: total, beta: 0 });
  kernels.scatterAddRows({ x, rows, y: total });
  const y = base.dtype === "bf16" ? scope.empty(base.shape, "bf16") : total;
  if (y !== total) {
    kernels.axpby({ x: total, alpha: 1, y, beta: 0 });
    scope.discard(total);
  }
  scope.record([base, x], [y], (gradients) => {
    const gradY = gradients.of(y)!;
    const target = gradients.into(x);
    if (target?.accumulate) {
      const gathered = scope.empty(x.shape, target.grad.dtype);
      kernels.gatherRows({ x: gradY, rows, y: gathered });
      kernels.axpby({ x: gathered, alpha: 1, y: target.grad, beta: 1 });
      scope.discard(gathered);
    } else if (target) kernels.gatherRows({ x: gradY, rows, y: target.grad });
    gradients.pass(y, base);
  });
  return y;
}

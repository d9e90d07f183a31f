/** @file Products of many matrices at once: one per batch entry, or one per group of rows (mixture of experts). */
import { ShapeError } from "../../util/index.ts";
import type { ComputeType } from "../dtype.ts";
import type { BatchedGemmArgs } from "../primitive-args.ts";
import type { Scope } from "../scope.ts";
import { checkOffsets, checkShape, describeShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** Options of {@link batchedMatmul}. */
export interface BatchedMatmulOptions {
  /** `a` is `[B, K, M]`. @defaultValue false */
  readonly transposeA?: boolean;
  /** `b` is `[B, N, K]`. @defaultValue false */
  readonly transposeB?: boolean;
  readonly compute: ComputeType;
}

/**
 * `y[i] = op(a[i]) · op(b[i])` for every matrix `i` of a batch. A factor `[1, …]` is shared by the whole batch; its gradient
 * is then the sum over the batch.
 *
 * @param a - `[B, M, K]`, or `[B, K, M]` with `transposeA`; B or 1 matrices.
 * @param b - `[B, K, N]`, or `[B, N, K]` with `transposeB`; B or 1 matrices.
 * @returns `[B, M, N]`, stored as `a` is.
 * @throws {@link ShapeError} when the sizes do not meet.
 */
export function batchedMatmul(
  scope: Scope,
  a: Tensor<"B M K">,
  b: Tensor<"B K N">,
  options: BatchedMatmulOptions,
): Tensor<"B M N"> {
  const { transposeA = false, transposeB = false, compute } = options;
  checkShape("batchedMatmul: a", a.shape, [null, null, null], "a stack of matrices");
  const [m, k] = transposeA ? [a.shape[2]!, a.shape[1]!] : [a.shape[1]!, a.shape[2]!];
  checkShape("batchedMatmul: b", b.shape, transposeB ? [null, null, k] : [null, k, null], "both share the inner size");
  const n = b.shape[transposeB ? 1 : 2]!;
  const [countA, countB] = [a.shape[0]!, b.shape[0]!];
  if (countA !== countB && countA !== 1 && countB !== 1)
    throw new ShapeError(
      "batchedMatmul",
      "as many matrices in both factors, or one in either",
      `${describeShape(a.shape)} and ${describeShape(b.shape)}`,
    );
  const { kernels } = scope.backend;
  const y = scope.empty([countA === 1 ? countB : countA, m, n], a.dtype);
  kernels.batchedGemm({ a, b, c: y, transposeA, transposeB, compute });
  scope.record([a, b], [y], (gradients) => {
    const gradY = gradients.of(y)!;
    const into = (input: Tensor, factors: Omit<BatchedGemmArgs, "c" | "accumulate" | "compute">): void => {
      const target = gradients.into(input);
      if (target !== null) kernels.batchedGemm({ ...factors, c: target.grad, accumulate: target.accumulate, compute });
    };
    // y = A B: dA = dY Bᵀ and dB = Aᵀ dY, or the transposes of these, where A = op(a) and B = op(b)
    if (transposeA) into(a, { a: b, b: gradY, transposeA: transposeB, transposeB: true });
    else into(a, { a: gradY, b, transposeB: !transposeB });
    if (transposeB) into(b, { a: gradY, b: a, transposeA: true, transposeB: transposeA });
    else into(b, { a, b: gradY, transposeA: !transposeA });
  });
  return y;
}

/** Options of {@link groupedMatmul}. */
export interface GroupedMatmulOptions {
  readonly compute: ComputeType;
}

/**
 * `y = x W_gᵀ` for the rows of each group, like a `linear` layer per group: the experts of a mixture, once tokens are sorted
 * by expert. Work is proportional to the rows, however they are spread. Weights of a group without rows get zero gradients.
 *
 * @param x - `[N, in]`, the rows of a group side by side.
 * @param weight - `[G, out, in]`.
 * @param offsets - `[G + 1]`, ascending from 0 to N: group `g` owns rows `offsets[g] .. offsets[g + 1]` and may own none.
 * @returns `[N, out]`, stored as `x` is.
 * @throws {@link ShapeError} when the sizes do not meet or the offsets do not divide the rows.
 */
export function groupedMatmul(
  scope: Scope,
  x: Tensor<"N in">,
  weight: Tensor<"G out in">,
  offsets: Int32Array,
  options: GroupedMatmulOptions,
): Tensor<"N out"> {
  checkShape("groupedMatmul: weight", weight.shape, [null, null, null], "one matrix per group");
  const [numGroups, outSize, inSize] = weight.shape as [number, number, number];
  checkShape("groupedMatmul: x", x.shape, [null, inSize], "its width is the input size of the groups");
  checkOffsets("groupedMatmul: offsets", offsets, numGroups, x.shape[0]!);
  const { kernels } = scope.backend;
  const { compute } = options;
  const y = scope.empty([x.shape[0]!, outSize], x.dtype);
  kernels.groupedGemm({ a: x, b: weight, c: y, offsets, transposeB: true, compute });
  scope.record([x, weight], [y], (gradients) => {
    const gradY = gradients.of(y)!;
    const intoX = gradients.into(x);
    if (intoX !== null)
      kernels.groupedGemm({ a: gradY, b: weight, c: intoX.grad, offsets, accumulate: intoX.accumulate, compute });
    const intoWeight = gradients.into(weight);
    if (intoWeight !== null)
      kernels.groupedOuter({
        a: gradY,
        b: x,
        c: intoWeight.grad,
        offsets,
        accumulate: intoWeight.accumulate,
        compute,
      });
  });
  return y;
}

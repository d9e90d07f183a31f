/** @file RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467) and LayerNorm (Ba et al. 2016, arXiv 1607.06450); statistics in f32. */
import { ShapeError } from "../../util/index.ts";
import type { DType } from "../dtype.ts";
import type { Scope } from "../scope.ts";
import { checkShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const statisticsDtype = (x: Tensor): DType => (x.dtype === "f64" ? "f64" : "f32");

/** `y = w ⊙ x / sqrt(mean(x²) + eps)` per row; `x [N, D]`, `weight [D]`; the result has `dtype`, by default that of `x`. */
export function rmsNorm(
  scope: Scope,
  x: Tensor<"N D">,
  weight: Tensor<"D">,
  eps: number,
  dtype: DType = x.dtype,
): Tensor<"N D"> {
  checkShape("rmsNorm: weight", weight.shape, [x.shape[1]!], "one weight per feature");
  const { kernels } = scope.backend;
  const y = scope.empty(x.shape, dtype);
  const rstd = scope.empty([x.shape[0]!], statisticsDtype(x));
  kernels.rmsNorm({ x, weight, eps, y, rstd });
  scope.record(
    [x, weight],
    [y],
    (gradients) =>
      kernels.rmsNormBackward({
        x,
        weight,
        rstd,
        gradY: gradients.of(y)!,
        gradX: gradients.into(x),
        gradWeight: gradients.into(weight),
      }),
    [rstd],
  );
  return y;
}

/**
 * {@link rmsNorm} of every head by itself: `x [N, H·E]`, `weight [E]` is shared by all heads, statistics are of `E` numbers.
 * Queries and keys go through it in models with "QK norm" (Henry et al. 2020, arXiv 2010.04245, with RMSNorm).
 */
export function rmsNormHeads(scope: Scope, x: Tensor<"N HE">, weight: Tensor<"E">, eps: number): Tensor<"N HE"> {
  const [numRows, width] = x.shape as [number, number];
  const headDim = weight.size;
  if (width % headDim !== 0)
    throw new ShapeError("rmsNormHeads: x", `whole heads of ${headDim}`, `rows of ${width}`, "one weight per feature");
  const byHead = (tensor: Tensor): Tensor => tensor.reshape([(numRows * width) / headDim, headDim]);
  const { kernels } = scope.backend;
  const y = scope.empty(x.shape, x.dtype);
  const rstd = scope.empty([(numRows * width) / headDim], statisticsDtype(x));
  kernels.rmsNorm({ x: byHead(x), weight, eps, y: byHead(y), rstd });
  scope.record(
    [x, weight],
    [y],
    (gradients) => {
      const into = gradients.into(x);
      kernels.rmsNormBackward({
        x: byHead(x),
        weight,
        rstd,
        gradY: byHead(gradients.of(y)!),
        gradX: into && { grad: byHead(into.grad), accumulate: into.accumulate },
        gradWeight: gradients.into(weight),
      });
    },
    [rstd],
  );
  return y;
}

/** `y = w ⊙ (x - mean) / sqrt(var + eps) + bias` per row, biased variance; `x [N, D]`, `weight`, `bias` `[D]`. */
export function layerNorm(
  scope: Scope,
  x: Tensor<"N D">,
  weight: Tensor<"D">,
  bias: Tensor<"D">,
  eps: number,
  dtype: DType = x.dtype,
): Tensor<"N D"> {
  checkShape("layerNorm: weight", weight.shape, [x.shape[1]!], "one weight per feature");
  checkShape("layerNorm: bias", bias.shape, [x.shape[1]!], "one bias per feature");
  const { kernels } = scope.backend;
  const y = scope.empty(x.shape, dtype);
  const mean = scope.empty([x.shape[0]!], statisticsDtype(x));
  const rstd = scope.empty([x.shape[0]!], statisticsDtype(x));
  kernels.layerNorm({ x, weight, bias, eps, y, mean, rstd });
  scope.record(
    [x, weight, bias],
    [y],
    (gradients) =>
      kernels.layerNormBackward({
        x,
        weight,
        mean,
        rstd,
        gradY: gradients.of(y)!,
        gradX: gradients.into(x),
        gradWeight: gradients.into(weight),
        gradBias: gradients.into(bias),
      }),
    [mean, rstd],
  );
  return y;
}

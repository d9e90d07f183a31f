/**
 * @file Linear layers: `y = x Wᵀ + bias`, with LoRA (Hu et al. 2021, arXiv 2106.09685) for many adapters at once.
 *
 * Adapter rows are contiguous: adapter `g` owns rows `segments[g] .. segments[g + 1]` and adds
 * `scale_g · (x A_gᵀ) B_gᵀ`. Adapters of lower rank than `r` are padded with zeros, which stay zero under training:
 * a zero row of A meets a zero column of B, so both gradients vanish.
 * Next on the tour: `src/tensor/backends/reference/gemm.ts`.
 */
import type { ComputeType, DType } from "../dtype.ts";
import type { Scope } from "../scope.ts";
import { checkOffsets, checkShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** Low-rank updates of one linear layer for each adapter of a batch. */
export interface LoraWeights {
  /** `[G, r, in]`. */
  readonly loraA: Tensor<"G r in">;
  /** `[G, out, r]`. */
  readonly loraB: Tensor<"G out r">;
  /** `loraAlpha / loraRank` of each adapter. */
  readonly scales: Float32Array;
  /** Row ranges of the adapters, `[G + 1]`. */
  readonly segments: Int32Array;
}

/** Options of {@link linear}. */
export interface LinearOptions {
  readonly bias?: Tensor<"out"> | null;
  readonly lora?: LoraWeights | null;
  readonly compute: ComputeType;
  /** `[N, out]`, added to the result, which then has its dtype: the stream that the last layer of a branch joins. */
  readonly residual?: Tensor<"N out"> | null;
  /** Storage of the result. @defaultValue the dtype of `residual`, else of `x` */
  readonly dtype?: DType;
}

/**
 * `y = x Wᵀ (+ bias) (+ residual) (+ scale (x Aᵀ) Bᵀ)`.
 *
 * @param x - `[N, in]`.
 * @param weight - `[out, in]`, the layout of checkpoints.
 * @returns `[N, out]`.
 * @throws {@link ShapeError} when the sizes do not meet.
 */
export function linear(
  scope: Scope,
  x: Tensor<"N in">,
  weight: Tensor<"out in">,
  options: LinearOptions,
): Tensor<"N out"> {
  const [outSize, inSize] = weight.shape as [number, number];
  const { compute, lora, bias = null, residual = null } = options;
  checkShape("linear: x", x.shape, [null, inSize], "its width is the layer's input size");
  if (bias) checkShape("linear: bias", bias.shape, [outSize], "one bias per output feature");
  const { kernels } = scope.backend;
  if (residual) checkShape("linear: residual", residual.shape, [x.shape[0]!, outSize], "one term per output");
  const y = scope.empty([x.shape[0]!, outSize], options.dtype ?? residual?.dtype ?? x.dtype);
  kernels.gemm({ a: x, b: weight, c: y, transposeB: true, bias, addend: residual, compute });
  const lowRank = lora ? addLora(scope, x, y, lora, compute) : null; // [N, r]
  const inputs = [x, weight, bias, residual, lora?.loraA, lora?.loraB];
  scope.record(
    inputs,
    [y],
    (gradients) => {
      const gradY = gradients.of(y)!;
      const intoX = gradients.into(x);
      if (intoX !== null) kernels.gemm({ a: gradY, b: weight, c: intoX.grad, accumulate: intoX.accumulate, compute });
      if (lora && lowRank !== null)
        kernels.loraBackward({
          x,
          ...lora,
          lowRank,
          gradY,
          gradX: intoX?.grad ?? null, // holds gradY W already
          gradA: gradients.into(lora.loraA),
          gradB: gradients.into(lora.loraB),
          compute,
        });
      const intoWeight = gradients.into(weight);
      if (intoWeight !== null)
        kernels.gemm({
          a: gradY,
          b: x,
          c: intoWeight.grad,
          transposeA: true,
          accumulate: intoWeight.accumulate,
          compute,
        });
      const intoBias = bias ? gradients.into(bias) : null;
      if (intoBias !== null) sumRows(scope, gradY, intoBias.grad, intoBias.accumulate);
      if (residual !== null) gradients.pass(y, residual);
    },
    lowRank === null ? [] : [lowRank],
  );
  return y;
}

/** `y += scale (x Aᵀ) Bᵀ`; returns `x Aᵀ` for the backward pass. */
function addLora(scope: Scope, x: Tensor, y: Tensor, lora: LoraWeights, compute: ComputeType): Tensor {
  const { kernels } = scope.backend;
  const { loraA, loraB, scales, segments } = lora;
  checkShape(
    "linear: loraA",
    loraA.shape,
    [scales.length, null, x.shape[1]!],
    "one loraA per adapter, of the layer's input size",
  );
  checkShape(
    "linear: loraB",
    loraB.shape,
    [scales.length, y.shape[1]!, loraA.shape[1]!],
    "loraA and loraB share their rank",
  );
  checkOffsets("linear: segments", segments, scales.length, x.shape[0]!);
  const lowRank = scope.empty([x.shape[0]!, loraA.shape[1]!], x.dtype);
  kernels.lora({ x, loraA, loraB, scales, segments, lowRank, y, compute });
  return lowRank;
}

/** Column sums of `x [N, D]` into `y [D]`, as a product with a row of ones. */
function sumRows(scope: Scope, x: Tensor, y: Tensor, accumulate: boolean): void {
  const ones = scope.empty([1, x.shape[0]!], x.dtype === "f64" ? "f64" : "f32");
  ones.data.fill(1);
  scope.backend.kernels.gemm({ a: ones, b: x, c: y.reshape([1, y.size]), accumulate, compute: "f32" });
  scope.discard(ones);
}

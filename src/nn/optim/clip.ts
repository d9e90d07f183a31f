/** @file Gradient norms and the factor that brings them down to a limit. */
import type { Tensor } from "../../tensor/index.ts";

/** Keeps the factor finite for tiny norms; the constant of `torch.nn.utils.clip_grad_norm_`. */
const normEpsilon = 1e-6;

/** Euclidean norm of all elements of `flat`. */
export function globalNorm(flat: Tensor): number {
  return Math.sqrt(flat.backend.kernels.sumSquares({ x: flat, offsets: Int32Array.of(0, flat.size) })[0]!);
}

/** Factor on the gradient, at most 1, that limits its norm to `clipNorm`; a limit of 0 means no limit. */
export function clipScale(gradNorm: number, clipNorm: number): number {
  return clipNorm > 0 ? Math.min(1, clipNorm / (gradNorm + normEpsilon)) : 1;
}

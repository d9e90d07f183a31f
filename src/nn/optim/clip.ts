/** @file Gradient norms and the factor that brings them down to a limit. */
import { type GradientTransform, noState, type Setting, settingOf } from "./transform.ts";

/** Keeps the factor finite for tiny norms; the constant of `torch.nn.utils.clip_grad_norm_`. */
const normEpsilon = 1e-6;

/** Factor on the gradient, at most 1, that limits its norm to `clipNorm`; a limit of 0 means no limit. */
export function clipScale(gradNorm: number, clipNorm: number): number {
  return clipNorm > 0 ? Math.min(1, clipNorm / (gradNorm + normEpsilon)) : 1;
}

/** Limits the norm of each group's updates; 0 means no limit. */
export function clipByGlobalNorm(limit: Setting): GradientTransform {
  return {
    name: "clipByGlobalNorm",
    init: noState,
    update(updates) {
      const limits = updates.groups.map((group) => settingOf(limit, group));
      if (limits.every((clipNorm) => clipNorm === 0)) return;
      updates.norms().forEach((norm, index) => {
        updates.multiply(index, clipScale(norm, limits[index]!));
      });
    },
  };
}

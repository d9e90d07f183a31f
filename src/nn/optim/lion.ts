/**
 * @file Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms", arXiv 2302.06675, algorithm 2): every
 * parameter moves by the learning rate, and the sign of a moving average says where. One moment instead of two.
 * Deviation: signs and moments are computed in a loop on host memory; no backend has a kernel for them.
 * Rates are three to ten times smaller than with AdamW, and decays as much larger (section 5 of the paper).
 */
import { zeros } from "../../tensor/index.ts";
import { SelkieError } from "../../util/index.ts";
import { addDecayedWeights } from "./decay.ts";
import { scaleByLearningRate } from "./schedule.ts";
import { chain, type GradientTransform, type Setting } from "./transform.ts";

/** Settings of Lion; the defaults are those of the paper. */
export interface LionOptions {
  /** Share of the moment in the direction, in [0, 1). @defaultValue 0.9 */
  readonly beta1?: number;
  /** Decay of the moment, in [0, 1). @defaultValue 0.99 */
  readonly beta2?: number;
}

/** Updates become signs: `sign(β₁ m + (1-β₁) g)`, then `m ← β₂ m + (1-β₂) g`. */
export function scaleByLion({ beta1 = 0.9, beta2 = 0.99 }: LionOptions = {}): GradientTransform {
  if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1))
    throw new SelkieError("bad-option", `Lion: expected betas in [0, 1), got ${beta1} and ${beta2}`);
  return {
    name: "scaleByLion",
    init: ({ flatGrad: { backend, shape, dtype } }) => ({ tensors: { momentum: zeros(backend, shape, dtype) } }),
    reset(_, { tensors }, runs) {
      for (const { offset, length } of runs) tensors["momentum"]!.data.fill(0, offset, offset + length);
    },
    update(updates, { tensors }) {
      const { data } = updates.values();
      const momentum = tensors["momentum"]!.data;
      for (const { offset, length } of updates.runsInOrder())
        for (let i = offset; i < offset + length; i++) {
          const [m, g] = [momentum[i]!, data[i]!];
          data[i] = Math.sign(beta1 * m + (1 - beta1) * g);
          momentum[i] = beta2 * m + (1 - beta2) * g;
        }
    },
  };
}

/** Lion: `w ← w - lr · (sign(β₁ m + (1-β₁) g) + wd · w)`. */
export const lion = ({
  learningRate,
  weightDecay = 0,
  ...options
}: LionOptions & { readonly learningRate: Setting; readonly weightDecay?: Setting }): GradientTransform =>
  chain(scaleByLion(options), addDecayedWeights(weightDecay), scaleByLearningRate(learningRate));

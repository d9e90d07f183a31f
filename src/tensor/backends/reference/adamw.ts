/** @file AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) on runs of a flat store. */
import type { AdamWArgs, AdamWSegment } from "../../backend.ts";
import { store, widen } from "./values.ts";

/** Updates the runs in `segments` and leaves the rest alone. */
export function adamW(args: AdamWArgs): void {
  for (const segment of args.segments) updateRun(args, segment);
}

/** `m ← β₁m + (1-β₁)g`, `v ← β₂v + (1-β₂)g²`, `w ← w - lr·wd·w - lr · m̂ / (√v̂ + ε)`, hats divided by `1 - βᵗ`. */
function updateRun(args: AdamWArgs, segment: AdamWSegment): void {
  const { beta1, beta2, epsilon } = args;
  const { offset, length, learningRate, weightDecay, gradScale, step } = segment;
  const runs = [args.params, args.grads, args.moment1, args.moment2].map((tensor) =>
    widen(tensor.view(offset, [length])).slice(),
  );
  const [params, grads, moment1, moment2] = runs as [Float64Array, Float64Array, Float64Array, Float64Array];
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  for (let i = 0; i < length; i++) {
    const gradient = gradScale * grads[i]!;
    const m = beta1 * moment1[i]! + (1 - beta1) * gradient;
    const v = beta2 * moment2[i]! + (1 - beta2) * gradient * gradient;
    const update = m / correction1 / (Math.sqrt(v / correction2) + epsilon);
    params[i] = params[i]! - learningRate * weightDecay * params[i]! - learningRate * update;
    moment1[i] = m;
    moment2[i] = v;
  }
  store(args.params, params, false, offset);
  store(args.moment1, moment1, false, offset);
  store(args.moment2, moment2, false, offset);
}

/**
 * @file AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) as a gradient transform. Weight decay is decoupled and acts on
 * matrices alone, as is usual; norms and biases have none.
 */
import { type AdamWSegment, zeros } from "../../tensor/index.ts";
import { SelkieError } from "../../util/index.ts";
import { cutAtMatrices, matrixRuns } from "./decay.ts";
import { type GradientTransform, type Setting, settingOf, type TransformState, type Updates } from "./transform.ts";

/** Settings of Adam; the defaults are those of PyTorch. */
export interface AdamOptions {
  /** Decay of the first moment, in [0, 1). @defaultValue 0.9 */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). @defaultValue 0.999 */
  readonly beta2?: number;
  /** Added to the root of the second moment; greater than 0. @defaultValue 1e-8 */
  readonly epsilon?: number;
}

/** Settings of {@link adamW} besides the learning rate. */
export interface AdamWOptions extends AdamOptions {
  /** Decoupled weight decay of matrices; norms and biases have none. @defaultValue 0 */
  readonly weightDecay?: number;
}

type Moments = Pick<GradientTransform, "init" | "reset">;

/** Two moments of every parameter, from zero. */
const moments: Moments = {
  init({ flatGrad: { backend, shape, dtype } }) {
    return { tensors: { moment1: zeros(backend, shape, dtype), moment2: zeros(backend, shape, dtype) } };
  },
  reset(_, { tensors }, runs) {
    for (const { offset, length } of runs)
      for (const moment of Object.values(tensors)) moment.data.fill(0, offset, offset + length);
  },
};

function checked({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 }: AdamOptions): Required<AdamOptions> {
  if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1 && epsilon > 0))
    throw new SelkieError(
      "bad-option",
      `AdamW: expected betas in [0, 1) and a positive epsilon, got ${beta1}, ${beta2} and ${epsilon}`,
    );
  return { beta1, beta2, epsilon };
}

/** Runs the kernel; `target` are its parameters. */
function callKernel(
  updates: Updates,
  target: "parameters" | "updates",
  { tensors }: TransformState,
  options: Required<AdamOptions>,
  segments: readonly AdamWSegment[],
): void {
  const { flat, flatGrad } = updates.store;
  const { moment1, moment2 } = tensors;
  flat.backend.kernels.adamW({
    params: target === "parameters" ? flat : flatGrad,
    grads: flatGrad,
    moment1: moment1!,
    moment2: moment2!,
    ...options,
    segments,
  });
}

const isSameSettings = (a: AdamWSegment, b: AdamWSegment): boolean =>
  a.learningRate === b.learningRate &&
  a.weightDecay === b.weightDecay &&
  a.gradScale === b.gradScale &&
  a.step === b.step;

/** `segment` after the others, joined to the last where it goes on with the same settings. */
function append(segments: AdamWSegment[], segment: AdamWSegment): void {
  const last = segments.at(-1);
  if (last !== undefined && last.offset + last.length === segment.offset && isSameSettings(last, segment))
    segments[segments.length - 1] = { ...last, length: last.length + segment.length };
  else segments.push(segment);
}

/** Updates divided by the root of their mean square: `m̂ / (√v̂ + ε)`, hats meaning bias correction by `1 - βᵗ`. */
export function scaleByAdam(options: AdamOptions = {}): GradientTransform {
  const settings = checked(options);
  return {
    name: "scaleByAdam",
    ...moments,
    update(updates, state) {
      updates.values();
      const segments: AdamWSegment[] = [];
      // with a rate and a decay of -1 the kernel's `w - lr·wd·w - lr·u` is `u`
      const shared = { learningRate: -1, weightDecay: -1, gradScale: 1 };
      for (const { offset, length, index } of updates.runsInOrder())
        append(segments, { ...shared, offset, length, step: updates.groups[index]!.step + 1 });
      callKernel(updates, "updates", state, settings, segments);
    },
  };
}

/**
 * AdamW: `w ← w - lr · wd · w - lr · m̂ / (√v̂ + ε)`. It is `chain(scaleByAdam(), addDecayedWeights(wd), scaleByLearningRate(lr))`
 * in one pass over memory, pending factors on the gradient included, and differs from that only in rounding.
 */
export function adamW({
  learningRate,
  weightDecay = 0,
  ...options
}: AdamOptions & { readonly learningRate: Setting; readonly weightDecay?: Setting }): GradientTransform {
  const settings = checked(options);
  return {
    name: "adamW",
    learningRate,
    isLast: true,
    ...moments,
    update(updates, state) {
      const { store, groups } = updates;
      const matrices = matrixRuns(store);
      const shared = groups.map((group, index) => ({
        learningRate: settingOf(learningRate, group),
        gradScale: updates.factorOf(index),
        step: group.step + 1,
      }));
      const decays = groups.map((group) => settingOf(weightDecay, group));
      const segments: AdamWSegment[] = [];
      for (const { index, ...run } of updates.runsInOrder())
        for (const { isMatrix, offset, length } of cutAtMatrices(run, matrices))
          append(segments, { ...shared[index]!, offset, length, weightDecay: isMatrix ? decays[index]! : 0 });
      callKernel(updates, "parameters", state, settings, segments);
      updates.isApplied = true;
    },
  };
}

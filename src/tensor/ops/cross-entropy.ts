/**
 * @file The output layer fused with its loss: log-probabilities of given tokens under `softmax(hidden · weightᵀ)`,
 * chunk by chunk, so that `N × V` logits never exist at once. Losses are weighted sums of these log-probabilities.
 */
import { ShapeError } from "../../util/index.ts";
import type { ComputeType } from "../dtype.ts";
import type { Scope } from "../scope.ts";
import { checkIndices, checkShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** Options shared by the losses of this file. */
export interface OutputLayerOptions {
  readonly compute: ComputeType;
}

/** A loss and the log-probabilities it came from. */
export interface CrossEntropy {
  /** Scalar: `-Σ lossWeights[i] · logprobs[i]`, nats. */
  readonly loss: Tensor<"">;
  /** `[N]`, nats; no gradient flows through them. */
  readonly logprobs: Tensor<"N">;
}

/**
 * Weighted next-token loss `-Σ w_i log p(target_i)`. Gradients of `hidden` and `weight` are computed together with the
 * loss, so the logits are formed once.
 *
 * @param hidden - `[N, D]`.
 * @param weight - `[V, D]`.
 * @param targets - `[N]` token ids; negative skips the row.
 * @param lossWeights - `[N]`, the loss mask divided by the number of supervised tokens; 0 skips the row.
 */
export function crossEntropy(
  scope: Scope,
  hidden: Tensor<"N D">,
  weight: Tensor<"V D">,
  targets: Int32Array,
  lossWeights: Float32Array,
  options: OutputLayerOptions,
): CrossEntropy {
  checkShape("crossEntropy: hidden", hidden.shape, [targets.length, weight.shape[1]!], "one target per row");
  checkIndices("crossEntropy: targets", targets, weight.shape[0]!, Number.NEGATIVE_INFINITY);
  if (lossWeights.length !== targets.length)
    throw new ShapeError(
      "crossEntropy: lossWeights",
      `${targets.length} weights`,
      `${lossWeights.length}`,
      "one per row",
    );
  const { backend } = scope;
  const dtype = hidden.dtype === "f64" ? "f64" : "f32";
  const logprobs = scope.empty([targets.length], dtype);
  const active = targets.map((target, row) => (lossWeights[row] === 0 ? -1 : target));
  const recorded = scope.willRecord([hidden, weight]);
  const gradLogprobs = recorded
    ? scope.from(
        lossWeights.map((w) => -w),
        [targets.length],
        dtype,
      )
    : null;
  // computed ahead of the backward pass and scaled by the upstream gradient there
  const gradHidden = recorded && hidden.requiresGrad ? scope.empty(hidden.shape, hidden.dtype) : null;
  const gradWeight = recorded && weight.requiresGrad ? scope.empty(weight.shape, dtype) : null;
  backend.kernels.linearCrossEntropy({
    hidden,
    weight,
    targets: active,
    logprobs,
    gradLogprobs,
    gradHidden: gradHidden && { grad: gradHidden, accumulate: false },
    gradWeight: gradWeight && { grad: gradWeight, accumulate: false },
    compute: options.compute,
  });
  const values = logprobs.readSync();
  let total = 0;
  for (let row = 0; row < active.length; row++) if (active[row]! >= 0) total -= lossWeights[row]! * values[row]!;
  const loss = scope.from([total], [1], dtype);
  scope.record(
    [hidden, weight],
    [loss],
    (gradients) => {
      const upstream = Number(gradients.of(loss)!.readSync()[0]);
      for (const [input, grad] of [
        [hidden, gradHidden],
        [weight, gradWeight],
      ] as const) {
        const target = grad && gradients.into(input);
        if (target)
          backend.kernels.axpby({ x: grad, alpha: upstream, y: target.grad, beta: target.accumulate ? 1 : 0 });
      }
    },
    [gradHidden, gradWeight, gradLogprobs].filter((tensor) => tensor !== null),
  );
  return { loss, logprobs };
}

/**
 * Log-probabilities of given tokens, `[N]` in nats, differentiable: what policy losses are made of.
 * The backward pass forms the logits a second time.
 */
export function tokenLogprobs(
  scope: Scope,
  hidden: Tensor<"N D">,
  weight: Tensor<"V D">,
  targets: Int32Array,
  options: OutputLayerOptions,
): Tensor<"N"> {
  checkShape("tokenLogprobs: hidden", hidden.shape, [targets.length, weight.shape[1]!], "one target per row");
  checkIndices("tokenLogprobs: targets", targets, weight.shape[0]!, Number.NEGATIVE_INFINITY);
  const { kernels } = scope.backend;
  const { compute } = options;
  const logprobs = scope.empty([targets.length], hidden.dtype === "f64" ? "f64" : "f32");
  kernels.linearCrossEntropy({
    hidden,
    weight,
    targets,
    logprobs,
    gradLogprobs: null,
    gradHidden: null,
    gradWeight: null,
    compute,
  });
  scope.record([hidden, weight], [logprobs], (gradients) => {
    const again = scope.empty(logprobs.shape, logprobs.dtype);
    kernels.linearCrossEntropy({
      hidden,
      weight,
      targets,
      logprobs: again,
      gradLogprobs: gradients.of(logprobs)!,
      gradHidden: gradients.into(hidden),
      gradWeight: gradients.into(weight),
      compute,
    });
    scope.discard(again);
  });
  return logprobs;
}

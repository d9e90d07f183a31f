/**
 * @file Log-probability of one token per row under a softmax over the vocabulary, with its gradients.
 * One row of logits exists at a time.
 */
import type { LinearCrossEntropyArgs } from "../../backend.ts";
import { addScaled, multiply } from "./product.ts";
import { roundFactor, store, storeGrad, widen, widenFactor } from "./values.ts";

/** `logprobs[i] = logits[i, target] - logSumExp(logits[i])`; `d / d logits = gradLogprob · (onehot - probs)`. */
export function linearCrossEntropy(args: LinearCrossEntropyArgs): void {
  const { targets, compute } = args;
  const [vocabSize, width] = args.weight.shape as [number, number];
  const hidden = widenFactor(args.hidden, compute);
  const weight = widenFactor(args.weight, compute);
  const gradLogprobs = args.gradLogprobs && widen(args.gradLogprobs);
  const gradHidden = args.gradHidden && gradLogprobs ? new Float64Array(hidden.length) : null;
  const gradWeight = args.gradWeight && gradLogprobs ? new Float64Array(weight.length) : null;
  const logprobs = new Float64Array(targets.length);
  for (let row = 0; row < targets.length; row++) {
    const target = targets[row]!;
    if (target < 0) continue;
    const features = hidden.subarray(row * width, (row + 1) * width);
    const logits = multiply(features, weight, 1, vocabSize, width, 1); // [V]
    const norm = logSumExp(logits);
    logprobs[row] = logits[target]! - norm;
    const upstream = gradLogprobs?.[row] ?? 0;
    if (upstream === 0) continue;
    const gradLogits = roundFactor(gradOfLogits(logits, norm, target, upstream), compute);
    for (let v = 0; v < vocabSize; v++) {
      if (gradHidden !== null) addScaled(gradHidden, row * width, weight, v * width, width, gradLogits[v]!);
      if (gradWeight !== null) addScaled(gradWeight, v * width, features, 0, width, gradLogits[v]!);
    }
  }
  store(args.logprobs, logprobs);
  if (gradHidden !== null) storeGrad(args.gradHidden, gradHidden);
  if (gradWeight !== null) storeGrad(args.gradWeight, gradWeight);
}

function logSumExp(logits: Float64Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let v = 0; v < logits.length; v++) if (logits[v]! > max) max = logits[v]!;
  let total = 0;
  for (let v = 0; v < logits.length; v++) total += Math.exp(logits[v]! - max);
  return max + Math.log(total);
}

/** Overwrites `logits` with their gradient. */
function gradOfLogits(logits: Float64Array, norm: number, target: number, upstream: number): Float64Array {
  for (let v = 0; v < logits.length; v++) logits[v] = -upstream * Math.exp(logits[v]! - norm);
  logits[target] = logits[target]! + upstream;
  return logits;
}

/** @file Sampling kernel: a token from the whole softmax of a row of logits, or its largest. */
import type { SampleRowsArgs } from "../../backend.ts";

/** Index of the largest value, the lowest such index; values that are NaN are passed over. */
function argmax(values: ArrayLike<number>): number {
  let best = -1;
  for (let i = 0; i < values.length; i++)
    if (values[i]! > (best < 0 ? Number.NEGATIVE_INFINITY : values[best]!)) best = i;
  return best;
}

/** The entry at which the running sum of weights passes `threshold`; rounding at the end falls to the last entry that has weight. */
function pick(weights: Float64Array, threshold: number): number {
  let sum = 0;
  let last = -1;
  for (let id = 0; id < weights.length && (last < 0 || sum <= threshold); id++) {
    if (weights[id] === 0) continue;
    sum += weights[id]!;
    last = id;
  }
  return last;
}

export function sampleRows(args: SampleRowsArgs): void {
  const { logits, rows, temperatures, uniforms, tokenIds, logprobs } = args;
  const vocabSize = logits.shape[1]!;
  const values = logits.readSync();
  rows.forEach((row, draw) => {
    const x = values.subarray(row * vocabSize, (row + 1) * vocabSize);
    const best = argmax(x);
    const temperature = temperatures[draw]! === 0 ? 1 : temperatures[draw]!;
    const weights = Float64Array.from(x, (logit) => Math.exp((logit - (x[best] ?? 0)) / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const isGreedy = temperatures[draw] === 0;
    const isSound = Number.isFinite(x[best] ?? Number.NaN) && (!Number.isNaN(total) || (isGreedy && logprobs === null));
    const tokenId = !isSound ? -1 : isGreedy ? best : pick(weights, total * uniforms[draw]!);
    tokenIds[draw] = tokenId;
    if (logprobs !== null)
      logprobs[draw] = tokenId < 0 ? Number.NaN : (x[tokenId]! - x[best]!) / temperature - Math.log(total);
  });
}

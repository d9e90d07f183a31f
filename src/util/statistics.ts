/** @file Means with confidence intervals by the percentile bootstrap (Efron 1979); pairs are resampled together. */
import type { Rng } from "./rng.ts";

/** A mean and its 95 % interval. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Arithmetic mean; `NaN` for no values. */
export function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}

/** The middle value, or the mean of the two middle ones; `NaN` for no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Linear interpolation between order statistics; `share` in [0, 1]. */
function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}

/**
 * Mean of `values` with a 95 % percentile-bootstrap interval over the units the values stand for (people, passages).
 * Pass paired differences for a paired interval: it excludes 0 when the difference is beyond chance.
 *
 * @param resamples - Bootstrap samples. @defaultValue 10000
 */
export function bootstrapMean(values: readonly number[], rng: Rng, resamples = 10_000): Interval {
  const means = new Float64Array(resamples);
  for (let sample = 0; sample < resamples; sample++) {
    let total = 0;
    for (let draw = 0; draw < values.length; draw++) total += values[rng.integer(values.length)]!;
    means[sample] = total / values.length;
  }
  means.sort();
  return { mean: mean(values), low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/**
 * @file Intervals for the mean of a few independent runs (seeds, outer loops) by Student's t distribution. With five runs a
 * percentile bootstrap is too narrow; this is wide, as it has to be.
 */
import { ShapeError } from "./errors.ts";
import { type Interval, mean } from "./statistics.ts";

/**
 * Probability that |T| < `t` for Student's t with `freedom` degrees, by its finite series for whole degrees of freedom
 * (Abramowitz and Stegun, 26.7.3 and 26.7.4).
 */
export function studentWithin(t: number, freedom: number): number {
  if (!Number.isInteger(freedom) || freedom < 1)
    throw new ShapeError("studentWithin", "whole degrees of freedom, at least 1", `${freedom}`);
  const angle = Math.atan(t / Math.sqrt(freedom));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const isOdd = freedom % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let power = isOdd ? 3 : 2; power <= freedom - 2; power += 2) {
    term *= (cosine * cosine * (power - 1)) / power;
    sum += term;
  }
  return isOdd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}

/** The `t` for which |T| < `t` with probability `within` in [0, 1): 12.706 for 0.95 and one degree of freedom. */
export function studentQuantile(within: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (studentWithin(high, freedom) < within) high *= 2;
  for (let step = 0; step < 200 && high - low > 1e-13 * high; step++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, freedom) < within) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * Mean of independent values, one per run, with its 95 % t-interval; `null` for fewer than two, which say nothing of their
 * own spread. What was measured within a run (passages) is averaged before.
 */
export function studentInterval(values: readonly number[]): Interval | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
  const half = studentQuantile(0.95, values.length - 1) * Math.sqrt(variance / values.length);
  return { mean: centre, low: centre - half, high: centre + half };
}

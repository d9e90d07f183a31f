/**
 * @file Means and other statistics with confidence intervals by the percentile bootstrap (Efron 1979); what belongs
 * together (the two halves of a pair, the repetitions of a passage) is resampled together.
 */
import { ShapeError } from "./errors.ts";
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

/** Any statistic and its 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Linear interpolation between order statistics of ascending values; `share` in [0, 1]. `NaN` for no values. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN;
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

/**
 * Mean of `first[i] - second[i]` with its interval: two treatments of the same units (passages), resampled in pairs.
 *
 * @throws {@link ShapeError} when the lists differ in length.
 */
export function pairedDifference(
  first: readonly number[],
  second: readonly number[],
  rng: Rng,
  resamples = 10_000,
): Interval {
  if (first.length !== second.length)
    throw new ShapeError("pairedDifference", `${first.length} values to pair with`, `${second.length}`);
  return bootstrapMean(
    first.map((value, index) => value - second[index]!),
    rng,
    resamples,
  );
}

/**
 * A statistic of `units` (passages with all that was measured of them) with its interval, units resampled whole.
 * Resamples on which the statistic is not a number are left out; with none left the interval is `NaN`.
 *
 * @param resamples - Bootstrap samples. @defaultValue 2000
 */
export function bootstrapStatistic<Unit>(
  units: readonly Unit[],
  statistic: (sample: readonly Unit[]) => number,
  rng: Rng,
  resamples = 2000,
): Estimate {
  const values = Float64Array.from({ length: resamples }, () =>
    statistic(units.map(() => units[rng.integer(units.length)]!)),
  )
    .filter((value) => !Number.isNaN(value))
    .sort();
  return { value: statistic(units), low: quantile(values, 0.025), high: quantile(values, 0.975) };
}

/**
 * Mean of a table `[seeds][passages]` with an interval for new seeds and new passages alike: both are resampled, each on
 * its own (Owen 2007, "The pigeonhole bootstrap", arXiv 0712.1111), which errs towards too wide. With one seed it is
 * {@link bootstrapMean}, and says nothing about other seeds.
 *
 * @throws {@link ShapeError} when the rows differ in length.
 */
export function bootstrapCrossed(rows: readonly (readonly number[])[], rng: Rng, resamples = 10_000): Interval {
  const width = rows[0]?.length ?? 0;
  for (const row of rows)
    if (row.length !== width) throw new ShapeError("bootstrapCrossed", `rows of ${width} values`, `${row.length}`);
  const means = Float64Array.from({ length: resamples }, () => {
    const drawn = rows.map(() => rows[rng.integer(rows.length)]!);
    let total = 0;
    for (let draw = 0; draw < width; draw++) {
      const column = rng.integer(width);
      for (const row of drawn) total += row[column]!;
    }
    return total / (width * rows.length);
  }).sort();
  return { mean: mean(rows.map(mean)), low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/**
 * Mean of all values with an interval for new groups and new members: groups are resampled whole, then members within each
 * drawn group (streams within policies). Groups count by their number of members. With one group it is
 * {@link bootstrapMean}, and says nothing about other groups.
 *
 * @param resamples - Bootstrap samples. @defaultValue 10000
 */
export function bootstrapNested(groups: readonly (readonly number[])[], rng: Rng, resamples = 10_000): Interval {
  if (groups.length === 1) return bootstrapMean(groups[0]!, rng, resamples);
  const means = Float64Array.from({ length: resamples }, () => {
    let [total, count] = [0, 0];
    for (let draw = 0; draw < groups.length; draw++) {
      const group = groups[rng.integer(groups.length)]!;
      for (let member = 0; member < group.length; member++) total += group[rng.integer(group.length)]!;
      count += group.length;
    }
    return total / count;
  }).sort();
  return { mean: mean(groups.flat()), low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

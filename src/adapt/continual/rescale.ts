/**
 * @file The gate of STABLE (arXiv 2510.16089): before an adapter is merged, forgetting is measured on questions that were
 * answered right until now; over budget, the adapter is scaled down by bisection, and below the least scale rejected.
 * The budget is its exact-match one, 0.07, which it reports as the best of three. Deviations:
 *  1. canaries of the base are asked beside the passages already merged, and the worse of the two shares counts;
 *  2. of earlier passages the selection questions are asked, never those of the report.
 */

/** What the gate allows. */
export interface RescaleBudget {
  /** Share of the answers right before the merge that may be lost. */
  readonly maxLost: number;
  /** Bisections. */
  readonly numBisections: number;
  /** An adapter that must be weaker is rejected. */
  readonly minScale: number;
  /** Questions about earlier passages asked at most. */
  readonly maxEarlier: number;
}

/** STABLE's values; 60 questions cost as much as the canaries. */
export const stableBudget: RescaleBudget = { maxLost: 0.07, numBisections: 5, minScale: 0.1, maxEarlier: 60 };

/**
 * The largest scale in `[minScale, 1]` found whose loss fits; `null` rejects. `lostAt` is asked for 1 first, then by
 * bisection between the largest scale that fits and the least that does not.
 */
export async function findScale(
  lostAt: (scale: number) => Promise<number>,
  { maxLost, numBisections, minScale }: RescaleBudget,
): Promise<number | null> {
  if ((await lostAt(1)) <= maxLost) return 1;
  let [fits, breaks] = [0, 1];
  for (let bisection = 0; bisection < numBisections; bisection++) {
    const middle = (fits + breaks) / 2;
    if ((await lostAt(middle)) <= maxLost) fits = middle;
    else breaks = middle;
  }
  return fits >= minScale ? fits : null;
}

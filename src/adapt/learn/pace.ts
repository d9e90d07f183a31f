/** @file How long the rest will take, from the trials done by this process. */

/** Counts trials and tells the time left. */
export interface Pace {
  /** `isNew` unless an earlier process had done them. */
  advance(numTrials: number, isNew: boolean): void;
  /** `, about 3 min left in all`; empty before the first trials are done. */
  note(): string;
}

/** A pace for `total` trials; time outside them (sampling, the M-step) counts into each trial's share. */
export function createPace(total: number): Pace {
  const began = performance.now();
  let [left, numNew] = [total, 0];
  return {
    advance(numTrials, isNew) {
      left -= numTrials;
      if (isNew) numNew += numTrials;
    },
    note() {
      if (numNew === 0 || left <= 0) return "";
      const seconds = ((performance.now() - began) / 1000 / numNew) * left;
      return `, about ${seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`} left in all`;
    },
  };
}

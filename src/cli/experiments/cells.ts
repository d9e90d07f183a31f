/** @file Figures as cells of a table. */
import type { Cell } from "../../lab/index.ts";
import type { Estimate } from "../../util/index.ts";

/** An estimate with its interval; `null` where there is none. */
export const cellOf = (estimate: Estimate | null | undefined): Cell =>
  estimate ? { mean: estimate.value, low: estimate.low, high: estimate.high } : null;

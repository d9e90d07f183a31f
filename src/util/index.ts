/** @file Door of `util`. */
export { SelkieError, ShapeError } from "./errors.ts";
export { layers } from "./layers.ts";
export { createRng, type PhiloxBlocks, type Rng, uniformsOf } from "./rng.ts";
export {
  bootstrapCrossed,
  bootstrapMean,
  bootstrapNested,
  bootstrapStatistic,
  type Estimate,
  type Interval,
  mean,
  median,
  pairedDifference,
  quantile,
} from "./statistics.ts";
export { studentInterval, studentQuantile, studentWithin } from "./student.ts";
export {
  type BestOfGain,
  bestOfGain,
  type CrossedComponents,
  crossedComponents,
  type RepeatedDesign,
  reliability,
  type VarianceComponents,
  varianceComponents,
} from "./variance.ts";

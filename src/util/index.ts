/** @file Door of `util`. */
export { SelkieError, ShapeError } from "./errors.ts";
export { layers } from "./layers.ts";
export { createRng, type PhiloxBlocks, type Rng, uniformsOf } from "./rng.ts";
export { bootstrapMean, type Interval, mean, median } from "./statistics.ts";

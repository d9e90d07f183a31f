/** @file Exports of `util`. */
import "./require-node.ts"; // first: before anything that an old Node lacks

export {
  type AtomicWrite,
  removeFile,
  syncPath,
  writeFileAtomic,
  writeFileAtomicAsync,
  writeSections,
} from "./atomic-file.ts";
export { SelkieError, ShapeError } from "./errors.ts";
export { layers } from "./layers.ts";
export { commandName, defaultStore, packagePath, packageVersion, shippedModelDirectory } from "./places.ts";
export { createRng, type PhiloxBlocks, type Rng, type RngState, rngAt, uniformsOf, wordsOf } from "./rng.ts";
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
export { countOf } from "./text.ts";
export {
  type CrossedComponents,
  crossedComponents,
  type RepeatedDesign,
  reliability,
  type VarianceComponents,
  varianceComponents,
} from "./variance.ts";
export { guardWrite, guardWriteAsync, makeDirectory, systemErrorCode, writeFailure } from "./write-error.ts";

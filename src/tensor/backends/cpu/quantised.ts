/** @file A quantised matrix as native kernels take it (`native/kernels/quantised.h`). */
import { nf4CodeBook, type QuantisedMatrix } from "../../quantise.ts";

/** Codes, scales, and the code book of a format that has one. */
export function viewsOf({
  codes,
  scales,
  format,
}: QuantisedMatrix): readonly [codes: Uint16Array, scales: Uint16Array, book: Float32Array | null] {
  return [codes, scales, format === "nf4" ? nf4CodeBook : null];
}

/**
 * @file Quantised matrices: weights that never change again, in 8 or 4 bits each. Every row is cut into groups of
 * {@link groupSize} columns; a group has one scale (bf16), a weight is a code. A product sees `value(code) · scale` in f32.
 *
 *   int8  `value = code - 128`, -127 to 127, scale = largest magnitude / 127: 8.25 bits per weight, at most half a step off
 *   nf4   `value = codeBook[code]`, scale = largest magnitude: 4.25 bits per weight. The sixteen values are quantiles of a
 *         normal distribution with an exact 0 (Dettmers et al. 2023, QLoRA, arXiv 2305.14314, appendix E)
 *
 * Measured on held-out Almanac text with the shipped model (mean change of a token's log-probability, nats): int8 0.002;
 * nf4 0.015, plain 4-bit integers 0.017 to 0.018 at the same size and speed, hence not here; nf4 with a group of 32 0.014,
 * of 128 0.016. Scales are in bf16 because f32 costs 6 % of the memory at 4 bits and gains nothing.
 * Differs from QLoRA: no paging, and scales are not quantised a second time (0.12 bits per weight less).
 *
 * In memory a group of int8 is 64 bytes, one of nf4 is 32 bytes: byte `i` holds column `i` of the group in its lower
 * half and column `32 + i` in its upper half. The last group of a row is padded. `native/kernels/quantised.h` reads this.
 */
import { SelkieError, ShapeError } from "../util/index.ts";
import type { Backend } from "./backend.ts";
import { fromBf16, toBf16 } from "./dtype.ts";

/** How a matrix is quantised. */
export type QuantisedFormat = "int8" | "nf4";

/** The formats, most accurate first. */
export const quantisedFormats: readonly QuantisedFormat[] = ["int8", "nf4"];

/** Columns that share a scale. */
export const groupSize = 64;

/** A matrix in codes and scales; memory of the backend. */
export interface QuantisedMatrix {
  readonly format: QuantisedFormat;
  readonly numRows: number;
  readonly numColumns: number;
  /** Bytes of all rows, two to an element because a backend allocates none smaller. */
  readonly codes: Uint16Array<ArrayBuffer>;
  /** bf16 bits, `[numRows, groups of a row]`. */
  readonly scales: Uint16Array<ArrayBuffer>;
}

/** Values of nf4 codes. */
export const nf4CodeBook: Float32Array = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);
/** Between each value and the next. */
const nf4Thresholds = Float64Array.from({ length: 15 }, (_, code) => (nf4CodeBook[code]! + nf4CodeBook[code + 1]!) / 2);

const groupBytes: { readonly [F in QuantisedFormat]: number } = { int8: groupSize, nf4: groupSize / 2 };
const largestCode: { readonly [F in QuantisedFormat]: number } = { int8: 127, nf4: 1 };
/** The int8 code of 0: bytes without a sign are widened faster. */
const zeroByte = 128;
const groupsOf = (numColumns: number): number => Math.ceil(numColumns / groupSize);

/** Allocates a matrix of unspecified values. */
export function allocateQuantised(
  backend: Backend,
  numRows: number,
  numColumns: number,
  format: QuantisedFormat,
): QuantisedMatrix {
  const numGroups = numRows * groupsOf(numColumns);
  const words = (count: number) => backend.allocate("bf16", count) as Uint16Array<ArrayBuffer>;
  return {
    format,
    numRows,
    numColumns,
    codes: words((numGroups * groupBytes[format]) / 2),
    scales: words(numGroups),
  };
}

const bytesOf = ({ codes }: QuantisedMatrix): Uint8Array =>
  new Uint8Array(codes.buffer, codes.byteOffset, codes.length * 2);

/**
 * Overwrites whole rows from `firstRow` on with the nearest codes of `values`.
 *
 * @throws {@link SelkieError} `"bad-input"` for a value that is not finite.
 */
export function quantiseRows(target: QuantisedMatrix, firstRow: number, values: ArrayLike<number>): void {
  const { numRows, numColumns, format, scales } = target;
  const count = values.length / numColumns;
  if (!Number.isInteger(count) || firstRow + count > numRows)
    throw new ShapeError("quantise", `whole rows of ${numColumns}, to row ${numRows}`, `${values.length} values`);
  const bytes = bytesOf(target);
  const encode = format === "int8" ? encodeInt8 : encodeNf4;
  let group = firstRow * groupsOf(numColumns);
  for (let row = 0; row < count; row++)
    for (let column = 0; column < numColumns; column += groupSize, group++) {
      const begin = row * numColumns + column;
      const end = Math.min(begin + groupSize, (row + 1) * numColumns);
      const bits = toBf16(largestMagnitude(values, begin, end) / largestCode[format]);
      scales[group] = bits;
      const scale = fromBf16(bits);
      encode(values, begin, end, scale === 0 ? 0 : 1 / scale, bytes, group * groupBytes[format]);
    }
}

function largestMagnitude(values: ArrayLike<number>, begin: number, end: number): number {
  let largest = 0;
  for (let i = begin; i < end; i++) {
    const magnitude = Math.abs(values[i]!);
    if (!(magnitude < Number.POSITIVE_INFINITY))
      throw new SelkieError(
        "bad-input",
        `quantise: expected finite weights, got ${values[i]}; the checkpoint is broken`,
      );
    if (magnitude > largest) largest = magnitude;
  }
  return largest;
}

/** Writes one group; `inverse` is one over the scale. */
type EncodeGroup = (
  values: ArrayLike<number>,
  begin: number,
  end: number,
  inverse: number,
  bytes: Uint8Array,
  at: number,
) => void;

const encodeInt8: EncodeGroup = (values, begin, end, inverse, bytes, at) => {
  for (let i = begin; i < end; i++) {
    const code = Math.round(values[i]! * inverse);
    bytes[at + i - begin] = zeroByte + Math.max(-127, Math.min(127, code)); // a rounded scale may be a little small
  }
  bytes.fill(zeroByte, at + end - begin, at + groupSize);
};

/** The code whose value is nearest to `value`. */
function nearestNf4(value: number): number {
  let code = 0;
  for (let step = 8; step > 0; step >>= 1) if (value > nf4Thresholds[code + step - 1]!) code += step;
  return code;
}

const encodeNf4: EncodeGroup = (values, begin, end, inverse, bytes, at) => {
  for (let i = 0; i < groupSize / 2; i++) {
    const [low, high] = [begin + i, begin + i + groupSize / 2];
    const lower = low < end ? nearestNf4(values[low]! * inverse) : 0;
    const upper = high < end ? nearestNf4(values[high]! * inverse) : 0;
    bytes[at + i] = lower | (upper << 4);
  }
};

/** Values of row `row`, into `target` from `offset` on. */
export function dequantiseRow(
  source: QuantisedMatrix,
  row: number,
  target: Float32Array | Float64Array,
  offset: number,
): void {
  const { format, numColumns, scales } = source;
  const bytes = bytesOf(source);
  const firstGroup = row * groupsOf(numColumns);
  for (let column = 0; column < numColumns; column++) {
    const group = firstGroup + Math.floor(column / groupSize);
    const place = column % groupSize;
    const value = format === "int8" ? bytes[group * groupSize + place]! - zeroByte : nf4At(bytes, group, place);
    target[offset + column] = Math.fround(value * fromBf16(scales[group]!));
  }
}

function nf4At(bytes: Uint8Array, group: number, place: number): number {
  const half = groupSize / 2;
  const byte = bytes[group * half + (place % half)]!;
  return nf4CodeBook[place < half ? byte & 15 : byte >> 4]!;
}

/** All values, row after row. */
export function dequantise(source: QuantisedMatrix): Float32Array<ArrayBuffer> {
  const values = new Float32Array(source.numRows * source.numColumns);
  for (let row = 0; row < source.numRows; row++) dequantiseRow(source, row, values, row * source.numColumns);
  return values;
}

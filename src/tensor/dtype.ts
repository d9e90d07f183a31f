/** @file Storage types: f32 and bf16 everywhere, f64 on the reference backend alone (gradient checks). */

/** Storage type of a tensor. Accumulation is always f32 or wider. */
export type DType = "f32" | "bf16" | "f64";

/** Host memory of a tensor; bf16 is kept as the upper sixteen bits of an f32. */
export type HostArray = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** Bytes of one element. */
export const bytesPerElement: { readonly [D in DType]: number } = { f32: 4, bf16: 2, f64: 8 };

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** bf16 bits of `value`, rounded to nearest even; NaN stays NaN. */
export function toBf16(value: number): number {
  single[0] = value;
  const bits = word[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // keep NaN quiet instead of rounding it to infinity
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number whose bf16 bits are `bits`; exact. */
export function fromBf16(bits: number): number {
  word[0] = bits << 16;
  return single[0]!;
}

/** Rounds `values` to bf16, many times faster than one {@link toBf16} after another. */
export function writeBf16(values: ArrayLike<number>, bf16: Uint16Array<ArrayBuffer>): void {
  const words = new Uint32Array(new Float32Array(values).buffer);
  for (let i = 0; i < words.length; i++) {
    const bits = words[i]!;
    const isNumber = (bits & 0x7fffffff) <= 0x7f800000;
    bf16[i] = isNumber ? (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16 : (bits >>> 16) | 0x40; // NaN stays quiet
  }
}

/** Widens bf16 values; exact. */
export function readBf16(bf16: Uint16Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bf16.length);
  for (let i = 0; i < words.length; i++) words[i] = bf16[i]! << 16;
  return new Float32Array(words.buffer);
}

/** A typed view of `numElements` elements at the start of `memory`. */
export function viewAs(dtype: DType, memory: ArrayBuffer, numElements: number): HostArray {
  if (dtype === "f32") return new Float32Array(memory, 0, numElements);
  if (dtype === "bf16") return new Uint16Array(memory, 0, numElements);
  return new Float64Array(memory, 0, numElements);
}

/** Arithmetic of a product: `f32` multiplies as stored; `bf16` rounds both factors to bf16 first. Sums are f32. */
export type ComputeType = "f32" | "bf16";

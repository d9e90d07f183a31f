/** @file IEEE half precision, read only: old checkpoints store it, we compute in f32 and bf16. */

const bits = new Uint32Array(1);
const single = new Float32Array(bits.buffer);

/** The number whose f16 bits are `half`; exact, subnormals, infinities and NaN included. */
export function halfToSingle(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0) {
    const magnitude = mantissa * 2 ** -24;
    return sign === 0 ? magnitude : -magnitude;
  }
  const singleExponent = exponent === 0x1f ? 0xff : exponent + 112; // 127 - 15
  bits[0] = sign | (singleExponent << 23) | (mantissa << 13);
  return single[0]!;
}

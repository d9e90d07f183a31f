// What looks at the bits of an f32, once per vector type: equality, and a number as fraction times power of two.
#pragma once

#include "simd.h"

namespace selkie::SELKIE_ISA {

// False where a lane of either is NaN.
#if defined(__AVX512F__)
inline Vec::Mask equalTo(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ); }
inline Vec::Mask lessOrEqual(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ); }
#elif defined(__AVX2__)
inline Vec::Mask equalTo(Vec a, Vec b) { return _mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ); }
inline Vec::Mask lessOrEqual(Vec a, Vec b) { return _mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ); }
#else
inline Vec::Mask equalTo(Vec a, Vec b) { return a.v == b.v; }
inline Vec::Mask lessOrEqual(Vec a, Vec b) { return a.v <= b.v; }
#endif

// value = fraction · 2^exponent with √½ <= fraction < √2 (about), for positive normal numbers.
struct Split {
  Vec fraction;
  Vec exponent;
};

#if defined(__AVX512F__)
inline Split splitNormal(Vec a) {
  const Vec fraction = {_mm512_getmant_ps(a.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_zero)};  // 0.75 .. 1.5
  const __m512 scaled = _mm512_getexp_ps(a.v);
  // an exponent one higher where the fraction was halved
  const __mmask16 halved = _mm512_cmp_ps_mask(fraction.v, _mm512_set1_ps(1.0f), _CMP_LT_OQ);
  return {fraction, {_mm512_mask_add_ps(scaled, halved, scaled, _mm512_set1_ps(1.0f))}};
}
#elif defined(__AVX2__)
inline Split splitNormal(Vec a) {
  const __m256i bits = _mm256_castps_si256(a.v);
  const __m256i shifted = _mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f3504f3));  // √½
  const __m256i exponent = _mm256_srai_epi32(shifted, 23);
  const __m256i fraction = _mm256_sub_epi32(bits, _mm256_slli_epi32(exponent, 23));
  return {{_mm256_castsi256_ps(fraction)}, {_mm256_cvtepi32_ps(exponent)}};
}
#else
inline Split splitNormal(Vec a) {
  const Vec::Mask bits = reinterpret_cast<Vec::Mask>(a.v);
  const Vec::Mask exponent = (bits - 0x3f3504f3) >> 23;  // √½
  const Vec::Mask fraction = bits - (exponent << 23);
  return {{reinterpret_cast<Vec::Lanes>(fraction)}, {__builtin_convertvector(exponent, Vec::Lanes)}};
}
#endif

}  // namespace selkie::SELKIE_ISA

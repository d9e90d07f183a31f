// One vector of f32 as wide as the instruction set allows, so that kernels are written once.
//
// Include only from isa/*.cc (through all.h), with SELKIE_ISA set to the name of the instruction set. Everything lives in
// a namespace of that name: a function compiled with AVX-512 flags must never be the copy that the linker keeps for an
// older processor. For the same reason kernels use no templates or inline functions of the standard library.
//
// Baseline and NEON share one implementation in the compiler's own vector type (4 lanes).
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace selkie {
// The upper half of an f32; a type of its own so that overloads tell it from other 16-bit numbers.
enum class bf16 : uint16_t {};
}  // namespace selkie

namespace selkie::SELKIE_ISA {

template <typename T>
inline T smaller(T a, T b) { return b < a ? b : a; }
template <typename T>
inline T larger(T a, T b) { return a < b ? b : a; }

// ---- Scalars ----

inline float toFloat(float value) { return value; }
inline float toFloat(bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  __builtin_memcpy(&result, &bits, 4);
  return result;
}
inline bf16 toBf16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return bf16(static_cast<uint16_t>((bits >> 16) | 0x40));  // NaN stays NaN
  return bf16(static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16));
}
inline void storeScalar(float* target, float value) { *target = value; }
inline void storeScalar(bf16* target, float value) { *target = toBf16(value); }

// ---- Vectors. `load`/`store` take f32 or bf16 addresses of any alignment; the `n` forms touch only the first n lanes
// (0 <= n <= width) and fill the others with zero. `Vec::Mask` is the result of a comparison. ----

#if defined(__AVX512F__)

struct Vec {
  static constexpr int width = 16;
  using Mask = __mmask16;
  __m512 v;

  static Vec set(float value) { return {_mm512_set1_ps(value)}; }
  static Vec zero() { return {_mm512_setzero_ps()}; }
  static __mmask16 firstLanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
  static Vec widen(__m256i bits) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))}; }

  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec load(const bf16* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static Vec load(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(firstLanes(n), p)}; }
  static Vec load(const bf16* p, int64_t n) { return widen(_mm256_maskz_loadu_epi16(firstLanes(n), p)); }

  __m256i narrow() const {
#if defined(__AVX512BF16__)
    return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v));
#else
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 isNan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i kept = _mm512_mask_or_epi32(rounded, isNan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
#endif
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(bf16* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow()); }
  void store(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, firstLanes(n), v); }
  void store(bf16* p, int64_t n) const { _mm256_mask_storeu_epi16(p, firstLanes(n), narrow()); }
};

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
// a * b + c
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// Where a lane of either is NaN, `max` and `min` return the second argument.
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
inline Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec::Mask lessThan(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
// One bit per lane, that of lane 0 lowest.
inline uint32_t laneBits(Vec::Mask mask) { return mask; }
// ifTrue where the mask is set, else ifFalse.
inline Vec select(Vec::Mask mask, Vec ifTrue, Vec ifFalse) { return {_mm512_mask_blend_ps(mask, ifFalse.v, ifTrue.v)}; }
// To the nearest whole number, ties to even.
inline Vec roundToInt(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// a * 2^n for whole n; saturates to infinity and zero.
inline Vec scaleByPowerOfTwo(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
// a - floor(a), and a * 2^floor(x): one instruction each.
inline Vec fraction(Vec a) { return {_mm512_reduce_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
inline Vec scaleByFloor(Vec a, Vec x) { return {_mm512_scalef_ps(a.v, x.v)}; }
// 1 / a within 1 ulp or two, where a and 1 / a are normal numbers: an estimate of 14 bits and one step of Newton's method,
// several times quicker than a division.
inline Vec reciprocal(Vec a) {
  const __m512 estimate = _mm512_rcp14_ps(a.v);
  return {_mm512_fmadd_ps(_mm512_fnmadd_ps(a.v, estimate, _mm512_set1_ps(1.0f)), estimate, estimate)};
}
inline float reduceAdd(Vec a) { return _mm512_reduce_add_ps(a.v); }
inline float reduceMax(Vec a) { return _mm512_reduce_max_ps(a.v); }

#elif defined(__AVX2__)

struct Vec {
  static constexpr int width = 8;
  using Mask = __m256;
  __m256 v;

  static Vec set(float value) { return {_mm256_set1_ps(value)}; }
  static Vec zero() { return {_mm256_setzero_ps()}; }
  static __m256i firstLanes(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Vec widen(__m128i bits) { return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))}; }

  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec load(const bf16* p) { return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static Vec load(const float* p, int64_t n) { return {_mm256_maskload_ps(p, firstLanes(n))}; }
  static Vec load(const bf16* p, int64_t n) {
    bf16 lanes[8] = {};
    for (int64_t i = 0; i < n; i++) lanes[i] = p[i];
    return load(lanes);
  }

  __m128i narrow() const {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256 isNan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i kept = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(isNan));
    const __m256i high = _mm256_srli_epi32(kept, 16);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08));
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(bf16* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow()); }
  void store(float* p, int64_t n) const { _mm256_maskstore_ps(p, firstLanes(n), v); }
  void store(bf16* p, int64_t n) const {
    bf16 lanes[8];
    store(lanes);
    for (int64_t i = 0; i < n; i++) p[i] = lanes[i];
  }
};

inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
inline Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
inline Vec::Mask lessThan(Vec a, Vec b) { return _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ); }
inline uint32_t laneBits(Vec::Mask mask) { return static_cast<uint32_t>(_mm256_movemask_ps(mask)); }
inline Vec select(Vec::Mask mask, Vec ifTrue, Vec ifFalse) { return {_mm256_blendv_ps(ifFalse.v, ifTrue.v, mask)}; }
inline Vec roundToInt(Vec a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline Vec floor(Vec a) { return {_mm256_floor_ps(a.v)}; }
inline Vec powerOfTwo(Vec n) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23))};
}
inline float reduceAdd(Vec a) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}
inline float reduceMax(Vec a) {
  __m128 most = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  most = _mm_max_ps(most, _mm_movehl_ps(most, most));
  return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

#else

struct Vec {
  static constexpr int width = 4;
  typedef float Lanes __attribute__((vector_size(16)));
  typedef int32_t Mask __attribute__((vector_size(16)));
  typedef uint32_t Bits __attribute__((vector_size(16)));
  typedef uint16_t Halves __attribute__((vector_size(8)));
  Lanes v;

  static Vec set(float value) { return {Lanes{value, value, value, value}}; }
  static Vec zero() { return set(0); }
  static Vec widen(Halves halves) { return {reinterpret_cast<Lanes>(__builtin_convertvector(halves, Bits) << 16)}; }

  static Vec load(const float* p) {
    Vec result;
    __builtin_memcpy(&result.v, p, 16);
    return result;
  }
  static Vec load(const bf16* p) {
    Halves halves;
    __builtin_memcpy(&halves, p, 8);
    return widen(halves);
  }
  template <typename T>
  static Vec load(const T* p, int64_t n) {
    T lanes[4] = {};
    for (int64_t i = 0; i < n; i++) lanes[i] = p[i];
    return load(lanes);
  }

  Halves narrow() const {
    const Bits bits = reinterpret_cast<Bits>(v);
    const Bits rounded = bits + ((bits >> 16) & 1) + 0x7fff;
    const Bits isNan = reinterpret_cast<Bits>(v != v);
    return __builtin_convertvector(((rounded & ~isNan) | ((bits | 0x400000) & isNan)) >> 16, Halves);
  }
  void store(float* p) const { __builtin_memcpy(p, &v, 16); }
  void store(bf16* p) const {
    const Halves halves = narrow();
    __builtin_memcpy(p, &halves, 8);
  }
  template <typename T>
  void store(T* p, int64_t n) const {
    T lanes[4];
    store(lanes);
    for (int64_t i = 0; i < n; i++) p[i] = lanes[i];
  }
};

inline Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
inline Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
inline Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
inline Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
inline Vec select(Vec::Mask mask, Vec ifTrue, Vec ifFalse) {
  return {reinterpret_cast<Vec::Lanes>((reinterpret_cast<Vec::Mask>(ifTrue.v) & mask) |
                                       (reinterpret_cast<Vec::Mask>(ifFalse.v) & ~mask))};
}
inline Vec::Mask lessThan(Vec a, Vec b) { return a.v < b.v; }
inline uint32_t laneBits(Vec::Mask mask) {
  uint32_t bits = 0;
  for (uint32_t lane = 0; lane < 4; lane++) bits |= (static_cast<uint32_t>(mask[lane]) & 1) << lane;
  return bits;
}
inline Vec max(Vec a, Vec b) { return select(a.v > b.v, a, b); }
inline Vec min(Vec a, Vec b) { return select(a.v < b.v, a, b); }
inline Vec sqrt(Vec a) {
  for (int i = 0; i < 4; i++) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}
inline Vec abs(Vec a) {
  return {reinterpret_cast<Vec::Lanes>(reinterpret_cast<Vec::Mask>(a.v) & 0x7fffffff)};
}
inline Vec roundToInt(Vec a) {
  const Vec large = Vec::set(12582912.0f);  // 1.5 · 2^23: adding it leaves no fraction bits; for |a| < 2^22
  return (a + large) - large;
}
// For odd whole numbers one less, which leaves a fraction of 1.
inline Vec floor(Vec a) { return roundToInt(a - Vec::set(0.5f)); }
inline Vec powerOfTwo(Vec n) {
  const Vec::Mask exponent = __builtin_convertvector(n.v, Vec::Mask);
  return {reinterpret_cast<Vec::Lanes>((exponent + 127) << 23)};
}
inline float reduceAdd(Vec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
inline float reduceMax(Vec a) { return larger(larger(a.v[0], a.v[2]), larger(a.v[1], a.v[3])); }

#endif

#if !defined(__AVX512F__)
inline Vec reciprocal(Vec a) { return Vec::set(1.0f) / a; }
inline Vec scaleByPowerOfTwo(Vec a, Vec n) {
  const Vec half = roundToInt(n * Vec::set(0.5f));  // two steps: 2^n alone may not be representable
  return a * powerOfTwo(half) * powerOfTwo(n - half);
}
inline Vec fraction(Vec a) { return a - floor(a); }
inline Vec scaleByFloor(Vec a, Vec x) { return scaleByPowerOfTwo(a, floor(x)); }
#endif

inline Vec negate(Vec a) { return Vec::zero() - a; }
// c - a * b
inline Vec fnma(Vec a, Vec b, Vec c) { return fma(negate(a), b, c); }

// e^x within about 1 ulp; 0 for very negative x and -infinity, infinity above 88.7, NaN for NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7 (the next term is below 2^-27).
inline Vec exp(Vec x) {
  const Vec clamped = min(Vec::set(89.0f), max(Vec::set(-104.0f), x));  // in this order NaN passes through
  const Vec n = roundToInt(clamped * Vec::set(1.44269504088896341f));
  Vec r = fma(n, Vec::set(-0.693359375f), clamped);  // ln 2 in two parts: the first has few bits, so n times it is exact
  r = fma(n, Vec::set(2.12194440e-4f), r);
  Vec p = Vec::set(1.0f / 5040);
  p = fma(p, r, Vec::set(1.0f / 720));
  p = fma(p, r, Vec::set(1.0f / 120));
  p = fma(p, r, Vec::set(1.0f / 24));
  p = fma(p, r, Vec::set(1.0f / 6));
  p = fma(p, r, Vec::set(0.5f));
  p = fma(p * r, r, r) + Vec::set(1.0f);
  return scaleByPowerOfTwo(p, n);
}

// e^x of one number, by the same formula.
inline float exp(float x) {
  float lanes[Vec::width];
  exp(Vec::set(x)).store(lanes);
  return lanes[0];
}

}  // namespace selkie::SELKIE_ISA

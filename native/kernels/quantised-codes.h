// Codes and scales of a quantised matrix, and its rows dequantised one group after another. They are laid out as
// src/tensor/quantise.ts says; a code book stands for 4-bit codes, none for int8. A group is dequantised by looking up: its
// sixteen values times its scale fit one or two registers.
#pragma once

#include "gemm.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kGroup = 64;  // columns with one scale

struct Quantised {
  const uint8_t* codes;
  const bf16* scales;
  const float* book;
  int64_t groups;  // of a row
};

inline Quantised quantisedOf(const View& codes, const View& scales, const View& book, int64_t columns) {
  return {static_cast<const uint8_t*>(codes.data), static_cast<const bf16*>(scales.data), static_cast<const float*>(book.data),
          ceilDivide(columns, kGroup)};
}

inline int64_t groupBytes(const Quantised& q) { return q.book == nullptr ? kGroup : kGroup / 2; }

// The matrix without its first `rows` rows.
inline Quantised skipRows(Quantised q, int64_t rows) {
  q.codes += rows * q.groups * groupBytes(q);
  q.scales += rows * q.groups;
  return q;
}

// ---- One group ----

// A vector of bytes, each plus kByteOffset.
#if defined(__AVX512F__)
constexpr float kByteOffset = 32768;
inline Vec widenBytes(const uint8_t* p) {
  // A byte put below the bits of 32768 is a number already, without a conversion.
  const __m512i offset = _mm512_set1_epi32(0x47000000);
  const __m512i places = _mm512_slli_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 8);
  const __m512i bytes = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return {_mm512_castsi512_ps(_mm512_mask_shuffle_epi8(offset, 0x2222222222222222, bytes, places))};
}
#elif defined(__AVX2__)
constexpr float kByteOffset = 0;
inline Vec widenBytes(const uint8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
#else
constexpr float kByteOffset = 0;
inline Vec widenBytes(const uint8_t* p) {
  typedef uint8_t Bytes __attribute__((vector_size(4)));
  Bytes bytes;
  __builtin_memcpy(&bytes, p, 4);
  return {__builtin_convertvector(bytes, Vec::Lanes)};
}
#endif

// Two vectors side by side, in one store where there is one: tile loads wait for halves of a line.
template <typename T>
inline void storePair(T* target, Vec first, Vec second) {
  first.store(target);
  second.store(target + Vec::width);
}
#if defined(__AVX512BF16__)
inline void storePair(bf16* target, Vec first, Vec second) {
  _mm512_storeu_si512(target, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.v, first.v)));
}
#endif

// 64 codes (bytes, 128 for 0) times a scale: the first 32 values to `lower`, the others to `upper`. The offset vanishes
// without a trace, as a scale has 8 significant bits.
template <typename T>
inline void scaleBytes(const uint8_t* codes, float scale, T* lower, T* upper) {
  const Vec factor = Vec::set(scale), shift = Vec::set(-(kByteOffset + 128) * scale);
#pragma GCC unroll 8
  for (int64_t i = 0; i < kGroup; i += 2 * Vec::width) {
    T* target = i < kGroup / 2 ? lower + i : upper + i - kGroup / 2;
    storePair(target, fma(widenBytes(codes + i), factor, shift), fma(widenBytes(codes + i + Vec::width), factor, shift));
  }
}

// 32 bytes of two codes each, by the sixteen values of `book` times a scale: lower halves to `lower`, upper ones to `upper`.
#if defined(__AVX512F__)
inline void lookUp(const uint8_t* codes, const float* book, float scale, float* lower, float* upper) {
  const __m512 values = (Vec::load(book) * Vec::set(scale)).v;
#pragma GCC unroll 2
  for (int i = 0; i < 32; i += 16) {
    const __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i)));
    _mm512_storeu_ps(lower + i, _mm512_permutexvar_ps(index, values));  // reads the lower four bits of an index
    _mm512_storeu_ps(upper + i, _mm512_permutexvar_ps(_mm512_srli_epi32(index, 4), values));
  }
}
inline void lookUp(const uint8_t* codes, const float* book, float scale, bf16* lower, bf16* upper) {
  // This instruction reads five bits of an index; the values twice make the fifth one idle.
  const __m512i values = _mm512_broadcast_i64x4((Vec::load(book) * Vec::set(scale)).narrow());
  const __m512i index = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
  _mm512_storeu_si512(lower, _mm512_permutexvar_epi16(index, values));
  _mm512_storeu_si512(upper, _mm512_permutexvar_epi16(_mm512_srli_epi16(index, 4), values));
}
#else
template <typename T>
inline void lookUp(const uint8_t* codes, const float* book, float scale, T* lower, T* upper) {
  T values[16];
  for (int i = 0; i < 16; i += Vec::width) (Vec::load(book + i) * Vec::set(scale)).store(values + i);
#pragma GCC unroll 8
  for (int i = 0; i < 32; i++) {
    lower[i] = values[codes[i] & 15];
    upper[i] = values[codes[i] >> 4];
  }
}
#endif

// ---- Blocks of groups ----

constexpr int64_t kScalesAtOnce = 16;

// The first of `count` scales as f32: from memory a scale reaches all lanes without a shuffle.
inline void widenScales(const bf16* scales, int64_t count, float* target) {
  for (int64_t i = 0; i < smaller(count, kScalesAtOnce); i += Vec::width) Vec::load(scales + i, smaller<int64_t>(count - i, Vec::width)).store(target + i);
}

// Dequantises `groups` groups from `group` on of the first `rows` rows. Row r begins at target + r · rowStride, and every
// 32 columns of it are pieceStride apart: 32 for plain rows.
template <bool hasBook, typename T>
[[gnu::noinline]] void dequantiseGroups(const Quantised& q, int64_t rows, int64_t group, int64_t groups, T* target, int64_t rowStride, int64_t pieceStride) {
  constexpr int64_t bytes = hasBook ? kGroup / 2 : kGroup;
  const int64_t ahead = rows * q.groups * bytes;  // the same groups of the next rows, while these are computed
  float scales[kScalesAtOnce];
  for (int64_t r = 0; r < rows; r++) {
    const int64_t first = r * q.groups + group;
    const uint8_t* codes = q.codes + first * bytes;
    T* to = target + r * rowStride;
    for (int64_t g = 0; g < groups; g++, codes += bytes, to += 2 * pieceStride) {
      if (g % kScalesAtOnce == 0) widenScales(q.scales + first + g, groups - g, scales);
      __builtin_prefetch(codes + ahead, 0, 2);
      if constexpr (hasBook) lookUp(codes, q.book, scales[g % kScalesAtOnce], to, to + pieceStride);
      else scaleBytes(codes, scales[g % kScalesAtOnce], to, to + pieceStride);
    }
  }
}

template <typename T>
inline void dequantiseBlock(const Quantised& q, int64_t rows, int64_t group, int64_t groups, T* target, int64_t rowStride, int64_t pieceStride) {
  if (q.book != nullptr) dequantiseGroups<true>(q, rows, group, groups, target, rowStride, pieceStride);
  else dequantiseGroups<false>(q, rows, group, groups, target, rowStride, pieceStride);
}

// Plain rows of bf16 or f32.
inline void dequantiseTo(const Quantised& q, int64_t rows, int64_t group, int64_t groups, bool isBf16, void* target, int64_t rowStride) {
  if (isBf16) dequantiseBlock(q, rows, group, groups, static_cast<bf16*>(target), rowStride, kGroup / 2);
  else dequantiseBlock(q, rows, group, groups, static_cast<float*>(target), rowStride, kGroup / 2);
}

}  // namespace selkie::SELKIE_ISA

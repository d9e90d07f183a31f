// Packing: copies panels of a factor into the order in which a micro-kernel reads them, converting on the way.
//
// Packed memory consists of 32-bit units. A unit is one f32, or a pair of bf16 of neighbouring k (what the bf16 dot
// product instructions take). A panel holds `height` vectors of the factor in one of two orders:
//   unit-major  [unit][vector]                           f32 and dot-product kernels
//   tiles       [unit / 16][vector / 16] of 16 × 16      the tile kernel: a tile of a is [vector][unit], of b [unit][vector]
// The source is contiguous either along k or along the vectors, so each order is a plain copy from one kind of source
// and a transposition of width × width units from the other. Vectors past `count` and k past the end become zero.
#pragma once

#include "product.h"

namespace selkie::SELKIE_ISA {

// Transposes width × width units in place.
#if defined(__AVX512F__)
inline void transpose(Vec* rows) {
  __m512 t[16], u[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // u[i + j]: column j of each 128-bit block, rows i .. i + 3
    const __m512d a0 = _mm512_castps_pd(t[i]), a1 = _mm512_castps_pd(t[i + 1]);
    const __m512d b0 = _mm512_castps_pd(t[i + 2]), b1 = _mm512_castps_pd(t[i + 3]);
    u[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a0, b0));
    u[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a0, b0));
    u[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(a1, b1));
    u[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(a1, b1));
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    const __m512 low01 = _mm512_shuffle_f32x4(u[j], u[j + 4], 0x88), high01 = _mm512_shuffle_f32x4(u[j], u[j + 4], 0xdd);
    const __m512 low23 = _mm512_shuffle_f32x4(u[j + 8], u[j + 12], 0x88), high23 = _mm512_shuffle_f32x4(u[j + 8], u[j + 12], 0xdd);
    rows[j].v = _mm512_shuffle_f32x4(low01, low23, 0x88);
    rows[j + 8].v = _mm512_shuffle_f32x4(low01, low23, 0xdd);
    rows[j + 4].v = _mm512_shuffle_f32x4(high01, high23, 0x88);
    rows[j + 12].v = _mm512_shuffle_f32x4(high01, high23, 0xdd);
  }
}
#elif defined(__AVX2__)
inline void transpose(Vec* rows) {
  __m256 u[8];
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    const __m256d a0 = _mm256_castps_pd(_mm256_unpacklo_ps(rows[i].v, rows[i + 1].v));
    const __m256d a1 = _mm256_castps_pd(_mm256_unpackhi_ps(rows[i].v, rows[i + 1].v));
    const __m256d b0 = _mm256_castps_pd(_mm256_unpacklo_ps(rows[i + 2].v, rows[i + 3].v));
    const __m256d b1 = _mm256_castps_pd(_mm256_unpackhi_ps(rows[i + 2].v, rows[i + 3].v));
    u[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a0, b0));
    u[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a0, b0));
    u[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(a1, b1));
    u[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(a1, b1));
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    rows[j].v = _mm256_permute2f128_ps(u[j], u[j + 4], 0x20);
    rows[j + 4].v = _mm256_permute2f128_ps(u[j], u[j + 4], 0x31);
  }
}
#else
inline void transpose(Vec* rows) {
  const Vec::Lanes a = rows[0].v, b = rows[1].v, c = rows[2].v, d = rows[3].v;
  for (int j = 0; j < 4; j++) rows[j].v = Vec::Lanes{a[j], b[j], c[j], d[j]};
}
#endif

// ---- Units. `alongK` reads `width` units of one vector from element k on, of which `left` elements exist;
// `alongVectors` reads one unit of `lanes` neighbouring vectors, with rows of k at `p` and, for pairs, `p + stride`. ----

// f32 as stored.
struct PlainUnits {
  static constexpr int kPerUnit = 1;
  template <typename T>
  static Vec alongK(const T* p, int64_t left) {
    return left >= Vec::width ? Vec::load(p) : Vec::load(p, left);
  }
  template <typename T>
  static Vec alongVectors(const T* p, int64_t, int64_t, int64_t lanes) {
    return lanes >= Vec::width ? Vec::load(p) : Vec::load(p, lanes);
  }
};

inline Vec roundToBf16(Vec value) { return Vec::widen(value.narrow()); }

// f32 rounded to bf16 precision, for processors without bf16 products.
struct RoundedUnits {
  static constexpr int kPerUnit = 1;
  static Vec alongK(const float* p, int64_t left) { return roundToBf16(PlainUnits::alongK(p, left)); }
  static Vec alongK(const bf16* p, int64_t left) { return PlainUnits::alongK(p, left); }
  static Vec alongVectors(const float* p, int64_t stride, int64_t left, int64_t lanes) {
    return roundToBf16(PlainUnits::alongVectors(p, stride, left, lanes));
  }
  static Vec alongVectors(const bf16* p, int64_t stride, int64_t left, int64_t lanes) {
    return PlainUnits::alongVectors(p, stride, left, lanes);
  }
};

#if defined(__AVX512BF16__)
// Pairs of bf16: the lower half of a unit is the even k.
struct PairUnits {
  static constexpr int kPerUnit = 2;
  static Vec alongK(const float* p, int64_t left) {
    const Vec low = PlainUnits::alongK(p, left);
    const Vec high = left > Vec::width ? PlainUnits::alongK(p + Vec::width, left - Vec::width) : Vec::zero();
    return {reinterpret_cast<__m512>(_mm512_cvtne2ps_pbh(high.v, low.v))};
  }
  static Vec alongK(const bf16* p, int64_t left) {
    if (left >= 2 * Vec::width) return Vec::load(reinterpret_cast<const float*>(p));
    return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(static_cast<__mmask32>((1u << left) - 1), p))};
  }
  static Vec alongVectors(const float* p, int64_t stride, int64_t left, int64_t lanes) {
    const __m256i low = PlainUnits::alongVectors(p, 0, 0, lanes).narrow();
    const __m256i high = left > 1 ? PlainUnits::alongVectors(p + stride, 0, 0, lanes).narrow() : _mm256_setzero_si256();
    return join(low, high);
  }
  static Vec alongVectors(const bf16* p, int64_t stride, int64_t left, int64_t lanes) {
    const __mmask16 mask = lanes >= Vec::width ? static_cast<__mmask16>(0xffff) : Vec::firstLanes(lanes);
    const __m256i low = _mm256_maskz_loadu_epi16(mask, p);
    const __m256i high = left > 1 ? _mm256_maskz_loadu_epi16(mask, p + stride) : _mm256_setzero_si256();
    return join(low, high);
  }
  static Vec join(__m256i low, __m256i high) {
    const __m512i shifted = _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16);
    return {_mm512_castsi512_ps(_mm512_or_si512(_mm512_cvtepu16_epi32(low), shifted))};
  }
};
#endif

// ---- Panels ----

// A width × width block of units as the micro-kernel wants it: result[r] holds unit u + r of all vectors when
// `byUnit`, else all units of vector i + r.
template <typename Units, typename T>
inline void loadBlock(const Operand& source, int64_t i, int64_t count, int64_t u, int64_t k, bool byUnit, Vec* block) {
  constexpr int width = Vec::width;
  const T* data = static_cast<const T*>(source.data);
  const int64_t firstK = u * Units::kPerUnit;
  if (source.isKContiguous) {
    for (int r = 0; r < width; r++) {
      const bool exists = i + r < count && firstK < k;
      block[r] = exists ? Units::alongK(data + (i + r) * source.stride + firstK, k - firstK) : Vec::zero();
    }
  } else {
    for (int r = 0; r < width; r++) {
      const int64_t atK = firstK + r * Units::kPerUnit;
      const bool exists = i < count && atK < k;
      block[r] = exists ? Units::alongVectors(data + atK * source.stride + i, source.stride, k - atK, count - i) : Vec::zero();
    }
  }
  if (source.isKContiguous == byUnit) transpose(block);
}

// Unit-major panel of `height` vectors, of which `count` exist, over `numUnits` units (k of them real elements).
template <typename Units, typename T>
[[gnu::noinline]] void packUnitMajor(const Operand& source, int64_t count, int64_t height, int64_t k, int64_t numUnits, float* target) {
  constexpr int width = Vec::width;
  Vec block[width];
  for (int64_t u = 0; u < numUnits; u += width) {
    const int64_t units = smaller<int64_t>(width, numUnits - u);
    for (int64_t i = 0; i < height; i += width) {
      loadBlock<Units, T>(source, i, count, u, k, true, block);
      float* to = target + u * height + i;
      if (height - i >= width)
        for (int64_t r = 0; r < units; r++) block[r].store(to + r * height);
      else
        for (int64_t r = 0; r < units; r++) block[r].store(to + r * height, height - i);
    }
  }
}

// Panel of tiles: `height` is a multiple of 16 vectors, a tile is 16 vectors × 16 units. Width must be 16.
template <typename Units, typename T, bool byUnit = false>
[[gnu::noinline]] void packTiles(const Operand& source, int64_t count, int64_t height, int64_t k, int64_t numUnits, float* target) {
  constexpr int width = Vec::width;
  Vec block[width];
  for (int64_t u = 0; u < numUnits; u += width) {
    for (int64_t i = 0; i < height; i += width) {
      loadBlock<Units, T>(source, i, count, u, k, byUnit, block);
      for (int r = 0; r < width; r++) block[r].store(target + u * height + (i + r) * width);
    }
  }
}

// How an engine packs a panel; see packUnitMajor.
using PackPanel = void (*)(const Operand& source, int64_t count, int64_t height, int64_t k, int64_t numUnits, float* target);

template <typename Units>
void packUnitMajorPanel(const Operand& source, int64_t count, int64_t height, int64_t k, int64_t numUnits, float* target) {
  if (source.isBf16) packUnitMajor<Units, bf16>(source, count, height, k, numUnits, target);
  else packUnitMajor<Units, float>(source, count, height, k, numUnits, target);
}

template <typename Units, bool byUnit>
void packTilePanel(const Operand& source, int64_t count, int64_t height, int64_t k, int64_t numUnits, float* target) {
  if (source.isBf16) packTiles<Units, bf16, byUnit>(source, count, height, k, numUnits, target);
  else packTiles<Units, float, byUnit>(source, count, height, k, numUnits, target);
}

}  // namespace selkie::SELKIE_ISA

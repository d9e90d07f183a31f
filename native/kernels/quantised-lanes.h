// Products of few rows with a quantised weight W on registers: c = a · Wᵀ, where lanes of a vector are rows of W.
//
// The dense engines want W unit by unit: for one k, or a pair of k, a value of each row. Codes are a quarter or an eighth of
// their values in f32, so it is the codes that are transposed, 16 bytes of every row at a time, and a lane keeps the scale
// of its row for a whole group. A panel is two strips of a vector of rows, which advance together, so that the sums of one
// hide the latency of the other. With very few rows of a, a unit is multiplied where it was computed, in a register, and
// never stored; with more, units become a panel in the level 1 cache, to be read several times. Either way every sum takes
// its units in ascending order, as in the dense engines.
#pragma once

#include "quantised-codes.h"

#if defined(__AVX2__)
#define SELKIE_CODES_IN_LANES 1

namespace selkie::SELKIE_ISA {

constexpr int kStrips = 2;
constexpr int64_t kPanelRows = kStrips * Vec::width;
constexpr int64_t kChunkBytes = 16;  // of a row, transposed at a time

// ---- Integer vectors ----

#if defined(__AVX512F__)
using CodeWords = __m512i;
inline CodeWords unpackLow32(CodeWords a, CodeWords b) { return _mm512_unpacklo_epi32(a, b); }
inline CodeWords unpackHigh32(CodeWords a, CodeWords b) { return _mm512_unpackhi_epi32(a, b); }
inline CodeWords unpackLow64(CodeWords a, CodeWords b) { return _mm512_unpacklo_epi64(a, b); }
inline CodeWords unpackHigh64(CodeWords a, CodeWords b) { return _mm512_unpackhi_epi64(a, b); }
inline __m128i load16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
// 16 bytes of every `step`th row, one after the other.
inline CodeWords loadRows(const uint8_t* const* rows, int step, int64_t offset) {
  CodeWords words = _mm512_castsi128_si512(load16(rows[0] + offset));
  words = _mm512_inserti32x4(words, load16(rows[step] + offset), 1);
  words = _mm512_inserti32x4(words, load16(rows[2 * step] + offset), 2);
  return _mm512_inserti32x4(words, load16(rows[3 * step] + offset), 3);
}
inline CodeWords shiftRight(CodeWords a, int bits) { return bits == 0 ? a : _mm512_srli_epi32(a, static_cast<unsigned>(bits)); }

constexpr float kLaneOffset = 32768 + 128;
// The second byte of each lane plus 32768, as a number.
inline Vec secondByte(CodeWords a) {
  const __m512i mask = _mm512_set1_epi32(0xff00), offset = _mm512_set1_epi32(0x47000000);
  return {_mm512_castsi512_ps(_mm512_ternarylogic_epi32(a, mask, offset, 0xea))};  // (a & mask) | offset
}
inline Vec byteOf(CodeWords a, int index) { return secondByte(index == 0 ? _mm512_slli_epi32(a, 8) : shiftRight(a, 8 * (index - 1))); }

struct Book {
  Vec values;
};
inline Book loadBook(const float* book) { return {book == nullptr ? Vec::zero() : Vec::load(book)}; }
// The values of the codes in bits `bit` on of each lane.
inline Vec lookUpLanes(CodeWords a, int bit, const Book& book) { return {_mm512_permutexvar_ps(shiftRight(a, bit), book.values.v)}; }

// Rounds numbers to bf16 precision; a NaN may become another NaN.
inline Vec roundFinite(Vec value) {
  const __m512i bits = _mm512_castps_si512(value.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  return {_mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(static_cast<int>(0xffff0000))))};
}
#else
using CodeWords = __m256i;
inline CodeWords unpackLow32(CodeWords a, CodeWords b) { return _mm256_unpacklo_epi32(a, b); }
inline CodeWords unpackHigh32(CodeWords a, CodeWords b) { return _mm256_unpackhi_epi32(a, b); }
inline CodeWords unpackLow64(CodeWords a, CodeWords b) { return _mm256_unpacklo_epi64(a, b); }
inline CodeWords unpackHigh64(CodeWords a, CodeWords b) { return _mm256_unpackhi_epi64(a, b); }
inline __m128i load16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline CodeWords loadRows(const uint8_t* const* rows, int step, int64_t offset) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(rows[0] + offset)), load16(rows[step] + offset), 1);
}
inline CodeWords shiftRight(CodeWords a, int bits) { return bits == 0 ? a : _mm256_srli_epi32(a, bits); }

constexpr float kLaneOffset = 128;
inline Vec byteOf(CodeWords a, int index) {
  const CodeWords byte = index == 3 ? shiftRight(a, 24) : _mm256_and_si256(shiftRight(a, 8 * index), _mm256_set1_epi32(255));
  return {_mm256_cvtepi32_ps(byte)};
}

struct Book {
  Vec lower, upper;
};
inline Book loadBook(const float* book) {
  return {book == nullptr ? Vec::zero() : Vec::load(book), book == nullptr ? Vec::zero() : Vec::load(book + 8)};
}
inline Vec lookUpLanes(CodeWords a, int bit, const Book& book) {
  const CodeWords index = shiftRight(a, bit);  // three bits of it are read
  const __m256 isUpper = _mm256_castsi256_ps(bit == 28 ? a : _mm256_slli_epi32(a, 28 - bit));  // its sign bit is
  return {_mm256_blendv_ps(_mm256_permutevar8x32_ps(book.lower.v, index), _mm256_permutevar8x32_ps(book.upper.v, index), isUpper)};
}

inline Vec roundFinite(Vec value) {
  const __m256i bits = _mm256_castps_si256(value.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  return {_mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(static_cast<int>(0xffff0000))))};
}
#endif

// ---- Units ----

#if defined(__AVX512BF16__)
// Pairs of k: 32-bit lane 2r + p of a vector belongs to row r and the k of parity p, so that two vectors (eight rows each)
// are rounded to one unit without a further shuffle.
struct PairLanes {
  static constexpr int kPerUnit = 2;
  static constexpr int kUnits = kChunkBytes / 2;  // of a chunk
  using Arithmetic = DotPairs;
  struct Chunk {
    CodeWords words[2][2];  // [eight rows][eight columns]
  };
  struct Scales {
    Vec scale[2], shift[2];
  };

  // Bytes `column` and `column + 1` of the eight of every row, each plus 32768, as numbers: a byte is put below the bits of
  // 32768.
  static Vec bytePair(CodeWords words, int column) {
    const __m512i offset = _mm512_set1_epi32(0x47000000);
    const __m128i places = _mm_setr_epi32(column << 8, (column + 1) << 8, (column + 8) << 8, (column + 9) << 8);
    return {_mm512_castsi512_ps(_mm512_mask_shuffle_epi8(offset, 0x2222222222222222, words, _mm512_broadcast_i32x4(places)))};
  }

  template <bool hasBook>
  static Chunk load(const uint8_t* const* rows, int64_t offset) {
    Chunk chunk;
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      const CodeWords even = loadRows(rows + 8 * half, 2, offset), odd = loadRows(rows + 8 * half + 1, 2, offset);
      chunk.words[half][0] = _mm512_unpacklo_epi64(even, odd);
      chunk.words[half][1] = _mm512_unpackhi_epi64(even, odd);
      if constexpr (hasBook) {  // even columns to the lane of even k, odd ones to the other
        const __m512i places = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
        chunk.words[half][0] = _mm512_shuffle_epi8(chunk.words[half][0], places);
        chunk.words[half][1] = _mm512_shuffle_epi8(chunk.words[half][1], places);
      }
    }
    return chunk;
  }
  static Scales scalesOf(const uint16_t* bits) {
    const __m512 all = Vec::load(reinterpret_cast<const bf16*>(bits)).v;
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    Scales scales;
    scales.scale[0].v = _mm512_permutexvar_ps(twice, all);
    scales.scale[1].v = _mm512_permutexvar_ps(_mm512_add_epi32(twice, _mm512_set1_epi32(8)), all);
    for (int half = 0; half < 2; half++) scales.shift[half] = Vec::set(-kLaneOffset) * scales.scale[half];
    return scales;
  }
  template <bool hasBook>
  [[gnu::always_inline]] static inline Vec unit(const Chunk& chunk, int u, bool isUpper, const Scales& scales, const Book& book) {
    Vec value[2];
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      const CodeWords words = chunk.words[half][u / 4];
      if constexpr (hasBook) {
        value[half] = lookUpLanes(words, 8 * (u % 4) + 4 * isUpper, book) * scales.scale[half];
      } else {
        value[half] = fma(bytePair(words, 2 * (u % 4)), scales.scale[half], scales.shift[half]);
      }
    }
    return {reinterpret_cast<__m512>(_mm512_cvtne2ps_pbh(value[1].v, value[0].v))};
  }
};
#endif

// One k: a lane is a row.
template <bool isRounded>
struct PlainLanes {
  static constexpr int kPerUnit = 1;
  static constexpr int kUnits = kChunkBytes;
  using Arithmetic = MultiplyAdd;
  struct Chunk {
    CodeWords words[4];  // [row][four columns]
  };
  struct Scales {
    Vec scale, shift;
  };

  template <bool hasBook>
  static Chunk load(const uint8_t* const* rows, int64_t offset) {
    CodeWords r[4];
    for (int i = 0; i < 4; i++) r[i] = loadRows(rows + i, 4, offset);
    const CodeWords a = unpackLow32(r[0], r[1]), b = unpackHigh32(r[0], r[1]), c = unpackLow32(r[2], r[3]), d = unpackHigh32(r[2], r[3]);
    return {{unpackLow64(a, c), unpackHigh64(a, c), unpackLow64(b, d), unpackHigh64(b, d)}};
  }
  static Scales scalesOf(const uint16_t* bits) {
    const Vec scale = Vec::load(reinterpret_cast<const bf16*>(bits));
    return {scale, Vec::set(-kLaneOffset) * scale};
  }
  template <bool hasBook>
  [[gnu::always_inline]] static inline Vec unit(const Chunk& chunk, int u, bool isUpper, const Scales& scales, const Book& book) {
    const CodeWords words = chunk.words[u / 4];
    Vec value;
    if constexpr (hasBook) value = lookUpLanes(words, 8 * (u % 4) + 4 * isUpper, book) * scales.scale;
    else value = fma(byteOf(words, u % 4), scales.scale, scales.shift);
    if constexpr (isRounded) value = roundFinite(value);
    return value;
  }
};

// ---- Panels ----

struct PanelCodes {
  const uint8_t* rows[kPanelRows];
  const uint8_t* next;     // what follows the panel in memory
  const uint16_t* scales;  // [group][row]
};

// The first `count` rows of q as a panel (the last one stands for rows past it); `scales` has room for kPanelRows of every
// group.
inline PanelCodes panelCodes(const Quantised& q, int64_t count, uint16_t* scales) {
  PanelCodes codes;
  const int64_t rowBytes = q.groups * groupBytes(q);
  const auto* from = reinterpret_cast<const uint16_t*>(q.scales);
  for (int64_t r = 0; r < kPanelRows; r++) codes.rows[r] = q.codes + smaller(r, count - 1) * rowBytes;
  for (int64_t g = 0; g < q.groups; g++, scales += kPanelRows, from++) {
    if (count == kPanelRows) {
#pragma GCC unroll 32
      for (int64_t r = 0; r < kPanelRows; r++) scales[r] = from[r * q.groups];
    } else {
      for (int64_t r = 0; r < kPanelRows; r++) scales[r] = from[smaller(r, count - 1) * q.groups];
    }
  }
  codes.next = q.codes + kPanelRows * rowBytes;
  codes.scales = scales - q.groups * kPanelRows;
  return codes;
}

template <typename Lanes>
struct Strips {
  typename Lanes::Chunk of[kStrips];
};

template <typename Lanes, bool hasBook>
[[gnu::always_inline]] inline Strips<Lanes> loadStrips(const PanelCodes& panel, int64_t offset) {
  Strips<Lanes> strips;
#pragma GCC unroll 2
  for (int s = 0; s < kStrips; s++) strips.of[s] = Lanes::template load<hasBook>(panel.rows + s * Vec::width, offset);
  return strips;
}

// Fetches as much of the next panel as is read of this one at `offset`, from begin to end: 32 rows at once are more streams
// than the processor follows by itself. Always inlined, as the compiler drops calls of a function that only fetches.
[[gnu::always_inline]] inline void prefetchNext(const PanelCodes& panel, int64_t offset) {
  constexpr int64_t chunk = kPanelRows * kChunkBytes;
  const uint8_t* from = panel.next + offset * kPanelRows;
#pragma GCC unroll 8
  for (int64_t i = 0; i < chunk; i += 64) __builtin_prefetch(from + i, 0, 2);
}

// Calls consume(unit, values of the first strip, values of the second) for all units of a group, in order.
template <typename Lanes, bool hasBook, typename Consume>
[[gnu::always_inline]] inline void forUnits(const PanelCodes& panel, int64_t group, const Book& book, const Consume& consume) {
  constexpr int64_t bytes = hasBook ? kGroup / 2 : kGroup, chunks = bytes / kChunkBytes;
  const uint16_t* bits = panel.scales + group * kPanelRows;
  const typename Lanes::Scales scales[kStrips] = {Lanes::scalesOf(bits), Lanes::scalesOf(bits + Vec::width)};
  const auto consumeChunk = [&](const Strips<Lanes>& strips, int64_t firstUnit, bool isUpper) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int u = 0; u < Lanes::kUnits; u++)
      consume(firstUnit + u, Lanes::template unit<hasBook>(strips.of[0], u, isUpper, scales[0], book),
              Lanes::template unit<hasBook>(strips.of[1], u, isUpper, scales[1], book));
  };
  Strips<Lanes> strips[chunks];
#pragma GCC unroll 1
  for (int64_t c = 0; c < chunks; c++) {
    const int64_t offset = group * bytes + c * kChunkBytes;
    prefetchNext(panel, offset);
    strips[c] = loadStrips<Lanes, hasBook>(panel, offset);
    consumeChunk(strips[c], c * Lanes::kUnits, false);
  }
  if constexpr (hasBook) {
#pragma GCC unroll 1
    for (int64_t c = 0; c < chunks; c++) consumeChunk(strips[c], (chunks + c) * Lanes::kUnits, true);
  }
}

// Stores the units of `groups` groups from `group` on as `packB` of the engine would store them.
template <typename Lanes, bool hasBook>
[[gnu::noinline]] void storePanel(const PanelCodes& codes, const float* bookValues, int64_t group, int64_t groups, float* panel) {
  const Book book = loadBook(bookValues);
  for (int64_t g = group; g < group + groups; g++, panel += kGroup / Lanes::kPerUnit * kPanelRows)
    forUnits<Lanes, hasBook>(codes, g, book, [&](int64_t u, Vec first, Vec second) __attribute__((always_inline)) {
      first.store(panel + u * kPanelRows);
      second.store(panel + u * kPanelRows + Vec::width);
    });
}

// Sums of a panel with `rows` rows of a ([unit][row]): [row][row of the panel].
template <typename Lanes, bool hasBook, int rows>
[[gnu::noinline]] void multiplyLanes(const PanelCodes& codes, const float* bookValues, int64_t numUnits, const float* a, float* sums) {
  constexpr int64_t groupUnits = kGroup / Lanes::kPerUnit;
  const Book book = loadBook(bookValues);
  const int64_t wholeGroups = numUnits / groupUnits, left = numUnits % groupUnits;
  Vec sum[rows][kStrips];
  for (int i = 0; i < rows; i++)
    for (int s = 0; s < kStrips; s++) sum[i][s] = Vec::zero();
  const auto multiplyUnit = [&](int64_t u, Vec first, Vec second) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
      const Vec value = Vec::set(a[u * rows + i]);
      sum[i][0] = Lanes::Arithmetic::apply(value, first, sum[i][0]);
      sum[i][1] = Lanes::Arithmetic::apply(value, second, sum[i][1]);
    }
  };
  for (int64_t g = 0; g < wholeGroups; g++, a += groupUnits * rows) forUnits<Lanes, hasBook>(codes, g, book, multiplyUnit);
  if (left > 0) {  // what the last group is padded with has no part in the sums
    float units[groupUnits * kPanelRows];
    storePanel<Lanes, hasBook>(codes, bookValues, wholeGroups, 1, units);
    for (int64_t u = 0; u < left; u++) multiplyUnit(u, Vec::load(units + u * kPanelRows), Vec::load(units + u * kPanelRows + Vec::width));
  }
  for (int i = 0; i < rows; i++)
    for (int s = 0; s < kStrips; s++) sum[i][s].store(sums + i * kPanelRows + s * Vec::width);
}

// ---- Choice of kernels ----

using StorePanel = void (*)(const PanelCodes& codes, const float* book, int64_t group, int64_t groups, float* panel);
using MultiplyLanes = void (*)(const PanelCodes& codes, const float* book, int64_t numUnits, const float* a, float* sums);

#if defined(__AVX512BF16__)
using Bf16Lanes = PairLanes;
#else
using Bf16Lanes = PlainLanes<true>;
#endif

inline StorePanel panelStore(bool useBf16, bool hasBook) {
  if (useBf16) return hasBook ? storePanel<Bf16Lanes, true> : storePanel<Bf16Lanes, false>;
  return hasBook ? storePanel<PlainLanes<false>, true> : storePanel<PlainLanes<false>, false>;
}

constexpr int kMostLanesRows = 4;  // of a whose sums fit into registers beside the rest

template <typename Lanes, bool hasBook>
inline MultiplyLanes kernelOfRows(int rows) {
  static constexpr MultiplyLanes kernels[kMostLanesRows] = {multiplyLanes<Lanes, hasBook, 1>, multiplyLanes<Lanes, hasBook, 2>,
                                                            multiplyLanes<Lanes, hasBook, 3>, multiplyLanes<Lanes, hasBook, 4>};
  return kernels[rows - 1];
}
inline MultiplyLanes lanesKernel(bool useBf16, bool hasBook, int rows) {
  if (useBf16) return hasBook ? kernelOfRows<Bf16Lanes, true>(rows) : kernelOfRows<Bf16Lanes, false>(rows);
  return hasBook ? kernelOfRows<PlainLanes<false>, true>(rows) : kernelOfRows<PlainLanes<false>, false>(rows);
}

}  // namespace selkie::SELKIE_ISA
#endif

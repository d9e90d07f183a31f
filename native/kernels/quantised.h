// Products whose second factor is a quantised weight W [rows, columns], in both orientations: c = a · Wᵀ (isTransposed) and
// c = a · W. Codes and scales are laid out as src/tensor/quantise.ts says; a code book stands for 4-bit codes, none for int8.
//
// The result is that of the dense engine on the dequantised weight, to the bit, and depends on k alone in its order of
// summation; so a row has the same bits whatever other rows there are. There are two ways to it:
//   few rows  (decoding) reading W is all the work: a task takes one panel of rows of W after another, dequantises a stretch
//             of k at a time into the level 1 cache, and multiplies it with all of a at once. On tile registers the rows
//             of W become the first factor as they are (a tile row is 32 neighbouring k), and the result comes out
//             transposed; a product of bf16 numbers is exact, so swapping the factors changes nothing.
//   many rows dequantising is small beside the product: a block of W goes into scratch, row by row, and through `multiply`.
// A group is dequantised by looking up: its sixteen values times its scale fit one or two registers.
//
// Kernel `quantisedGemm`: views a, codes, scales, book or null, c, bias or null, addend or null; numbers m, n, k, transposeA,
// transposeB, alpha, accumulate, bf16.
// Kernel `quantisedRows`, y[i] = W[rows[i]]: views codes, scales, book or null, rows, y; numbers width.
#pragma once

#include "gemm.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kGroup = 64;                    // columns with one scale
constexpr int64_t kStretchGroups = 4;                // groups of a row dequantised at a time by products with few rows
constexpr int64_t kMaxFewRows = 128;              // with more, a dense block is the faster way
constexpr int64_t kDenseBlockBytes = 8 << 20;     // of dequantised weights in scratch
constexpr int kSharedQuantised = 10;              // scratch slot of that block, or of packed rows
constexpr int kThreadStretch = kThreadFirstFree;  // and of a stretch
constexpr int kThreadPanel = kThreadFirstFree + 1;

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

// ---- Panels straight from the codes ----
//
// The register kernels want a panel of W unit by unit: for one k, or a pair of k, a value of each row. Codes are a quarter
// of their values, so it is the codes that are transposed, four to a lane, and a lane's row keeps its scale in that lane.

#if defined(__AVX512F__)
#define SELKIE_CODES_TO_PANELS 1

using Lanes32 = __m512i;
inline Lanes32 loadLanes32(const uint8_t* p) { return _mm512_loadu_si512(p); }
inline Lanes32 loadLanes32Half(const uint8_t* p) { return _mm512_zextsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline Lanes32 shiftRight(Lanes32 a, int bits) { return _mm512_srli_epi32(a, static_cast<unsigned>(bits)); }
// The second byte of each lane plus 32768, as a number.
inline Vec secondByte(Lanes32 a) {
  const __m512i mask = _mm512_set1_epi32(0xff00), offset = _mm512_set1_epi32(0x47000000);
  return {_mm512_castsi512_ps(_mm512_ternarylogic_epi32(a, mask, offset, 0xea))};  // (a & mask) | offset
}
inline Vec byteOf(Lanes32 a, int index) {
  if (index == 0) return secondByte(_mm512_slli_epi32(a, 8));
  return secondByte(index == 1 ? a : shiftRight(a, 8 * (index - 1)));
}
// The value of the code in bits `4 · index` on of each lane.
inline Vec lookUpLanes(Lanes32 a, int index, Vec book) {
  return {_mm512_permutexvar_ps(index == 0 ? a : shiftRight(a, 4 * index), book.v)};  // reads four bits of an index
}
constexpr float kLaneOffset = 32768 + 128;
#endif

#if defined(SELKIE_CODES_TO_PANELS)

// Stores the values of neighbouring k, one row to a lane, as units; returns the place of the next unit.
struct PlainPanel {
  static constexpr int kPerUnit = 1;
  static void store(float* target, int64_t columns, Vec first, Vec second) {
    first.store(target);
    second.store(target + columns);
  }
};
struct RoundedPanel {
  static constexpr int kPerUnit = 1;
  static void store(float* target, int64_t columns, Vec first, Vec second) {
    PlainPanel::store(target, columns, roundToBf16(first), roundToBf16(second));
  }
};
#if defined(__AVX512BF16__)
inline Vec joinPairs(Vec first, Vec second) {
  // lane i of the result: first[i] below, second[i] above
  const __m512i places = _mm512_set_epi32(0x001f000f, 0x001e000e, 0x001d000d, 0x001c000c, 0x001b000b, 0x001a000a, 0x00190009, 0x00180008,
                                          0x00170007, 0x00160006, 0x00150005, 0x00140004, 0x00130003, 0x00120002, 0x00110001, 0x00100000);
  const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.v, first.v));
  return {_mm512_castsi512_ps(_mm512_permutexvar_epi16(places, both))};
}
struct PairPanel {
  static constexpr int kPerUnit = 2;
  static void store(float* target, int64_t, Vec first, Vec second) { joinPairs(first, second).store(target); }
};
#endif

// The lanes of scales of a group: row r's in lane r, zero beyond the last row.
inline Vec scalesOf(const Quantised& q, int64_t rows, int64_t group) {
  float lanes[Vec::width];
  for (int64_t r = 0; r < Vec::width; r++) lanes[r] = r < rows ? toFloat(q.scales[r * q.groups + group]) : 0;
  return Vec::load(lanes);
}

// Dequantises `groups` groups from `group` on of `rows` rows (at most a vector of them) to lanes of a panel that is
// `columns` wide. k past the end of a row has codes too, and is multiplied with nothing.
template <typename Panel, bool hasBook>
[[gnu::noinline]] void dequantiseLanes(const Quantised& q, int64_t rows, int64_t group, int64_t groups, float* target, int64_t columns) {
  constexpr int width = Vec::width;
  constexpr int64_t bytes = hasBook ? kGroup / 2 : kGroup;
  constexpr int64_t groupUnits = kGroup / Panel::kPerUnit;
  const int64_t perBlock = width * 4 / bytes;  // groups whose codes fill a vector
  const int64_t ahead = width * q.groups * bytes;
  const Vec book = hasBook ? Vec::load(q.book) : Vec::zero();
  for (int64_t g = 0; g < groups; g += perBlock) {
    Vec block[width];
    const bool isWhole = groups - g >= perBlock;
    for (int r = 0; r < width; r++) {
      const uint8_t* codes = q.codes + (smaller<int64_t>(r, rows - 1) * q.groups + group + g) * bytes;
      __builtin_prefetch(codes + ahead, 0, 2);
      block[r].v = _mm512_castsi512_ps(isWhole ? loadLanes32(codes) : loadLanes32Half(codes));
    }
    transpose(block);
    for (int64_t part = 0; part < smaller(perBlock, groups - g); part++) {
      const Vec scales = scalesOf(q, rows, group + g + part), shift = Vec::set(-kLaneOffset) * scales;
      float* to = target + (g + part) * groupUnits * columns;
      const Vec* codes = block + part * (bytes / 4);
#pragma GCC unroll 2
      for (int64_t j = 0; j < bytes / 4; j++) {
        const Lanes32 lanes = _mm512_castps_si512(codes[j].v);
        float* units = to + 4 * j / Panel::kPerUnit * columns;
        constexpr int64_t step = 2 / Panel::kPerUnit;
        if constexpr (hasBook) {
          // the lower halves of four bytes, then the upper ones, which are 32 columns on
          float* upper = units + groupUnits / 2 * columns;
          Panel::store(units, columns, lookUpLanes(lanes, 0, book) * scales, lookUpLanes(lanes, 2, book) * scales);
          Panel::store(units + step * columns, columns, lookUpLanes(lanes, 4, book) * scales, lookUpLanes(lanes, 6, book) * scales);
          Panel::store(upper, columns, lookUpLanes(lanes, 1, book) * scales, lookUpLanes(lanes, 3, book) * scales);
          Panel::store(upper + step * columns, columns, lookUpLanes(lanes, 5, book) * scales, lookUpLanes(lanes, 7, book) * scales);
        } else {
          Panel::store(units, columns, fma(byteOf(lanes, 0), scales, shift), fma(byteOf(lanes, 1), scales, shift));
          Panel::store(units + step * columns, columns, fma(byteOf(lanes, 2), scales, shift), fma(byteOf(lanes, 3), scales, shift));
        }
      }
    }
  }
}

// A panel of `columns` rows of W, `count` of which exist, as `packB` of the engine would make it of the values.
template <typename Panel>
inline void codesToPanel(const Quantised& q, int64_t count, int64_t group, int64_t groups, float* target, int64_t columns) {
  for (int64_t first = 0; first < columns; first += Vec::width) {
    const int64_t rows = smaller<int64_t>(Vec::width, count - first);
    const Quantised part = skipRows(q, rows > 0 ? first : 0);
    const auto dequantise = q.book != nullptr ? dequantiseLanes<Panel, true> : dequantiseLanes<Panel, false>;
    if (rows > 0) dequantise(part, rows, group, groups, target + first, columns);
  }
}

#endif

// ---- Few rows ----

// Groups of one stretch when `groups` are cut evenly.
inline int64_t stretchOf(int64_t groups) { return ceilDivide(groups, ceilDivide(groups, kStretchGroups)); }

// Panels of W that one task takes: tasks cost a microsecond each, and four per thread share evenly enough.
inline int64_t panelsPerTask(int64_t numPanels, const ThreadPool& pool) {
  return pool.numThreads() == 1 ? numPanels : larger<int64_t>(1, numPanels / (4 * pool.numThreads()));
}

#if defined(__AMX_BF16__)

constexpr int64_t kWeightRows = 32;  // of a panel: two tiles

// Writes a panel of transposed sums, [rows of W][width], to columns of c from `column` on.
inline void writeTransposed(const float* sums, int64_t width, const Output& c, int64_t row, int64_t numRows, int64_t column, int64_t numColumns) {
  alignas(64) float line[kWeightRows];
  for (int64_t i = 0; i < numRows; i++) {
    for (int64_t j = 0; j < numColumns; j++) line[j] = sums[j * width + i];
    writeBlock(line, kWeightRows, c, row + i, column, 1, numColumns);
  }
}

inline void multiplyFewByTiles(const Product& product, const Quantised& weight, ThreadPool& pool) {
  const Engine& engine = bf16Engine();
  const bool isNarrow = product.m <= engine.narrowColumns;
  const int64_t width = isNarrow ? engine.narrowColumns : engine.columns;
  const MicroKernel run = isNarrow ? engine.runNarrow : engine.run;
  const int64_t numUnits = roundUp(ceilDivide(product.k, engine.kPerUnit), engine.unitMultiple);
  const int64_t numPanelsA = ceilDivide(product.m, width), numPanels = ceilDivide(product.n, kWeightRows);
  auto* packed = static_cast<float*>(pool.sharedScratch(kSharedQuantised, numPanelsA * width * numUnits * sizeof(float)));
  parallelFor(pool, numPanelsA, [&](int64_t panel, int) {
    const int64_t row = panel * width;
    engine.packB(skipVectors(product.a, row), smaller(width, product.m - row), static_cast<int>(width), product.k, numUnits,
                 packed + row * numUnits);
  });
  const int64_t stretch = stretchOf(weight.groups);
  constexpr int64_t unitsPerGroup = kGroup / 2, pieceUnits = 16 * kWeightRows;
  parallelRanges(pool, numPanels, panelsPerTask(numPanels, pool), [&](int64_t begin, int64_t end, int thread) {
    auto* tiles = static_cast<float*>(pool.threadScratch(thread, kThreadStretch, stretch * 2 * pieceUnits * sizeof(float)));
    auto* sums = static_cast<float*>(pool.threadScratch(thread, kThreadBlock, numPanelsA * kWeightRows * width * sizeof(float)));
    engine.begin(kWeightRows);
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t column = panel * kWeightRows, rows = smaller(kWeightRows, product.n - column);
      for (int64_t group = 0; group < weight.groups; group += stretch) {
        const int64_t unit = group * unitsPerGroup, units = smaller(stretch * unitsPerGroup, numUnits - unit);
        dequantiseBlock(skipRows(weight, column), rows, group, smaller(stretch, weight.groups - group), reinterpret_cast<bf16*>(tiles),
                        kGroup / 2, 2 * pieceUnits);
        for (int64_t i = 0; i < numPanelsA; i++)
          run(kWeightRows, units, {tiles, 64, 64 * kWeightRows}, packed + (i * numUnits + unit) * width, sums + i * kWeightRows * width, group == 0);
      }
      for (int64_t i = 0; i < numPanelsA; i++)
        writeTransposed(sums + i * kWeightRows * width, width, product.c, i * width, smaller(width, product.m - i * width), column, rows);
    }
    engine.end();
  });
}

#endif

// The same on registers: rows of W become panels of the second factor, as the dense engine packs them.
inline void multiplyFewByPanels(const Product& product, const Quantised& weight, bool useBf16, ThreadPool& pool) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  const Plan plan = planProduct(product, engine);
  auto* packed = static_cast<float*>(pool.sharedScratch(kSharedQuantised, plan.numPanelsA * plan.storageHeight * plan.numUnits * sizeof(float)));
  parallelFor(pool, plan.numPanelsA, [&](int64_t panel, int) {
    packPanels(product.a, engine.packA, engine, product.m, product.k, plan.height, plan.storageHeight, panel, panel + 1, 0, plan.numUnits,
               packed + panel * plan.storageHeight * plan.numUnits);
  });
  const int64_t stretch = stretchOf(weight.groups), unitsPerGroup = kGroup / engine.kPerUnit;
  const int64_t sumsSize = int64_t{plan.storageHeight} * plan.columns;
  const MicroKernel run = plan.isNarrow ? engine.runNarrow : engine.run;
  parallelRanges(pool, plan.numPanelsB, panelsPerTask(plan.numPanelsB, pool), [&](int64_t begin, int64_t end, int thread) {
    auto* rows = pool.threadScratch(thread, kThreadStretch, plan.columns * stretch * kGroup * sizeof(float));
    auto* b = static_cast<float*>(pool.threadScratch(thread, kThreadPanel, plan.columns * stretch * kGroup * sizeof(float)));
    auto* sums = static_cast<float*>(pool.threadScratch(thread, kThreadBlock, plan.numPanelsA * sumsSize * sizeof(float)));
    if (engine.begin != nullptr) engine.begin(plan.height);
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t column = panel * plan.columns, count = smaller<int64_t>(plan.columns, product.n - column);
      for (int64_t group = 0; group < weight.groups; group += stretch) {
        const int64_t groups = smaller(stretch, weight.groups - group), k = smaller(groups * kGroup, product.k - group * kGroup);
        const int64_t unit = group * unitsPerGroup, units = smaller(groups * unitsPerGroup, plan.numUnits - unit);
#if defined(SELKIE_CODES_TO_PANELS)
        const Quantised panelCodes = skipRows(weight, column);
        if (!useBf16) codesToPanel<PlainPanel>(panelCodes, count, group, groups, b, plan.columns);
#if defined(__AVX512BF16__)
        else codesToPanel<PairPanel>(panelCodes, count, group, groups, b, plan.columns);
#else
        else codesToPanel<RoundedPanel>(panelCodes, count, group, groups, b, plan.columns);
#endif
#else
        dequantiseTo(skipRows(weight, column), count, group, groups, useBf16, rows, stretch * kGroup);
        engine.packB({rows, useBf16, true, stretch * kGroup}, count, plan.columns, k, units, b);
#endif
        for (int64_t i = 0; i < plan.numPanelsA; i++)
          run(plan.height, units, {packed + (i * plan.numUnits + unit) * plan.storageHeight, 64, 64 * plan.storageHeight}, b, sums + i * sumsSize,
              group == 0);
      }
      for (int64_t i = 0; i < plan.numPanelsA; i++)
        writeBlock(sums + i * sumsSize, plan.columns, product.c, i * plan.height, column,
                   smaller<int64_t>(plan.height, product.m - i * plan.height), count);
    }
    if (engine.end != nullptr) engine.end();
  });
}

// ---- Many rows ----

// `rows` rows of W and `groups` groups from `group` on, in scratch as a dense factor.
inline Operand dequantiseShared(const Quantised& weight, int64_t rows, int64_t group, int64_t groups, bool isTransposed, bool useBf16,
                                ThreadPool& pool) {
  const int64_t stride = groups * kGroup, rowBytes = stride * bytesPerElement(useBf16);
  auto* dense = static_cast<char*>(pool.sharedScratch(kSharedQuantised, rows * rowBytes));
  parallelRanges(pool, rows, 1 + 16384 / stride, [&](int64_t begin, int64_t end, int) {
    dequantiseTo(skipRows(weight, begin), end - begin, group, groups, useBf16, dense + begin * rowBytes, stride);
  });
  return {dense, useBf16, isTransposed, stride};
}

inline void multiplyMany(const Product& product, const Quantised& weight, bool isTransposed, bool useBf16, ThreadPool& pool) {
  const int64_t perBlock = kDenseBlockBytes / bytesPerElement(useBf16) / kGroup;  // groups in scratch
  const int64_t rows = isTransposed ? roundUp(ceilDivide(perBlock, weight.groups), kGroup) : product.k;  // whole pieces for Output::finish
  const int64_t groups = isTransposed ? weight.groups : larger<int64_t>(1, perBlock / larger<int64_t>(1, product.k));
  const int64_t columns = isTransposed ? rows : groups * kGroup;
  for (int64_t column = 0; column < product.n; column += columns) {
    Product piece = product;
    piece.n = smaller(columns, product.n - column);
    piece.c = skip(product.c, 0, column);
    piece.b = isTransposed
                  ? dequantiseShared(skipRows(weight, column), piece.n, 0, groups, true, useBf16, pool)
                  : dequantiseShared(weight, rows, column / kGroup, ceilDivide(piece.n, kGroup), false, useBf16, pool);
    multiply(piece, useBf16, pool);
  }
}

// `product` with the rows of `weight` as columns of b when `isTransposed`, else as they are; `product.b` is not read.
inline void multiplyQuantised(const Product& product, const Quantised& weight, bool isTransposed, bool useBf16, ThreadPool& pool) {
  if (product.m == 0 || product.n == 0) return;
  if (!isTransposed || product.m > kMaxFewRows) return multiplyMany(product, weight, isTransposed, useBf16, pool);
#if defined(__AMX_BF16__)
  if (useBf16) return multiplyFewByTiles(product, weight, pool);
#endif
  multiplyFewByPanels(product, weight, useBf16, pool);
}

// y[i] = row rowAt(i) of W, for `count` rows of `width` columns.
template <typename RowAt>
inline void dequantiseRows(const Quantised& weight, int64_t count, int64_t width, const View& y, ThreadPool& pool, const RowAt& rowAt) {
  const bool isBf16 = y.dtype == kBf16;
  const int64_t bytes = bytesPerElement(isBf16);
  parallelRanges(pool, count, 1 + 16384 / width, [&](int64_t begin, int64_t end, int thread) {
    void* line = pool.threadScratch(thread, kThreadStretch, weight.groups * kGroup * bytes);  // a row ends with its last group
    for (int64_t i = begin; i < end; i++) {
      dequantiseTo(skipRows(weight, rowAt(i)), 1, 0, weight.groups, isBf16, line, 0);
      __builtin_memcpy(at(y.data, isBf16, i * width), line, static_cast<size_t>(width * bytes));
    }
  });
}

// ---- Kernels ----

inline void quantisedGemm(const View* views, const double* numbers, ThreadPool& pool) {
  const auto m = static_cast<int64_t>(numbers[0]), n = static_cast<int64_t>(numbers[1]), k = static_cast<int64_t>(numbers[2]);
  const bool transposeA = numbers[3] != 0, transposeB = numbers[4] != 0;
  Product product = {
      .a = factorA(views[0], 0, transposeA ? m : k, transposeA),
      .b = {},
      .c = outputOf(views[4], 0, n, static_cast<float>(numbers[5]), numbers[6] != 0),
      .m = m,
      .n = n,
      .k = k,
  };
  product.c.bias = views[5].data;
  product.c.isBiasBf16 = views[5].dtype == kBf16;
  product.c.addend = views[6].data;
  product.c.isAddendBf16 = views[6].dtype == kBf16;
  multiplyQuantised(product, quantisedOf(views[1], views[2], views[3], transposeB ? k : n), transposeB, numbers[7] != 0, pool);
}

inline void quantisedRows(const View* views, const double* numbers, ThreadPool& pool) {
  const auto width = static_cast<int64_t>(numbers[0]);
  const auto* rows = static_cast<const int32_t*>(views[3].data);
  const Quantised weight = quantisedOf(views[0], views[1], views[2], width);
  dequantiseRows(weight, views[3].length, width, views[4], pool, [&](int64_t i) { return rows[i]; });
}

}  // namespace selkie::SELKIE_ISA

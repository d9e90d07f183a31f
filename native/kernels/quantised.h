// Products whose second factor is a quantised weight W [rows, columns], in both orientations: c = a · Wᵀ (isTransposed) and
// c = a · W. Codes and scales are laid out as src/tensor/quantise.ts says; a code book stands for 4-bit codes, none for int8.
//
// The result is that of the dense engine on the dequantised weight, to the bit, and depends on k alone in its order of
// summation; so a row has the same bits whatever other rows there are. There are two ways to it:
//   few rows  (decoding) reading W is all the work: a task takes one panel of rows of W after another.
//             On registers the codes are transposed, and units are multiplied as they are computed or, with more than four
//             rows, a stretch of k at a time from the level 1 cache (quantised-lanes.h). On tile registers a stretch is
//             dequantised into the level 1 cache row by row; the rows of W become the first factor as they are (a tile
//             row is 32 neighbouring k), and the result comes out transposed; a product of bf16 numbers is exact, so
//             swapping the factors changes nothing.
//   many rows dequantising is small beside the product: a block of W goes into scratch, row by row, and through `multiply`.
//
// Kernel `quantisedGemm`: views a, codes, scales, book or null, c, bias or null, addend or null; numbers m, n, k, transposeA,
// transposeB, alpha, accumulate, bf16.
// Kernel `quantisedRows`, y[i] = W[rows[i]]: views codes, scales, book or null, rows, y; numbers width.
#pragma once

#include "quantised-lanes.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kStretchGroups = 4;             // groups of a row dequantised at a time by products with few rows
constexpr int64_t kMaxFewRows = 128;              // with more, a dense block is the faster way
constexpr int64_t kDenseBlockBytes = 8 << 20;     // of dequantised weights in scratch
constexpr int kSharedQuantised = 10;              // scratch slot of that block, or of packed rows
constexpr int kThreadStretch = kThreadFirstFree;  // and of a stretch, or of the scales of a panel
constexpr int kThreadPanel = kThreadFirstFree + 1;

// ---- Few rows ----

// Groups of one stretch when `groups` are cut evenly.
inline int64_t stretchOf(int64_t groups) { return ceilDivide(groups, ceilDivide(groups, kStretchGroups)); }

// Panels of W that one task takes. Tasks cost a microsecond each, and about four per thread share evenly enough; of two
// such cuts the one whose busiest thread has less to do, as 18 panels are 2 · 3 tasks of three rather than 9 of two.
inline int64_t panelsPerTask(int64_t numPanels, const ThreadPool& pool) {
  const int64_t numThreads = pool.numThreads();
  if (numThreads == 1) return numPanels;
  const auto longest = [&](int64_t panels) { return panels * ceilDivide(ceilDivide(numPanels, panels), numThreads); };
  const int64_t fine = larger<int64_t>(1, numPanels / (4 * numThreads));
  return longest(fine + 1) < longest(fine) ? fine + 1 : fine;
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

// On registers: rows of W become panels of the second factor, as the dense engine packs them.
inline void multiplyFewByPanels(const Product& product, const Quantised& weight, bool useBf16, ThreadPool& pool) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  const Plan plan = planProduct(product, engine);
  auto* packed = static_cast<float*>(pool.sharedScratch(kSharedQuantised, plan.numPanelsA * plan.storageHeight * plan.numUnits * sizeof(float)));
  parallelFor(pool, plan.numPanelsA, [&](int64_t panel, int) {
    packPanels(product.a, engine.packA, engine, product.m, product.k, plan.height, plan.storageHeight, panel, panel + 1, 0, plan.numUnits,
               packed + panel * plan.storageHeight * plan.numUnits);
  });
  const int64_t stretch = stretchOf(weight.groups), unitsPerGroup = kGroup / engine.kPerUnit;
  const int64_t sumsSize = int64_t{plan.storageHeight} * engine.columns;
  const int64_t numPanels = ceilDivide(product.n, engine.columns);
  parallelRanges(pool, numPanels, panelsPerTask(numPanels, pool), [&](int64_t begin, int64_t end, int thread) {
    auto* b = static_cast<float*>(pool.threadScratch(thread, kThreadPanel, engine.columns * stretch * kGroup * sizeof(float)));
    auto* sums = static_cast<float*>(pool.threadScratch(thread, kThreadBlock, plan.numPanelsA * sumsSize * sizeof(float)));
#if defined(SELKIE_CODES_IN_LANES)
    auto* scales = static_cast<uint16_t*>(pool.threadScratch(thread, kThreadStretch, weight.groups * kPanelRows * sizeof(uint16_t)));
    const StorePanel store = panelStore(useBf16, weight.book != nullptr);
#else
    auto* rows = pool.threadScratch(thread, kThreadStretch, engine.columns * stretch * kGroup * sizeof(float));
#endif
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t column = panel * engine.columns, count = smaller<int64_t>(engine.columns, product.n - column);
      const Quantised part = skipRows(weight, column);
#if defined(SELKIE_CODES_IN_LANES)
      const PanelCodes codes = panelCodes(part, count, scales);
#endif
      for (int64_t group = 0; group < weight.groups; group += stretch) {
        const int64_t groups = smaller(stretch, weight.groups - group);
        const int64_t unit = group * unitsPerGroup, units = smaller(groups * unitsPerGroup, plan.numUnits - unit);
#if defined(SELKIE_CODES_IN_LANES)
        store(codes, weight.book, group, groups, b);
#else
        dequantiseTo(part, count, group, groups, useBf16, rows, stretch * kGroup);
        engine.packB({rows, useBf16, true, stretch * kGroup}, count, engine.columns, smaller(groups * kGroup, product.k - group * kGroup), units, b);
#endif
        for (int64_t i = 0; i < plan.numPanelsA; i++)
          engine.run(plan.height, units, {packed + (i * plan.numUnits + unit) * plan.storageHeight, 64, 64 * plan.storageHeight}, b,
                     sums + i * sumsSize, group == 0);
      }
      for (int64_t i = 0; i < plan.numPanelsA; i++)
        writeBlock(sums + i * sumsSize, engine.columns, product.c, i * plan.height, column,
                   smaller<int64_t>(plan.height, product.m - i * plan.height), count);
    }
  });
}

#if defined(SELKIE_CODES_IN_LANES)

// The same with so few rows that units of W need not be stored.
inline void multiplyFewInLanes(const Product& product, const Quantised& weight, bool useBf16, ThreadPool& pool) {
  const Engine& engine = useBf16 ? bf16Engine() : plainEngine();
  const int64_t numUnits = ceilDivide(product.k, engine.kPerUnit), numPanels = ceilDivide(product.n, kPanelRows);
  auto* packed = static_cast<float*>(pool.sharedScratch(kSharedQuantised, product.m * numUnits * sizeof(float)));
  engine.packA(product.a, product.m, product.m, product.k, numUnits, packed);
  const MultiplyLanes run = lanesKernel(useBf16, weight.book != nullptr, static_cast<int>(product.m));
  parallelRanges(pool, numPanels, panelsPerTask(numPanels, pool), [&](int64_t begin, int64_t end, int thread) {
    auto* scales = static_cast<uint16_t*>(pool.threadScratch(thread, kThreadStretch, weight.groups * kPanelRows * sizeof(uint16_t)));
    alignas(64) float sums[kMostLanesRows * kPanelRows];
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t column = panel * kPanelRows, count = smaller(kPanelRows, product.n - column);
      run(panelCodes(skipRows(weight, column), count, scales), weight.book, numUnits, packed, sums);
      writeBlock(sums, kPanelRows, product.c, 0, column, product.m, count);
    }
  });
}

#endif

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
#if defined(SELKIE_CODES_IN_LANES)
  if (product.m <= kMostLanesRows) return multiplyFewInLanes(product, weight, useBf16, pool);
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

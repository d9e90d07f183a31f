// LoRA for many adapters at once: each owns a run of rows (a segment) and adds its low-rank update to them.
//   forward    u = x Aᵀ,  y += s · u Bᵀ
//   backward   v = s · gradY B,  gradX += v A,  gradA = vᵀ x,  gradB = s · gradYᵀ u
// The rank is small, so the time goes into moving x, y and their gradients, not into arithmetic. Each of the three
// products behind these (narrow, wide, outer: lora-registers.h and, for bf16 on tiles, lora-tiles.h) therefore reads
// or updates the large matrix in one pass, where it lies; only the adapter's factors are packed, per task.
//   forward, and v and gradX: a task is up to kBlockRows rows of one adapter
//   gradA and gradB: a task is up to kOuterColumns columns of one factor over all rows of its adapter
// Rows take no part in each other's sums, so an adapter computes the same bits in any company.
#pragma once

#include "lora-registers.h"
#include "lora-tiles.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kBlockRows = 128;
constexpr int64_t kOuterColumns = 128;
constexpr int64_t kOuterRows = 512;  // rows of a panel of `outer`, which stays in the level 2 cache

// One factor of one adapter: A is [rank, length], B [length, rank].
struct LoraFactor {
  const float* data;
  bool isRankMajor;
  int64_t rank;
  int64_t length;
};

// As the factor of `narrow`: vectors are ranks, terms run along the length.
inline Operand byRank(const LoraFactor& factor) {
  return {factor.data, false, factor.isRankMajor, factor.isRankMajor ? factor.length : factor.rank};
}
// As the factor of `wide`: vectors run along the length, terms are ranks.
inline Operand byLength(const LoraFactor& factor) {
  return {factor.data, false, !factor.isRankMajor, factor.isRankMajor ? factor.length : factor.rank};
}

// The arguments that both kernels share.
struct LoraBank {
  const float* a;
  const float* b;
  const float* scales;
  const int32_t* segments;
  int64_t numGroups, inSize, outSize, rank;

  LoraFactor factorA(int64_t group) const { return {a + group * rank * inSize, true, rank, inSize}; }
  LoraFactor factorB(int64_t group) const { return {b + group * rank * outSize, false, rank, outSize}; }
};

// Up to kBlockRows rows of one adapter.
struct RowBlock {
  int64_t group, first, rows;
};

template <typename Products>
struct LoraPass {
  using Low = typename Products::Low;
  using Units = typename Products::Units;
  static constexpr int kSumsSlot = 0, kLowSlot = 1, kPackedSlot = 2, kRowsSlot = 3;  // of a thread
  static constexpr int kBlocksSlot = 0, kGradLowSlot = 1;                           // of all threads

  const LoraBank& bank;
  ThreadPool& pool;
  int64_t padded = Products::paddedRank(bank.rank);

  static int64_t numUnits(int64_t terms) { return roundUp(ceilDivide(terms, int64_t{Units::kPerUnit}), Products::kUnitMultiple); }

  float* floats(int thread, int slot, int64_t count) const {
    return static_cast<float*>(pool.threadScratch(thread, slot, static_cast<size_t>(count) * sizeof(float)));
  }
  // Low-rank rows as `wide` and `outer` read them, padded.
  const Low* copyLow(const View& lowRank, int64_t first, int64_t numRows, int thread) const {
    const auto bytes = static_cast<size_t>(roundUp(numRows, 16) * padded) * sizeof(Low);
    Low* copy = static_cast<Low*>(pool.threadScratch(thread, kLowSlot, bytes));
    withRows(rowsFrom(lowRank, bank.rank, first), [&](const auto* stored) {
      for (int64_t i = 0; i < numRows; i++) Products::toLow(stored + i * bank.rank, bank.rank, copy + i * padded, padded);
    });
    return copy;
  }

  template <typename Body>
  void forRowBlocks(const Body& body) const {
    int64_t count = 0;
    for (int64_t group = 0; group < bank.numGroups; group++)
      count += ceilDivide(bank.segments[group + 1] - bank.segments[group], kBlockRows);
    if (count == 0) return;
    auto* blocks = static_cast<RowBlock*>(pool.sharedScratch(kBlocksSlot, static_cast<size_t>(count) * sizeof(RowBlock)));
    RowBlock* next = blocks;
    for (int64_t group = 0; group < bank.numGroups; group++)
      for (int64_t first = bank.segments[group]; first < bank.segments[group + 1]; first += kBlockRows)
        *next++ = {group, first, smaller<int64_t>(kBlockRows, bank.segments[group + 1] - first)};
    parallelFor(pool, count, [&](int64_t task, int thread) {
      Products::begin(padded);
      body(blocks[task], thread);
      Products::end();
    });
  }

  // sums [rows, padded] = rows · factor.
  float* narrow(const MatrixRows& rows, int64_t numRows, const LoraFactor& factor, int thread) const {
    const int64_t units = numUnits(factor.length);
    float* packed = floats(thread, kPackedSlot, padded * units);
    for (int64_t j = 0; j < padded; j += Products::kRankPanel)
      packUnitMajor<Units, float>(skipVectors(byRank(factor), j), larger<int64_t>(0, factor.rank - j), Products::kRankPanel, factor.length, units,
                                  packed + j * units);
    float* sums = floats(thread, kSumsSlot, roundUp(numRows, 16) * padded);
    Products::narrow(rows, numRows, packed, padded, sums, floats(thread, kRowsSlot, Products::narrowScratch(factor.length)));
    return sums;
  }

  // rows += alpha · low · factor.
  void wide(const Low* low, const LoraFactor& factor, const MatrixRows& rows, int64_t numRows, float alpha, int thread) const {
    const int64_t units = wideUnits();
    float* packed = floats(thread, kPackedSlot, roundUp(factor.length, Products::kWidePanel) * units);
    for (int64_t column = 0; column < factor.length; column += Products::kWidePanel)
      packUnitMajor<Units, float>(skipVectors(byLength(factor), column), factor.length - column, Products::kWidePanel, factor.rank, units,
                                  packed + column * units);
    Products::wide(low, padded, factor.rank, packed, rows, numRows, alpha);
  }
  int64_t wideUnits() const { return Units::kPerUnit == 1 ? bank.rank : padded / Units::kPerUnit; }

  void forward(const View& x, const View& lowRank, const View& y) const {
    forRowBlocks([&](const RowBlock& block, int thread) {
      const auto [group, first, numRows] = block;
      const float* sums = narrow(rowsFrom(x, bank.inSize, first), numRows, bank.factorA(group), thread);
      withRows(rowsFrom(lowRank, bank.rank, first), [&](auto* stored) {
        for (int64_t i = 0; i < numRows; i++) convertRow(sums + i * padded, stored + i * bank.rank, bank.rank);
      });
      wide(copyLow(lowRank, first, numRows, thread), bank.factorB(group), rowsFrom(y, bank.outSize, first), numRows, bank.scales[group], thread);
    });
  }

  // gradient [rank, length] or [length, rank] of columns `column` .. + `count` of one factor: alpha · lowᵀ · rows.
  void outer(const Low* low, const MatrixRows& rows, int64_t numRows, int64_t column, int64_t count, float alpha, const LoraFactor& gradient,
             bool accumulate, int thread) const {
    const int64_t stride = roundUp(count, 2 * Vec::width);
    float* sums = floats(thread, kSumsSlot, padded * stride);
    if (numRows == 0) __builtin_memset(sums, 0, static_cast<size_t>(padded * stride) * sizeof(float));
    for (int64_t first = 0; first < numRows; first += kOuterRows) {
      const int64_t part = smaller(kOuterRows, numRows - first), units = numUnits(part);
      float* panel = floats(thread, kRowsSlot, units * stride);
      withRows(rows, [&](const auto* data) {
        Products::packOuter(data + first * rows.width + column, rows.width, count, part, stride, panel);
      });
      float* turned = floats(thread, kPackedSlot, Products::outerLowUnits(part, padded));
      Products::outer(Products::outerLow(low + first * padded, part, padded, turned), padded, panel, units, stride, sums, first == 0);
    }
    if (gradient.isRankMajor) writeRankMajor(sums, stride, column, count, alpha, gradient, accumulate);
    else writeRankMinor(sums, stride, column, count, alpha, gradient, accumulate);
  }

  static void writeRankMajor(const float* sums, int64_t stride, int64_t column, int64_t count, float alpha, const LoraFactor& gradient,
                             bool accumulate) {
    const Vec scale = Vec::set(alpha);
    for (int64_t j = 0; j < gradient.rank; j++) {
      auto* target = const_cast<float*>(gradient.data) + j * gradient.length + column;
      for (int64_t i = 0; i < count; i += 2 * Vec::width) {
        Vec columns[2];
        Products::loadOuter(sums + j * stride + i, columns);
        for (int64_t v = 0; v < 2; v++) {
          const int64_t at = i + v * Vec::width;
          if (count - at >= Vec::width) storeGrad(target + at, AllLanes{}, scale * columns[v], accumulate);
          else if (count > at) storeGrad(target + at, count - at, scale * columns[v], accumulate);
        }
      }
    }
  }

  static void writeRankMinor(const float* sums, int64_t stride, int64_t column, int64_t count, float alpha, const LoraFactor& gradient,
                             bool accumulate) {
    constexpr int width = Vec::width;
    const Vec scale = Vec::set(alpha);
    for (int64_t i = 0; i < count; i += 2 * width)
      for (int64_t j = 0; j < gradient.rank; j += width) {
        Vec block[2][width];
        for (int r = 0; r < width; r++) {
          Vec columns[2];
          Products::loadOuter(sums + (j + r) * stride + i, columns);
          for (int v = 0; v < 2; v++) block[v][r] = scale * columns[v];
        }
        const int64_t lanes = gradient.rank - j;
        for (int64_t v = 0; v < 2; v++) {
          transpose(block[v]);
          float* corner = const_cast<float*>(gradient.data) + (column + i + v * width) * gradient.rank + j;
          for (int64_t r = 0; r < smaller<int64_t>(width, count - i - v * width); r++) {
            if (lanes >= width) storeGrad(corner + r * gradient.rank, AllLanes{}, block[v][r], accumulate);
            else storeGrad(corner + r * gradient.rank, lanes, block[v][r], accumulate);
          }
        }
      }
  }
};

// One of the two factors' gradients and what it is made of.
struct FactorGradient {
  View rows;      // x or gradY
  float* target;  // null: not wanted
  bool accumulate;
  int64_t length;

  int64_t numTasks() const { return target == nullptr ? 0 : ceilDivide(length, kOuterColumns); }
};

// The backward pass: per adapter where there are many, so that its rows are still in the cache when the gradients of
// its factors are made of them; else first by rows, then by columns.
template <typename Products>
struct LoraBackward {
  using Low = typename Products::Low;
  const LoraPass<Products>& pass;
  FactorGradient gradA, gradB;
  View lowRank, gradY, gradX;
  Low* gradLow;             // groups begin at multiples of 16 rows
  const int64_t* firstLow;  // where

  void run() const {
    const LoraBank& bank = pass.bank;
    const int64_t tasksEach = gradA.numTasks() + gradB.numTasks();
    if (bank.numGroups >= 4 * pass.pool.numThreads()) {
      parallelFor(pass.pool, bank.numGroups, [&](int64_t group, int thread) {
        Products::begin(pass.padded);
        for (int64_t first = bank.segments[group]; first < bank.segments[group + 1]; first += kBlockRows)
          backwardRows({group, first, smaller<int64_t>(kBlockRows, bank.segments[group + 1] - first)}, thread);
        for (int64_t part = 0; part < tasksEach; part++) outerPart(group, part, thread);
        Products::end();
      });
      return;
    }
    pass.forRowBlocks([&](const RowBlock& block, int thread) { backwardRows(block, thread); });
    parallelFor(pass.pool, bank.numGroups * tasksEach, [&](int64_t task, int thread) {
      Products::begin(pass.padded);
      outerPart(task / tasksEach, task % tasksEach, thread);
      Products::end();
    });
  }

  // v and gradX of some rows.
  void backwardRows(const RowBlock& block, int thread) const {
    const LoraBank& bank = pass.bank;
    const auto [group, first, numRows] = block;
    float* sums = pass.narrow(rowsFrom(gradY, bank.outSize, first), numRows, bank.factorB(group), thread);
    const Vec scale = Vec::set(bank.scales[group]);
    Low* low = gradLow + (firstLow[group] + first - bank.segments[group]) * pass.padded;
    for (int64_t i = 0; i < numRows; i++) {
      float* row = sums + i * pass.padded;
      for (int64_t j = 0; j < pass.padded; j += Vec::width) (scale * Vec::load(row + j)).store(row + j);
      Products::toLow(row, pass.padded, low + i * pass.padded, pass.padded);
    }
    if (gradX.data != nullptr) pass.wide(low, bank.factorA(group), rowsFrom(gradX, bank.inSize, first), numRows, 1, thread);
  }

  // Up to kOuterColumns columns of gradA or gradB of one adapter.
  void outerPart(int64_t group, int64_t part, int thread) const {
    const LoraBank& bank = pass.bank;
    const bool isA = part < gradA.numTasks();
    const FactorGradient& gradient = isA ? gradA : gradB;
    const int64_t first = bank.segments[group], numRows = bank.segments[group + 1] - first;
    if (numRows == 0 && gradient.accumulate) return;
    const int64_t column = (isA ? part : part - gradA.numTasks()) * kOuterColumns, count = smaller(kOuterColumns, gradient.length - column);
    const LoraFactor target = {gradient.target + group * bank.rank * gradient.length, isA, bank.rank, gradient.length};
    const Low* low = isA ? gradLow + firstLow[group] * pass.padded : pass.copyLow(lowRank, first, numRows, thread);
    pass.outer(low, rowsFrom(gradient.rows, gradient.length, first), numRows, column, count, isA ? 1 : bank.scales[group], target,
               gradient.accumulate, thread);
  }
};

template <typename Body>
inline void withThinProducts(bool useBf16, const Body& body) {
#if defined(__AMX_BF16__)
  if (useBf16) return body(TileThinProducts{});
#else
  if (useBf16) return body(RegisterThinProducts<RoundedUnits>{});
#endif
  body(RegisterThinProducts<PlainUnits>{});
}

inline LoraBank bankOf(const View* views, const double* numbers) {
  return {
      .a = static_cast<const float*>(views[0].data),
      .b = static_cast<const float*>(views[1].data),
      .scales = static_cast<const float*>(views[2].data),
      .segments = static_cast<const int32_t*>(views[3].data),
      .numGroups = static_cast<int64_t>(numbers[0]),
      .inSize = static_cast<int64_t>(numbers[1]),
      .outSize = static_cast<int64_t>(numbers[2]),
      .rank = static_cast<int64_t>(numbers[3]),
  };
}

// Views: a [G, r, K], b [G, P, r], scales [G], segments [G + 1], x [N, K], lowRank [N, r], y [N, P].
// Numbers: G, K, P, r, bf16.
inline void lora(const View* views, const double* numbers, ThreadPool& pool) {
  const LoraBank bank = bankOf(views, numbers);
  withThinProducts(numbers[4] != 0, [&](auto products) {
    LoraPass<decltype(products)>{bank, pool}.forward(views[4], views[5], views[6]);
  });
}

// Views: as of `lora` without y, then gradY [N, P], gradX [N, K] or null (added to), gradA, gradB (as a and b, or null).
// Numbers: G, K, P, r, bf16, accumulate into gradA, accumulate into gradB.
inline void loraBackward(const View* views, const double* numbers, ThreadPool& pool) {
  const LoraBank bank = bankOf(views, numbers);
  withThinProducts(numbers[4] != 0, [&](auto products) {
    using Products = decltype(products);
    const LoraPass<Products> pass{bank, pool};
    auto* firstLow = static_cast<int64_t*>(pool.sharedScratch(2, static_cast<size_t>(bank.numGroups + 1) * sizeof(int64_t)));
    firstLow[0] = 0;
    for (int64_t group = 0; group < bank.numGroups; group++)
      firstLow[group + 1] = firstLow[group] + roundUp(bank.segments[group + 1] - bank.segments[group], 16);
    const auto bytes = static_cast<size_t>(firstLow[bank.numGroups] * pass.padded) * sizeof(typename Products::Low);
    auto* gradLow = static_cast<typename Products::Low*>(pool.sharedScratch(LoraPass<Products>::kGradLowSlot, bytes));
    LoraBackward<Products>{
        .pass = pass,
        .gradA = {views[4], floatsOf(views[8]), numbers[5] != 0, bank.inSize},
        .gradB = {views[6], floatsOf(views[9]), numbers[6] != 0, bank.outSize},
        .lowRank = views[5],
        .gradY = views[6],
        .gradX = views[7],
        .gradLow = gradLow,
        .firstLow = firstLow,
    }
        .run();
  });
}

}  // namespace selkie::SELKIE_ISA

// The three thin products of LoRA (lora.h) in vector registers: f32 multiply-adds, of factors rounded to bf16 first
// where Units says so. All keep a block of sums in registers and read one operand by broadcasts:
//   narrow  rows × rank      a vector of ranks per row, over the elements of the row
//   wide    rows × columns   two vectors of columns per row, over the ranks
//   outer   rank × columns   two vectors of columns per rank, over the rows
// Every sum is one chain in the order of its terms, so it does not depend on how rows are blocked.
#pragma once

#include "pack.h"
#include "vector-math.h"

namespace selkie::SELKIE_ISA {

// Rows of a matrix, as many as can be read from `data` on.
struct MatrixRows {
  void* data;
  bool isBf16;
  int64_t width;
  int64_t readable;
};

inline MatrixRows rowsFrom(const View& view, int64_t width, int64_t first) {
  const bool isBf16 = view.dtype == kBf16;
  return {at(view.data, isBf16, first * width), isBf16, width, (width == 0 ? 0 : view.length / width) - first};
}

// Calls body with the rows' data as float* or bf16*.
template <typename Body>
inline void withRows(const MatrixRows& rows, const Body& body) {
  if (rows.isBf16) return body(static_cast<bf16*>(rows.data));
  body(static_cast<float*>(rows.data));
}

// target += alpha · sums.
template <typename T>
inline void addScaled(const float* sums, Vec alpha, T* target, int64_t count) {
  forVectors(0, count, [=](int64_t i, auto lanes) {
    storeLanes(target + i, lanes, fma(alpha, loadLanes(sums + i, lanes), loadLanes(target + i, lanes)));
  });
}

template <typename UnitsOfKind>
struct RegisterThinProducts {
  using Units = UnitsOfKind;
  using Low = float;  // what the low-rank rows are kept as
  static constexpr int kUnitMultiple = 1;
  static constexpr int64_t kRankPanel = Vec::width;
  static constexpr int64_t kWidePanel = 2 * Vec::width;
  static constexpr int kRowsInRegisters = 8;
  static constexpr int kRanksInRegisters = Vec::width == 16 ? 8 : 4;  // others have half the registers

  static int64_t paddedRank(int64_t rank) { return roundUp(rank, Vec::width); }
  static void begin(int64_t) {}
  static void end() {}

  // One row, of which the first `count` elements exist.
  template <typename T>
  static void toLow(const T* source, int64_t count, float* target, int64_t padded) {
    for (int64_t i = 0; i < padded; i += Vec::width)
      (i < count ? Units::alongK(source + i, count - i) : Vec::zero()).store(target + i);
  }

  // f32 rows of multiply-ready numbers: the matrix itself, or a copy in `scratch`.
  static const float* readyRows(const MatrixRows& rows, int64_t first, int64_t count, float* scratch) {
    if constexpr (__is_same(Units, PlainUnits))
      if (!rows.isBf16) return static_cast<const float*>(rows.data) + first * rows.width;
    withRows(rows, [&](const auto* data) {
      const auto* source = data + first * rows.width;
      forVectors(0, count * rows.width, [=](int64_t i, auto lanes) {
        if constexpr (__is_same(decltype(lanes), AllLanes)) Units::alongK(source + i, Vec::width).store(scratch + i);
        else Units::alongK(source + i, lanes).store(scratch + i, lanes);
      });
    });
    return scratch;
  }

  static int64_t narrowScratch(int64_t length) { return kRowsInRegisters * roundUp(length, 16); }

  // sums [numRows, padded] = rows · factor, which packUnitMajor left in panels of one vector of ranks.
  static void narrow(const MatrixRows& rows, int64_t numRows, const float* packed, int64_t padded, float* sums, float* scratch) {
    for (int64_t first = 0; first < numRows;) {
      const int64_t left = numRows - first;
      const int64_t count = left >= 8 ? 8 : left >= 4 ? 4 : 1;
      const float* ready = readyRows(rows, first, count, scratch);
      for (int64_t j = 0; j < padded; j += Vec::width) {
        const float* panel = packed + j * rows.width;
        float* target = sums + first * padded + j;
        if (count == 8) narrowBlock<8>(ready, rows.width, panel, target, padded);
        else if (count == 4) narrowBlock<4>(ready, rows.width, panel, target, padded);
        else narrowBlock<1>(ready, rows.width, panel, target, padded);
      }
      first += count;
    }
  }

  template <int count>
  static void narrowBlock(const float* rows, int64_t width, const float* panel, float* sums, int64_t padded) {
    Vec sum[count];
    for (int i = 0; i < count; i++) sum[i] = Vec::zero();
    for (int64_t k = 0; k < width; k++) {
      const Vec ranks = Vec::load(panel + k * Vec::width);
#pragma GCC unroll 8
      for (int i = 0; i < count; i++) sum[i] = fma(Vec::set(rows[i * width + k]), ranks, sum[i]);
    }
    for (int i = 0; i < count; i++) sum[i].store(sums + i * padded);
  }

  // rows += alpha · low · factor, which packUnitMajor left in panels of two vectors of columns.
  static void wide(const float* low, int64_t padded, int64_t rank, const float* packed, const MatrixRows& rows, int64_t numRows, float alpha) {
    for (int64_t column = 0; column < rows.width; column += kWidePanel) {
      const float* panel = packed + column * rank;
      const int64_t count = smaller(kWidePanel, rows.width - column);
      withRows(rows, [&](auto* data) {
        auto* target = data + column;
        int64_t i = 0;
        for (; i + 4 <= numRows; i += 4) wideBlock<4>(low + i * padded, padded, rank, panel, target + i * rows.width, rows.width, count, alpha);
        for (; i < numRows; i++) wideBlock<1>(low + i * padded, padded, rank, panel, target + i * rows.width, rows.width, count, alpha);
      });
    }
  }

  template <int count, typename T>
  static void wideBlock(const float* low, int64_t padded, int64_t rank, const float* panel, T* target, int64_t stride, int64_t columns,
                        float alpha) {
    Vec sum[count][2];
    for (int i = 0; i < count; i++) sum[i][0] = sum[i][1] = Vec::zero();
    for (int64_t j = 0; j < rank; j++) {
      const Vec left = Vec::load(panel + j * kWidePanel), right = Vec::load(panel + j * kWidePanel + Vec::width);
#pragma GCC unroll 4
      for (int i = 0; i < count; i++) {
        const Vec row = Vec::set(low[i * padded + j]);
        sum[i][0] = fma(row, left, sum[i][0]);
        sum[i][1] = fma(row, right, sum[i][1]);
      }
    }
    for (int i = 0; i < count; i++) {
      float sums[kWidePanel];
      sum[i][0].store(sums);
      sum[i][1].store(sums + Vec::width);
      addScaled(sums, Vec::set(alpha), target + i * stride, columns);
    }
  }

  // Panel [numRows, stride] of the first `count` columns of rows, which lie `width` apart.
  template <typename T>
  static void packOuter(const T* rows, int64_t width, int64_t count, int64_t numRows, int64_t stride, float* panel) {
    for (int64_t i = 0; i < numRows; i++)
      for (int64_t j = 0; j < stride; j += Vec::width)
        (j < count ? Units::alongK(rows + i * width + j, count - j) : Vec::zero()).store(panel + i * stride + j);
  }

  static int64_t outerLowUnits(int64_t, int64_t) { return 0; }

  // What `outer` reads of numRows low-rank rows: here the rows themselves.
  static const float* outerLow(const float* low, int64_t, int64_t, float*) { return low; }

  // sums [padded, stride] (+)= lowᵀ · rows, of which packOuter left a panel of `stride` columns.
  static void outer(const float* low, int64_t padded, const float* panel, int64_t numUnits, int64_t stride, float* sums, bool isFirst) {
    for (int64_t column = 0; column < stride; column += kWidePanel)
      for (int64_t j = 0; j < padded; j += kRanksInRegisters)
        outerBlock(low + j, padded, panel + column, numUnits, stride, sums + j * stride + column, isFirst);
  }

  // Two vectors of neighbouring columns of `outer`'s sums.
  static void loadOuter(const float* sums, Vec* columns) {
    columns[0] = Vec::load(sums);
    columns[1] = Vec::load(sums + Vec::width);
  }

  static void outerBlock(const float* low, int64_t padded, const float* panel, int64_t numRows, int64_t stride, float* sums, bool isFirst) {
    constexpr int count = kRanksInRegisters;
    Vec sum[count][2];
    for (int j = 0; j < count; j++)
      for (int v = 0; v < 2; v++) sum[j][v] = isFirst ? Vec::zero() : Vec::load(sums + j * stride + v * Vec::width);
    for (int64_t i = 0; i < numRows; i++) {
      const Vec left = Vec::load(panel + i * stride), right = Vec::load(panel + i * stride + Vec::width);
#pragma GCC unroll 8
      for (int j = 0; j < count; j++) {
        const Vec rank = Vec::set(low[i * padded + j]);
        sum[j][0] = fma(rank, left, sum[j][0]);
        sum[j][1] = fma(rank, right, sum[j][1]);
      }
    }
    for (int j = 0; j < count; j++)
      for (int v = 0; v < 2; v++) sum[j][v].store(sums + j * stride + v * Vec::width);
  }
};

}  // namespace selkie::SELKIE_ISA

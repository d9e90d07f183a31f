// Moving rows: lookup, scatter with addition, overwrite.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

// y[i] = x[rows[i]]. Views x, rows, y; numbers width.
inline void gatherRows(const View* views, const double* numbers, ThreadPool& pool) {
  const int64_t width = static_cast<int64_t>(numbers[0]);
  const int32_t* rows = intsOf(views[1]);
  withType(views[0], [&](const auto* x) {
    withType(views[2], [&](auto* y) {
      forItems(pool, views[1].length, width, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) convertRow(x + rows[i] * width, y + i * width, width);
      });
    });
  });
}

// y[rows[i]] = x[i], rows distinct. Views x, rows, y; numbers width.
inline void setRows(const View* views, const double* numbers, ThreadPool& pool) {
  const int64_t width = static_cast<int64_t>(numbers[0]);
  const int32_t* rows = intsOf(views[1]);
  withType(views[0], [&](const auto* x) {
    withType(views[2], [&](auto* y) {
      forItems(pool, views[1].length, width, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) convertRow(x + i * width, y + rows[i] * width, width);
      });
    });
  });
}

// y[rows[i]] += x[i] in ascending i. A task owns a band of columns, so repeated rows need no lock and sum in one order.
// Views x, rows, y; numbers width.
inline void scatterAddRows(const View* views, const double* numbers, ThreadPool& pool) {
  const int64_t width = static_cast<int64_t>(numbers[0]), numRows = views[1].length;
  const int32_t* rows = intsOf(views[1]);
  float* y = floatsOf(views[2]);
  const int64_t bandWidth = numRows * width <= kInlineWork ? larger<int64_t>(1, width) : 128;
  withType(views[0], [&](const auto* x) {
    parallelRanges(pool, width, bandWidth, [=](int64_t begin, int64_t end, int) {
      for (int64_t i = 0; i < numRows; i++) {
        const auto* source = x + i * width;
        float* target = y + rows[i] * width;
        forVectors(begin, end, [=](int64_t at, auto lanes) {
          storeLanes(target + at, lanes, loadLanes(target + at, lanes) + loadLanes(source + at, lanes));
        });
      }
    });
  });
}

}  // namespace selkie::SELKIE_ISA

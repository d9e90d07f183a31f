// Sums and scalings of whole tensors.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

// y = a + b. Views a, b, y.
inline void add(const View* views, const double*, ThreadPool& pool) {
  withType(views[0], [&](const auto* a) {
    withType(views[1], [&](const auto* b) {
      withType(views[2], [&](auto* y) {
        forItems(pool, views[2].length, 1, [=](int64_t begin, int64_t end) {
          forVectors(begin, end, [=](int64_t i, auto lanes) {
            storeLanes(y + i, lanes, loadLanes(a + i, lanes) + loadLanes(b + i, lanes));
          });
        });
      });
    });
  });
}

// y = alpha · x + beta · y; with beta = 0 the old y is not read, and with alpha = 1 as well this is a cast.
// Views x, y; numbers alpha, beta.
inline void axpby(const View* views, const double* numbers, ThreadPool& pool) {
  const Vec alpha = Vec::set(static_cast<float>(numbers[0])), beta = Vec::set(static_cast<float>(numbers[1]));
  const bool isCast = numbers[0] == 1 && numbers[1] == 0, overwrites = numbers[1] == 0;
  withType(views[0], [&](const auto* x) {
    withType(views[1], [&](auto* y) {
      forItems(pool, views[1].length, 1, [=](int64_t begin, int64_t end) {
        if (isCast) return convertRow(x + begin, y + begin, end - begin);
        forVectors(begin, end, [=](int64_t i, auto lanes) {
          const Vec scaled = alpha * loadLanes(x + i, lanes);
          storeLanes(y + i, lanes, overwrites ? scaled : fma(beta, loadLanes(y + i, lanes), scaled));
        });
      });
    });
  });
}

}  // namespace selkie::SELKIE_ISA

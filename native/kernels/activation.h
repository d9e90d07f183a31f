// SwiGLU and GELU with their gradients.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

// Views gate, up, y.
inline void swiglu(const View* views, const double*, ThreadPool& pool) {
  withType(views[0], [&](const auto* gate) {
    using T = decltype(+*gate);
    (void)sizeof(T);
    withType(views[1], [&](const auto* up) {
      withType(views[2], [&](auto* y) {
        forItems(pool, views[0].length, 1, [=](int64_t begin, int64_t end) {
          forVectors(begin, end, [=](int64_t i, auto lanes) {
            const Vec g = loadLanes(gate + i, lanes);
            storeLanes(y + i, lanes, g * sigmoid(g).open * loadLanes(up + i, lanes));
          });
        });
      });
    });
  });
}

}  // namespace selkie::SELKIE_ISA

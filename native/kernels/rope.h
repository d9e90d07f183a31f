// Rotary position embedding, half layout: [x1 c - x2 s, x2 c + x1 s].
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

// Rotates one head; `sign` is -1 for the inverse rotation. Both halves are read before either is written: y may be x.
template <typename T, typename U>
inline void rotateHead(const T* x, const float* cosines, const float* sines, Vec sign, U* y, int64_t half,
                       bool accumulate) {
  forVectors(0, half, [=](int64_t i, auto lanes) {
    const Vec c = loadLanes(cosines + i, lanes), s = sign * loadLanes(sines + i, lanes);
    const Vec first = loadLanes(x + i, lanes), second = loadLanes(x + half + i, lanes);
    storeGrad(y + i, lanes, fnma(second, s, first * c), accumulate);
    storeGrad(y + half + i, lanes, fma(first, s, second * c), accumulate);
  });
}

// Views x, positions, cos, sin, y; numbers numHeads, headDim, inverse, accumulate.
inline void rope(const View* views, const double* numbers, ThreadPool& pool) {
  const int64_t numHeads = static_cast<int64_t>(numbers[0]), headDim = static_cast<int64_t>(numbers[1]);
  const Vec sign = Vec::set(numbers[2] != 0 ? -1.0f : 1.0f);
  const bool accumulate = numbers[3] != 0;
  const int64_t half = headDim / 2, width = numHeads * headDim;
  const int32_t* positions = intsOf(views[1]);
  const float* cosines = floatsOf(views[2]);
  const float* sines = floatsOf(views[3]);
  withType(views[0], [&](const auto* x) {
    withType(views[4], [&](auto* y) {
      forItems(pool, views[1].length, width, [=](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++)
          for (int64_t head = 0; head < numHeads; head++) {
            const int64_t at = row * width + head * headDim;
            rotateHead(x + at, cosines + positions[row] * half, sines + positions[row] * half, sign, y + at, half,
                       accumulate);
          }
      });
    });
  });
}

}  // namespace selkie::SELKIE_ISA

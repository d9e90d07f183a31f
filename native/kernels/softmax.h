// Softmax and its logarithm over one axis of [outer, axis, inner], with their gradients. Three passes over a row: the
// maximum, the sum, the result. A row of nothing but -infinity gives zeros, or -infinity as logarithm.
#pragma once

#include "reduce-axis.h"

namespace selkie::SELKIE_ISA {

// What is taken off: the maximum, unless there is nothing but -infinity.
inline float softmaxShift(float most) { return most == -kInfinity ? 0.0f : most; }
inline float inverseSum(float total) { return total == 0 ? 0.0f : 1.0f / total; }
inline float logOfSum(float total) { return total == 0 ? 0.0f : log(total); }

template <typename T>
inline void softmaxRow(const T* x, T* y, int64_t length, bool isLog) {
  const float shift = softmaxShift(rowMaximum(x, length));
  const Vec taken = Vec::set(shift);
  if (isLog) {
    const Vec rest = Vec::set(logOfSum(rowSumExp(x, length, shift)));
    forVectors(0, length, [=](int64_t i, auto lanes) { storeLanes(y + i, lanes, loadLanes(x + i, lanes) - taken - rest); });
    return;
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    const float total = sumVectors(length, [=](int64_t i, auto lanes) {
      const Vec grown = exp(loadOr(x + i, lanes, -kInfinity) - taken);
      storeLanes(y + i, lanes, grown);
      return grown;
    });
    const Vec factor = Vec::set(inverseSum(total));
    forVectors(0, length, [=](int64_t i, auto lanes) { storeLanes(y + i, lanes, loadLanes(y + i, lanes) * factor); });
  } else {  // y cannot hold the exponentials to full precision: they are computed twice
    const Vec factor = Vec::set(inverseSum(rowSumExp(x, length, shift)));
    forVectors(0, length, [=](int64_t i, auto lanes) { storeLanes(y + i, lanes, exp(loadLanes(x + i, lanes) - taken) * factor); });
  }
}

template <typename T>
inline void softmaxColumns(const T* x, T* y, const AxisShape& shape, int64_t width, bool isLog) {
  float shifts[kBand], totals[kBand];
  MaximumOf::columns(x, shape.length, shape.inner, shifts, width);
  for (int64_t i = 0; i < width; i++) shifts[i] = softmaxShift(shifts[i]);
  SumOf::fillBand(totals, 0.0f, width);
  const float* taken = shifts;
  float* sums = totals;
  for (int64_t row = 0; row < shape.length; row++)
    forVectors(0, width, [=](int64_t i, auto lanes) {
      const Vec grown = exp(loadLanes(x + row * shape.inner + i, lanes) - loadLanes(taken + i, lanes));
      storeLanes(sums + i, lanes, loadLanes(sums + i, lanes) + grown);
    });
  for (int64_t i = 0; i < width; i++) totals[i] = isLog ? logOfSum(totals[i]) : inverseSum(totals[i]);
  for (int64_t row = 0; row < shape.length; row++, x += shape.inner, y += shape.inner)
    forVectors(0, width, [=](int64_t i, auto lanes) {
      const Vec shifted = loadLanes(x + i, lanes) - loadLanes(taken + i, lanes), rest = loadLanes(sums + i, lanes);
      storeLanes(y + i, lanes, isLog ? shifted - rest : exp(shifted) * rest);
    });
}

// Views x, y of one storage type; numbers outer, length, inner, 1 for the logarithm.
inline void softmax(const View* views, const double* numbers, ThreadPool& pool) {
  const AxisShape shape = axisShapeOf(numbers);
  const bool isLog = numbers[3] != 0;
  if (shape.length == 0) return;
  withType(views[0], [&](auto* x) {
    auto* y = dataLike(x, views[1]);
    forAxisPieces(pool, shape, shape.length, [&](int64_t o, int64_t, int64_t, int64_t column, int64_t width) {
      const int64_t first = o * shape.length * shape.inner + column;
      if (shape.inner == 1) return softmaxRow(x + first, y + first, shape.length, isLog);
      softmaxColumns(x + first, y + first, shape, width, isLog);
    });
  });
}

// dx = y (dy - Σ dy y); of the logarithm dx = dy - e^y Σ dy.
struct SoftmaxSlopes {
  static Vec term(Vec y, Vec gradY) { return y * gradY; }
  static Vec slope(Vec y, Vec gradY, Vec total) { return y * (gradY - total); }
};
struct LogSoftmaxSlopes {
  static Vec term(Vec, Vec gradY) { return gradY; }
  static Vec slope(Vec y, Vec gradY, Vec total) { return gradY - exp(y) * total; }
};

template <typename Slopes, typename T, typename G>
inline void softmaxSlopes(const T* y, const T* gradY, G* gradX, const AxisShape& shape, int64_t width, bool accumulate) {
  if (shape.inner == 1) {
    const Vec total = Vec::set(sumVectors(shape.length, [=](int64_t i, auto lanes) {
      return Slopes::term(loadLanes(y + i, lanes), loadLanes(gradY + i, lanes));
    }));
    forVectors(0, shape.length, [=](int64_t i, auto lanes) {
      storeGrad(gradX + i, lanes, Slopes::slope(loadLanes(y + i, lanes), loadLanes(gradY + i, lanes), total), accumulate);
    });
    return;
  }
  float totals[kBand];
  SumOf::fillBand(totals, 0.0f, width);
  float* sums = totals;
  for (int64_t row = 0; row < shape.length; row++)
    forVectors(0, width, [=](int64_t i, auto lanes) {
      const int64_t at = row * shape.inner + i;
      storeLanes(sums + i, lanes, loadLanes(sums + i, lanes) + Slopes::term(loadLanes(y + at, lanes), loadLanes(gradY + at, lanes)));
    });
  for (int64_t row = 0; row < shape.length; row++)
    forVectors(0, width, [=](int64_t i, auto lanes) {
      const int64_t at = row * shape.inner + i;
      const Vec slope = Slopes::slope(loadLanes(y + at, lanes), loadLanes(gradY + at, lanes), loadLanes(sums + i, lanes));
      storeGrad(gradX + at, lanes, slope, accumulate);
    });
}

// Views y, gradY of one storage type, gradX; numbers outer, length, inner, 1 for the logarithm, accumulate.
inline void softmaxBackward(const View* views, const double* numbers, ThreadPool& pool) {
  const AxisShape shape = axisShapeOf(numbers);
  const bool isLog = numbers[3] != 0, accumulate = numbers[4] != 0;
  if (shape.length == 0) return;
  withType(views[0], [&](auto* y) {
    auto* gradY = dataLike(y, views[1]);
    withType(views[2], [&](auto* gradX) {
      forAxisPieces(pool, shape, shape.length, [&](int64_t o, int64_t, int64_t, int64_t column, int64_t width) {
        const int64_t first = o * shape.length * shape.inner + column;
        if (isLog)
          softmaxSlopes<LogSoftmaxSlopes>(y + first, gradY + first, gradX + first, shape, width, accumulate);
        else
          softmaxSlopes<SoftmaxSlopes>(y + first, gradY + first, gradX + first, shape, width, accumulate);
      });
    });
  });
}

}  // namespace selkie::SELKIE_ISA

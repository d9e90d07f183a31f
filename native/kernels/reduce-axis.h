// Reductions over one axis of a tensor seen as [outer, axis, inner]: sum, maximum, log of the sum of exponentials.
// The axis is cut into chunks of fixed length, so that few long reductions use all threads and sums stay exact: partial
// results of the chunks are reduced once more, in order. The length of a chunk depends on the axis and on nothing else.
#pragma once

#include "float-bits.h"
#include "functions.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kRowChunk = 4096;   // elements of a row (inner 1)
constexpr int64_t kColumnChunk = 256; // rows of a matrix whose columns are reduced
constexpr int64_t kBand = 512;        // columns that one task reduces side by side

struct AxisShape {
  int64_t outer, length, inner;
};
inline AxisShape axisShapeOf(const double* numbers) {
  return {static_cast<int64_t>(numbers[0]), static_cast<int64_t>(numbers[1]), static_cast<int64_t>(numbers[2])};
}

constexpr float kInfinity = __builtin_inff();

// Lanes left out hold `fill`.
template <typename T>
inline Vec loadOr(const T* p, AllLanes, float) {
  return Vec::load(p);
}
template <typename T>
inline Vec loadOr(const T* p, int64_t lanes, float fill) {
  float values[Vec::width];
  for (int64_t i = 0; i < Vec::width; i++) values[i] = i < lanes ? toFloat(p[i]) : fill;
  return Vec::load(values);
}

// The larger; NaN in either gives NaN.
inline Vec maximumWithNan(Vec most, Vec x) { return select(equalTo(x, x), max(x, most), x); }
inline float maximumWithNan(float most, float x) { return x > most || x != x ? x : most; }

template <typename T>
inline float rowMaximum(const T* x, int64_t length) {
  Vec most[4] = {Vec::set(-kInfinity), Vec::set(-kInfinity), Vec::set(-kInfinity), Vec::set(-kInfinity)};
  int64_t i = 0;
  for (; i + 4 * Vec::width <= length; i += 4 * Vec::width)
    for (int chain = 0; chain < 4; chain++) {
      fetchAhead(x + i + chain * Vec::width);
      most[chain] = maximumWithNan(most[chain], Vec::load(x + i + chain * Vec::width));
    }
  forVectors(i, length, [&](int64_t at, auto lanes) { most[0] = maximumWithNan(most[0], loadOr(x + at, lanes, -kInfinity)); });
  for (int chain = 1; chain < 4; chain++) most[0] = maximumWithNan(most[0], most[chain]);
  float values[Vec::width], result = -kInfinity;
  most[0].store(values);
  for (int lane = 0; lane < Vec::width; lane++) result = maximumWithNan(result, values[lane]);
  return result;
}

// What is taken off before the exponential: nothing from a row without a finite maximum.
inline float finiteShift(float most) { return most - most == 0 ? most : 0.0f; }

template <typename T>
inline float rowSumExp(const T* x, int64_t length, float shift) {
  const Vec taken = Vec::set(shift);
  return sumVectors(length, [=](int64_t i, auto lanes) { return exp(loadOr(x + i, lanes, -kInfinity) - taken); });
}

// ---- What is reduced: a row, the same columns of many rows, and partial results ----

struct SumOf {
  template <typename T>
  static float row(const T* x, int64_t length) {
    return sumVectors(length, [=](int64_t i, auto lanes) {
      fetchAhead(x + i);
      return loadLanes(x + i, lanes);
    });
  }
  template <typename T>
  static void columns(const T* x, int64_t numRows, int64_t stride, float* totals, int64_t width) {
    fillBand(totals, 0.0f, width);
    int64_t row = 0;
    for (; row + 4 <= numRows; row += 4) {
      const T* p = x + row * stride;
      forVectors(0, width, [=](int64_t i, auto lanes) {
        const Vec low = loadLanes(p + i, lanes) + loadLanes(p + stride + i, lanes);
        const Vec high = loadLanes(p + 2 * stride + i, lanes) + loadLanes(p + 3 * stride + i, lanes);
        storeLanes(totals + i, lanes, loadLanes(totals + i, lanes) + (low + high));
      });
    }
    for (; row < numRows; row++) {
      const T* p = x + row * stride;
      forVectors(0, width, [=](int64_t i, auto lanes) {
        storeLanes(totals + i, lanes, loadLanes(totals + i, lanes) + loadLanes(p + i, lanes));
      });
    }
  }
  static float partials(const float* x, int64_t count, int64_t stride) {
    double total = 0;
    for (int64_t i = 0; i < count; i++) total += static_cast<double>(x[i * stride]);
    return static_cast<float>(total);
  }
  static void fillBand(float* band, float value, int64_t width) {
    forVectors(0, width, [=](int64_t i, auto lanes) { storeLanes(band + i, lanes, Vec::set(value)); });
  }
};

struct MaximumOf {
  template <typename T>
  static float row(const T* x, int64_t length) {
    return rowMaximum(x, length);
  }
  template <typename T>
  static void columns(const T* x, int64_t numRows, int64_t stride, float* most, int64_t width) {
    SumOf::fillBand(most, -kInfinity, width);
    for (int64_t row = 0; row < numRows; row++) {
      const T* p = x + row * stride;
      forVectors(0, width, [=](int64_t i, auto lanes) {
        storeLanes(most + i, lanes, maximumWithNan(loadLanes(most + i, lanes), loadLanes(p + i, lanes)));
      });
    }
  }
  static float partials(const float* x, int64_t count, int64_t stride) {
    float most = -kInfinity;
    for (int64_t i = 0; i < count; i++) most = maximumWithNan(most, x[i * stride]);
    return most;
  }
};

struct LogSumExpOf {
  template <typename T>
  static float row(const T* x, int64_t length) {
    const float shift = finiteShift(rowMaximum(x, length));
    return shift + log(rowSumExp(x, length, shift));
  }
  // The maxima come first, then the sums beside them.
  template <typename T>
  static void columns(const T* x, int64_t numRows, int64_t stride, float* results, int64_t width) {
    float shifts[kBand];
    MaximumOf::columns(x, numRows, stride, shifts, width);
    for (int64_t i = 0; i < width; i++) shifts[i] = finiteShift(shifts[i]);
    SumOf::fillBand(results, 0.0f, width);
    const float* taken = shifts;
    for (int64_t row = 0; row < numRows; row++) {
      const T* p = x + row * stride;
      forVectors(0, width, [=](int64_t i, auto lanes) {
        const Vec grown = exp(loadLanes(p + i, lanes) - loadLanes(taken + i, lanes));
        storeLanes(results + i, lanes, loadLanes(results + i, lanes) + grown);
      });
    }
    forVectors(0, width, [=](int64_t i, auto lanes) {
      storeLanes(results + i, lanes, loadLanes(taken + i, lanes) + log(loadLanes(results + i, lanes)));
    });
  }
  static float partials(const float* x, int64_t count, int64_t stride) {
    const float shift = finiteShift(MaximumOf::partials(x, count, stride));
    float total = 0;
    for (int64_t i = 0; i < count; i++) total += exp(x[i * stride] - shift);
    return shift + log(total);
  }
};

// ---- Cutting ----

// y[at ..] = scale · values (+ y).
inline void storeReduced(const View& view, int64_t at, const float* values, int64_t length, float scale, bool accumulate) {
  withType(view, [&](auto* y) {
    forVectors(0, length, [=](int64_t i, auto lanes) {
      storeGrad(y + at + i, lanes, Vec::set(scale) * loadLanes(values + i, lanes), accumulate);
    });
  });
}

// Calls body(o, firstRow, numRows, firstColumn, numColumns) for the pieces of the work; chunks are multiples of `chunk`.
template <typename Body>
inline void forAxisPieces(ThreadPool& pool, const AxisShape& shape, int64_t chunk, const Body& body) {
  const int64_t numChunks = larger<int64_t>(1, (shape.length + chunk - 1) / chunk);
  const int64_t numBands = (shape.inner + kBand - 1) / kBand;
  const int64_t work = larger<int64_t>(1, smaller(chunk, shape.length)) * smaller(kBand, shape.inner);
  forItems(pool, shape.outer * numChunks * numBands, work, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at++) {
      const int64_t band = at % numBands, piece = at / numBands, index = piece % numChunks;
      body(piece / numChunks, index * chunk, smaller(chunk, shape.length - index * chunk), band * kBand,
           smaller(kBand, shape.inner - band * kBand));
    }
  });
}

template <typename Op, typename T>
inline void reduceInto(const T* x, const View& y, const AxisShape& shape, float scale, bool accumulate, ThreadPool& pool) {
  const int64_t chunk = shape.inner == 1 ? kRowChunk : kColumnChunk;
  const int64_t numChunks = larger<int64_t>(1, (shape.length + chunk - 1) / chunk), inner = shape.inner;
  const bool isSplit = numChunks > 1;
  float* partials =
      isSplit ? static_cast<float*>(pool.sharedScratch(0, static_cast<size_t>(shape.outer * numChunks * inner) * sizeof(float)))
              : nullptr;
  forAxisPieces(pool, shape, chunk, [&](int64_t o, int64_t row, int64_t numRows, int64_t column, int64_t width) {
    float results[kBand];
    const T* source = x + (o * shape.length + row) * inner + column;
    if (inner == 1)
      results[0] = Op::row(source, numRows);
    else
      Op::columns(source, numRows, inner, results, width);
    if (isSplit)
      convertRow(results, partials + (o * numChunks + row / chunk) * inner + column, width);
    else
      storeReduced(y, o * inner + column, results, width, scale, accumulate);
  });
  if (!isSplit) return;
  forItems(pool, shape.outer * inner, numChunks, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at++) {
      const int64_t o = at / inner;
      const float result = Op::partials(partials + o * numChunks * inner + (at - o * inner), numChunks, inner);
      storeReduced(y, at, &result, 1, scale, accumulate);
    }
  });
}

// y = scale · the reduction (+ y). Views x, y; numbers which (0 sum, 1 maximum, 2 logSumExp), outer, length, inner, scale,
// accumulate. The order is that of `reductionIds` in src/tensor/backends/cpu/kernels-primitives.ts.
inline void reduce(const View* views, const double* numbers, ThreadPool& pool) {
  const int which = static_cast<int>(numbers[0]);
  const AxisShape shape = axisShapeOf(numbers + 1);
  const float scale = static_cast<float>(numbers[4]);
  const bool accumulate = numbers[5] != 0;
  withType(views[0], [&](const auto* x) {
    if (which == 0) return reduceInto<SumOf>(x, views[1], shape, scale, accumulate, pool);
    if (which == 1) return reduceInto<MaximumOf>(x, views[1], shape, scale, accumulate, pool);
    reduceInto<LogSumExpOf>(x, views[1], shape, scale, accumulate, pool);
  });
}

// ---- The place of the maximum ----

// First element that equals `most`, or is NaN.
template <typename T>
inline int64_t findMaximum(const T* x, int64_t length, float most) {
  const Vec wanted = Vec::set(most);
  int64_t i = 0;
  for (; i + Vec::width <= length; i += Vec::width) {
    const Vec value = Vec::load(x + i);
    const Vec misses = select(equalTo(value, value), select(equalTo(value, wanted), Vec::zero(), Vec::set(1.0f)), Vec::zero());
    if (reduceAdd(misses) < Vec::width) break;
  }
  for (; i < length; i++) {
    const float value = toFloat(x[i]);
    if (value == most || value != value) return i;
  }
  return 0;
}

// Index along the axis of the first largest element; NaN counts as the largest. Views x, indices (i32); numbers outer,
// length, inner.
inline void argmax(const View* views, const double* numbers, ThreadPool& pool) {
  const AxisShape shape = axisShapeOf(numbers);
  int32_t* indices = static_cast<int32_t*>(views[1].data);
  withType(views[0], [&](const auto* x) {
    forAxisPieces(pool, shape, larger<int64_t>(1, shape.length), [&](int64_t o, int64_t, int64_t numRows, int64_t column, int64_t width) {
      const auto* source = x + o * shape.length * shape.inner + column;
      int32_t* target = indices + o * shape.inner + column;
      if (shape.inner == 1) {
        *target = static_cast<int32_t>(findMaximum(source, numRows, rowMaximum(source, numRows)));
        return;
      }
      float most[kBand];
      for (int64_t i = 0; i < width; i++) {
        most[i] = toFloat(source[i]);
        target[i] = 0;
      }
      for (int64_t row = 1; row < numRows; row++)
        for (int64_t i = 0; i < width; i++) {
          const float value = toFloat(source[row * shape.inner + i]);
          const bool isLarger = value > most[i] || (value != value && most[i] == most[i]);
          most[i] = isLarger ? value : most[i];
          target[i] = isLarger ? static_cast<int32_t>(row) : target[i];
        }
    });
  });
}

// ---- Gradients ----

// The whole gradient goes to the first largest element. `pending` holds it until then; afterwards zeros.
template <typename T, typename G>
inline void maximumSlopes(const T* x, const float* most, float* pending, G* gradX, const AxisShape& shape, int64_t width,
                          bool accumulate) {
  for (int64_t row = 0; row < shape.length; row++, x += shape.inner, gradX += shape.inner)
    forVectors(0, width, [=](int64_t i, auto lanes) {
      const Vec value = loadLanes(x + i, lanes), waiting = loadLanes(pending + i, lanes);
      const Vec::Mask isMost = equalTo(value, loadLanes(most + i, lanes)), isNumber = equalTo(value, value);
      storeGrad(gradX + i, lanes, select(isMost, waiting, select(isNumber, Vec::zero(), waiting)), accumulate);
      storeLanes(pending + i, lanes, select(isMost, Vec::zero(), select(isNumber, waiting, Vec::zero())));
    });
}

// A softmax times the gradient; nothing comes from where the result is -infinity.
template <typename T, typename G>
inline void logSumExpSlopes(const T* x, const float* results, const float* gradY, G* gradX, const AxisShape& shape,
                            int64_t width, bool accumulate) {
  for (int64_t row = 0; row < shape.length; row++, x += shape.inner, gradX += shape.inner)
    forVectors(0, width, [=](int64_t i, auto lanes) {
      const Vec result = loadLanes(results + i, lanes);
      const Vec share = exp(loadLanes(x + i, lanes) - result);
      const Vec kept = select(equalTo(result, Vec::set(-kInfinity)), Vec::zero(), share);
      storeGrad(gradX + i, lanes, loadLanes(gradY + i, lanes) * kept, accumulate);
    });
}

template <typename T, typename G>
inline void rowSlopes(const T* x, bool isMaximum, float result, float upstream, G* gradX, int64_t length, bool accumulate) {
  if (!isMaximum) {
    const bool isNothing = result == -kInfinity;
    const Vec taken = Vec::set(result), gradient = Vec::set(upstream);
    forVectors(0, length, [=](int64_t i, auto lanes) {
      fetchAhead(x + i);
      fetchAhead(gradX + i);
      const Vec share = isNothing ? Vec::zero() : exp(loadLanes(x + i, lanes) - taken);
      storeGrad(gradX + i, lanes, gradient * share, accumulate);
    });
    return;
  }
  const int64_t at = findMaximum(x, length, result);
  if (!accumulate) forVectors(0, length, [=](int64_t i, auto lanes) { storeLanes(gradX + i, lanes, Vec::zero()); });
  storeScalar(gradX + at, accumulate ? toFloat(gradX[at]) + upstream : upstream);
}

// Views x, y, gradY, gradX; numbers which (0 maximum, 1 logSumExp), outer, length, inner, accumulate.
inline void reduceBackward(const View* views, const double* numbers, ThreadPool& pool) {
  const bool isMaximum = numbers[0] == 0, accumulate = numbers[4] != 0;
  const AxisShape shape = axisShapeOf(numbers + 1);
  if (shape.length == 0) return;
  withType(views[0], [&](const auto* x) {
    withType(views[3], [&](auto* gradX) {
      forAxisPieces(pool, shape, shape.length, [&](int64_t o, int64_t, int64_t, int64_t column, int64_t width) {
        const int64_t first = o * shape.length * shape.inner + column, at = o * shape.inner + column;
        float results[kBand], upstream[kBand];
        const View *y = &views[1], *gradY = &views[2];
        withType(*y, [&](const auto* p) { convertRow(p + at, results, width); });
        withType(*gradY, [&](const auto* p) { convertRow(p + at, upstream, width); });
        if (shape.inner == 1) return rowSlopes(x + first, isMaximum, results[0], upstream[0], gradX + first, shape.length, accumulate);
        if (isMaximum) return maximumSlopes(x + first, results, upstream, gradX + first, shape, width, accumulate);
        logSumExpSlopes(x + first, results, upstream, gradX + first, shape, width, accumulate);
      });
    });
  });
}

}  // namespace selkie::SELKIE_ISA

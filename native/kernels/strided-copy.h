// One copy between tensors of any strides: slices, concatenations, permutations and broadcasts are all of this form.
// TypeScript has merged axes that lie one behind the other and put the axes in the order of the output's memory.
#pragma once

#include "blocks.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kTile = 32;  // of a transposition

struct CopyPlan {
  int64_t sizes[kMaxAxes], xStrides[kMaxAxes], yStrides[kMaxAxes];
  float scale;
  bool accumulate;
  bool isPlain() const { return scale == 1.0f && !accumulate; }
};

// out[r][c] = tile[c][r].
inline void transposeTile(const float (*tile)[kTile], float (*out)[kTile]) {
#if defined(__x86_64__)
  for (int64_t c = 0; c < kTile; c += 4)
    for (int64_t r = 0; r < kTile; r += 4) {
      __m128 a = _mm_loadu_ps(tile[c] + r), b = _mm_loadu_ps(tile[c + 1] + r);
      __m128 d = _mm_loadu_ps(tile[c + 2] + r), e = _mm_loadu_ps(tile[c + 3] + r);
      _MM_TRANSPOSE4_PS(a, b, d, e);
      _mm_storeu_ps(out[r] + c, a);
      _mm_storeu_ps(out[r + 1] + c, b);
      _mm_storeu_ps(out[r + 2] + c, d);
      _mm_storeu_ps(out[r + 3] + c, e);
    }
#else
  for (int64_t r = 0; r < kTile; r++)
    for (int64_t c = 0; c < kTile; c++) out[r][c] = tile[c][r];
#endif
}

// y[i] = scale · x[i] (+ y[i]).
template <typename S, typename T>
inline void moveRun(const S* x, T* y, int64_t length, const CopyPlan& plan) {
  if (plan.isPlain()) return convertRow(x, y, length);
  const Vec factor = Vec::set(plan.scale);
  const bool accumulate = plan.accumulate;
  forVectors(0, length, [=](int64_t i, auto lanes) { storeGrad(y + i, lanes, factor * loadLanes(x + i, lanes), accumulate); });
}

template <typename T>
inline void repeatRun(float value, T* y, int64_t length, const CopyPlan& plan) {
  const Vec repeated = Vec::set(plan.scale * value);
  const bool accumulate = plan.accumulate;
  forVectors(0, length, [=](int64_t i, auto lanes) { storeGrad(y + i, lanes, repeated, accumulate); });
}

template <typename T>
inline void moveOne(float value, T* y, const CopyPlan& plan) {
  const float scaled = plan.scale * value;
  storeScalar(y, plan.accumulate ? toFloat(*y) + scaled : scaled);
}

// Walks over the first three axes in order.
struct Walk {
  const CopyPlan& plan;
  int64_t index[3];
  Walk(const CopyPlan& given, int64_t row) : plan(given) {
    index[2] = row % plan.sizes[2];
    index[1] = row / plan.sizes[2] % plan.sizes[1];
    index[0] = row / plan.sizes[2] / plan.sizes[1];
  }
  int64_t at(const int64_t* strides) const { return index[0] * strides[0] + index[1] * strides[1] + index[2] * strides[2]; }
  void next() {
    if (++index[2] < plan.sizes[2]) return;
    index[2] = 0;
    if (++index[1] < plan.sizes[1]) return;
    index[1] = 0;
    index[0]++;
  }
};

// Rows along the last axis, cut where they are long.
template <typename S, typename T>
inline void copyRows(const S* x, T* y, const CopyPlan& plan, ThreadPool& pool) {
  const int64_t run = plan.sizes[3], numRows = plan.sizes[0] * plan.sizes[1] * plan.sizes[2];
  const int64_t xStride = plan.xStrides[3], yStride = plan.yStrides[3];
  const int64_t piece = smaller(run, kTaskWork), numPieces = (run + piece - 1) / piece;
  forItems(pool, numRows * numPieces, piece, [&](int64_t begin, int64_t end) {
    Walk walk(plan, begin / numPieces);
    int64_t at = begin % numPieces;
    for (int64_t item = begin; item < end; item++) {
      const int64_t first = at * piece, length = smaller(piece, run - first);
      const S* source = x + walk.at(plan.xStrides) + first * xStride;
      T* target = y + walk.at(plan.yStrides) + first * yStride;
      if (yStride == 1 && xStride == 1) {
        moveRun(source, target, length, plan);
      } else if (yStride == 1 && xStride == 0) {
        repeatRun(toFloat(*source), target, length, plan);
      } else {
        for (int64_t i = 0; i < length; i++) moveOne(toFloat(source[i * xStride]), target + i * yStride, plan);
      }
      if (++at < numPieces) continue;
      at = 0;
      walk.next();
    }
  });
}

// Tiles of axis `across`, along which x is contiguous, and of the last axis, along which y is.
template <typename S, typename T>
inline void copyTransposed(const S* x, T* y, const CopyPlan& plan, int across, ThreadPool& pool) {
  const int first = across == 0 ? 1 : 0, second = 3 - across - first;  // the other two
  const int64_t numBands = (plan.sizes[across] + kTile - 1) / kTile, columns = plan.sizes[3];
  forItems(pool, plan.sizes[first] * plan.sizes[second] * numBands, kTile * columns, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; item++) {
      const int64_t band = item % numBands, rest = item / numBands;
      const int64_t i = rest / plan.sizes[second], j = rest % plan.sizes[second], start = band * kTile;
      const int64_t height = smaller(kTile, plan.sizes[across] - start);
      const S* source = x + i * plan.xStrides[first] + j * plan.xStrides[second] + start;
      T* target = y + i * plan.yStrides[first] + j * plan.yStrides[second] + start * plan.yStrides[across];
      for (int64_t column = 0; column < columns; column += kTile) {
        const int64_t width = smaller(kTile, columns - column);
        float tile[kTile][kTile], turned[kTile][kTile];  // at an edge what lies past it has no meaning
        for (int64_t c = 0; c < width; c++) convertRow(source + (column + c) * plan.xStrides[3], tile[c], height);
        transposeTile(tile, turned);
        for (int64_t r = 0; r < height; r++) {
          const float* row = turned[r];
          moveRun(row, target + r * plan.yStrides[across] + column, width, plan);
        }
      }
    }
  });
}

// Views x, y; numbers scale, accumulate, offset of x, of y, sizes (4), strides of x (4), of y (4).
inline void stridedCopy(const View* views, const double* numbers, ThreadPool& pool) {
  CopyPlan plan;
  plan.scale = static_cast<float>(numbers[0]);
  plan.accumulate = numbers[1] != 0;
  for (int axis = 0; axis < kMaxAxes; axis++) {
    plan.sizes[axis] = static_cast<int64_t>(numbers[4 + axis]);
    plan.xStrides[axis] = static_cast<int64_t>(numbers[8 + axis]);
    plan.yStrides[axis] = static_cast<int64_t>(numbers[12 + axis]);
    if (plan.sizes[axis] == 0) return;
  }
  int across = -1;
  if (plan.yStrides[3] == 1 && plan.xStrides[3] > 1)
    for (int axis = 0; axis < 3; axis++)
      if (plan.xStrides[axis] == 1 && plan.sizes[axis] > 1) across = axis;
  withType(views[0], [&](const auto* data) {
    const auto* x = data + static_cast<int64_t>(numbers[2]);
    withType(views[1], [&](auto* target) {
      auto* y = target + static_cast<int64_t>(numbers[3]);
      if (across < 0) return copyRows(x, y, plan, pool);
      copyTransposed(x, y, plan, across, pool);
    });
  });
}

}  // namespace selkie::SELKIE_ISA

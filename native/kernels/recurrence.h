// Running sums, and the first-order linear recurrence h_t = a_t ⊙ h_{t-1} + b_t, down the rows of segments.
// Columns take no part in each other: a task runs a band of columns of one segment from its first row to its last, with
// the state in f32 in the level 1 cache. How columns are cut therefore never shows, nor which segments lie beside.
#pragma once

#include "pack.h"
#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kLeastBand = 128;  // columns: shorter runs of memory are slow to read

// A band of columns of one segment.
struct Band {
  int64_t segment, firstRow, numRows, column, columns;
  int64_t stride;  // from one row to the next
  float* state;    // [columns], contents unspecified

  int64_t at(int64_t row) const { return (firstRow + row) * stride + column; }
  // How many elements ahead to fetch: rows lie on pages of their own, to which no processor looks ahead by itself.
  int64_t ahead() const { return larger<int64_t>(2 * stride, 512); }
};

// Calls body(band) for all bands of all segments.
template <typename Body>
inline void forBands(ThreadPool& pool, const View& offsetsView, int64_t width, const Body& body) {
  const int32_t* offsets = intsOf(offsetsView);
  const int64_t numSegments = offsetsView.length - 1;
  if (numSegments <= 0 || width == 0) return;
  const int64_t wanted = pool.numThreads() == 1 ? 1 : ceilDivide(4 * pool.numThreads(), numSegments);  // bands per segment
  const int64_t columns = larger(kLeastBand, roundUp(ceilDivide(width, wanted), 64));
  const int64_t numBands = ceilDivide(width, columns);
  forTasks(pool, numSegments * numBands, offsets[numSegments] * width, [&](int64_t task, int thread) {
    const int64_t segment = task / numBands, column = task % numBands * columns;
    auto* state = static_cast<float*>(pool.threadScratch(thread, 0, static_cast<size_t>(columns) * sizeof(float)));
    body(Band{segment, offsets[segment], offsets[segment + 1] - offsets[segment], column, smaller(columns, width - column), width, state});
  });
}

template <typename T>
inline void fetch(const T* p) { __builtin_prefetch(p); }

// ---- Running sums ----

template <typename X, typename Y>
inline void sumBand(const Band& band, const X* x, Y* y, bool reverse, bool exclusive, bool accumulate) {
  float* state = band.state;
  const int64_t ahead = reverse ? -band.ahead() : band.ahead();
  __builtin_memset(state, 0, static_cast<size_t>(band.columns) * sizeof(float));
  for (int64_t step = 0; step < band.numRows; step++) {
    const int64_t at = band.at(reverse ? band.numRows - 1 - step : step);
    const X* source = x + at;
    Y* target = y + at;
    forVectors(0, band.columns, [=](int64_t i, auto lanes) {
      fetch(source + i + ahead);
      fetch(target + i + ahead);
      const Vec before = loadLanes(state + i, lanes);
      const Vec sum = before + loadLanes(source + i, lanes);
      storeLanes(state + i, lanes, sum);
      storeGrad(target + i, lanes, exclusive ? before : sum, accumulate);
    });
  }
}

// Running sums along up to Vec::width rows at a time: blocks are turned so that a lane runs along a row.
template <typename X, typename Y>
inline void sumAlongRows(const X* x, Y* y, int64_t numRows, int64_t width, bool reverse, bool exclusive, bool accumulate) {
  constexpr int lanes = Vec::width;
  const int64_t numBlocks = ceilDivide(width, lanes);
  Vec state = Vec::zero();
  Vec block[lanes];
  for (int64_t step = 0; step < numBlocks; step++) {
    const int64_t column = (reverse ? numBlocks - 1 - step : step) * lanes;
    const int64_t count = smaller<int64_t>(lanes, width - column);
    for (int64_t row = 0; row < lanes; row++)
      block[row] = row >= numRows ? Vec::zero() : count == lanes ? Vec::load(x + row * width + column) : Vec::load(x + row * width + column, count);
    transpose(block);
    for (int64_t turn = 0; turn < count; turn++) {
      Vec& element = block[reverse ? count - 1 - turn : turn];
      const Vec sum = state + element;
      element = exclusive ? state : sum;
      state = sum;
    }
    transpose(block);
    for (int64_t row = 0; row < smaller<int64_t>(lanes, numRows); row++) {
      Y* target = y + row * width + column;
      if (count == lanes) storeGrad(target, AllLanes{}, block[row], accumulate);
      else storeGrad(target, count, block[row], accumulate);
    }
  }
}

// Views x [N, D], offsets or null (along rows), y; numbers D, reverse, exclusive, accumulate.
inline void cumulativeSum(const View* views, const double* numbers, ThreadPool& pool) {
  const auto width = static_cast<int64_t>(numbers[0]);
  const bool reverse = numbers[1] != 0, exclusive = numbers[2] != 0, accumulate = numbers[3] != 0;
  if (views[0].length == 0) return;
  withType(views[0], [&](const auto* x) {
    withType(views[2], [&](auto* y) {
      if (views[1].data != nullptr)
        return forBands(pool, views[1], width, [=](const Band& band) { sumBand(band, x, y, reverse, exclusive, accumulate); });
      const int64_t numRows = views[0].length / width;
      forItems(pool, ceilDivide(numRows, Vec::width), Vec::width * width, [=](int64_t begin, int64_t end) {
        for (int64_t row = begin * Vec::width; row < smaller(end * Vec::width, numRows); row += Vec::width)
          sumAlongRows(x + row * width, y + row * width, numRows - row, width, reverse, exclusive, accumulate);
      });
    });
  });
}

// ---- Recurrence ----

template <typename A, typename B, typename H>
inline void runRecurrence(const Band& band, const A* a, const B* b, H* h) {
  float* state = band.state;
  const int64_t ahead = band.ahead();
  for (int64_t t = 0; t < band.numRows; t++) {
    const int64_t at = band.at(t);
    const A* decays = a + at;
    const B* inputs = b + at;
    H* target = h + at;
    forVectors(0, band.columns, [=](int64_t i, auto lanes) {
      fetch(decays + i + ahead);
      fetch(inputs + i + ahead);
      fetch(target + i + ahead);
      const Vec next = fma(loadLanes(decays + i, lanes), loadLanes(state + i, lanes), loadLanes(inputs + i, lanes));
      storeLanes(state + i, lanes, next);
      storeLanes(target + i, lanes, next);
    });
  }
}

// A band's row of a [segments, D] matrix into the state, zeros where there is none.
inline void loadState(const Band& band, const float* rows) {
  const size_t numBytes = static_cast<size_t>(band.columns) * sizeof(float);
  if (rows == nullptr) __builtin_memset(band.state, 0, numBytes);
  else __builtin_memcpy(band.state, rows + band.segment * band.stride + band.column, numBytes);
}

// Views a [N, D], b, initial [S, D] f32 or null, offsets [S + 1], h, final [S, D] f32 or null; numbers D.
inline void linearRecurrence(const View* views, const double* numbers, ThreadPool& pool) {
  const float* initial = floatsOf(views[2]);
  float* final = floatsOf(views[5]);
  withType(views[0], [&](const auto* a) {
    withType(views[1], [&](const auto* b) {
      withType(views[4], [&](auto* h) {
        forBands(pool, views[3], static_cast<int64_t>(numbers[0]), [=](const Band& band) {
          const FlushDenormals flush;
          loadState(band, initial);
          runRecurrence(band, a, b, h);
          if (final != nullptr) convertRow(band.state, final + band.segment * band.stride + band.column, band.columns);
        });
      });
    });
  });
}

// Gradients of one band, from its last row to its first; the state is a_{t+1} ⊙ g_{t+1}.
template <typename A, typename H, typename GA, typename GB>
inline void runRecurrenceBackward(const Band& band, const A* a, const H* h, const float* initial, const H* gradH, GA* gradA, GB* gradB,
                                  bool accumulateA, bool accumulateB) {
  float* state = band.state;
  const int64_t ahead = band.ahead();
  for (int64_t t = band.numRows - 1; t >= 0; t--) {
    const int64_t at = band.at(t);
    const H* before = h + at - band.stride;
    const float* beforeFirst = initial == nullptr ? nullptr : initial + band.segment * band.stride + band.column;
    forVectors(0, band.columns, [=](int64_t i, auto lanes) {
      fetch(a + at + i - ahead);
      Vec g = loadLanes(state + i, lanes);
      if (gradH != nullptr) {
        fetch(gradH + at + i - ahead);
        g = g + loadLanes(gradH + at + i, lanes);
      }
      storeLanes(state + i, lanes, loadLanes(a + at + i, lanes) * g);
      if (gradB != nullptr) {
        fetch(gradB + at + i - ahead);
        storeGrad(gradB + at + i, lanes, g, accumulateB);
      }
      if (gradA == nullptr) return;
      fetch(before + i - ahead);
      fetch(gradA + at + i - ahead);
      const Vec last = t > 0 ? loadLanes(before + i, lanes) : beforeFirst != nullptr ? loadLanes(beforeFirst + i, lanes) : Vec::zero();
      storeGrad(gradA + at + i, lanes, g * last, accumulateA);
    });
  }
}

// Views a [N, D], h, initial [S, D] f32 or null, offsets [S + 1], gradH or null (as h), gradFinal [S, D] f32 or null, gradA,
// gradB or null, gradInitial [S, D] f32 or null; numbers D, accumulate of gradA, of gradB, of gradInitial.
inline void linearRecurrenceBackward(const View* views, const double* numbers, ThreadPool& pool) {
  const float* initial = floatsOf(views[2]);
  const float* gradFinal = floatsOf(views[5]);
  float* gradInitial = floatsOf(views[8]);
  const bool accumulateA = numbers[1] != 0, accumulateB = numbers[2] != 0, accumulateInitial = numbers[3] != 0;
  withType(views[0], [&](const auto* a) {
    withType(views[1], [&](auto* h) {
      const auto* gradH = dataLike(h, views[4]);
      withType(views[6], [&](auto* gradA) {
        withType(views[7], [&](auto* gradB) {
          forBands(pool, views[3], static_cast<int64_t>(numbers[0]), [=](const Band& band) {
            const FlushDenormals flush;
            loadState(band, gradFinal);
            runRecurrenceBackward(band, a, h, initial, gradH, gradA, gradB, accumulateA, accumulateB);
            if (gradInitial == nullptr) return;
            float* target = gradInitial + band.segment * band.stride + band.column;
            forVectors(0, band.columns, [=](int64_t i, auto lanes) {
              storeGrad(target + i, lanes, loadLanes(band.state + i, lanes), accumulateInitial);
            });
          });
        });
      });
    });
  });
}

}  // namespace selkie::SELKIE_ISA

// Causal depthwise convolution within segments, y[t, d] = Σ_j w[d, j] · x[t - (k - 1) + j, d] + bias[d], and its gradients.
// The weight is turned to [k, D] f32 first, so that every tap is a product of rows. Sums run over ascending taps, whatever
// the neighbours; gradients of the weight are summed per chunk of rows, then over the chunks in order.
#pragma once

#include "product.h"
#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kConvolutionChunk = 256;  // rows per partial sum of the weight's gradient
constexpr int64_t kConvolutionRows = 8;     // rows that share a trip through those sums

// The weight as [k, D] f32.
inline const float* tapRows(const View& weight, int64_t width, int64_t k, ThreadPool& pool, int slot) {
  auto* taps = static_cast<float*>(pool.sharedScratch(slot, static_cast<size_t>(weight.length) * sizeof(float)));
  withType(weight, [&](const auto* data) {
    for (int64_t d = 0; d < width; d++)
      for (int64_t tap = 0; tap < k; tap++) taps[tap * width + d] = toFloat(data[d * k + tap]);
  });
  return taps;
}

// Calls body(segment, begin, end) for the parts of rows `begin .. end` that lie in one segment.
template <typename Body>
inline void forSegmentParts(const View& offsetsView, int64_t begin, int64_t end, const Body& body) {
  const int32_t* offsets = intsOf(offsetsView);
  int64_t low = 0, high = offsetsView.length - 1;  // the segment of `begin` is the last that does not start after it
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (offsets[middle] <= begin) low = middle;
    else high = middle;
  }
  for (int64_t segment = low; begin < end; segment++) {
    const int64_t last = smaller<int64_t>(end, offsets[segment + 1]);
    if (last > begin) body(segment, begin, last);
    begin = larger(begin, last);
  }
}

// sums += Σ taps[j] ⊙ rows[j · step] for j from `first` to `end`; a tap is a row of `width` elements.
template <typename T, typename Lanes>
inline Vec addTaps(const float* taps, const T* rows, int64_t step, int64_t first, int64_t end, int64_t width, Lanes lanes, Vec sum) {
  for (int64_t j = first; j < end; j++) sum = fma(loadLanes(taps + j * width, lanes), loadLanes(rows + j * step, lanes), sum);
  return sum;
}

// Views x [N, D], weight [D, k], bias or null, previous [S, k - 1, D] as x or null, offsets [S + 1], y; numbers D, k.
inline void depthwiseConvolution(const View* views, const double* numbers, ThreadPool& pool) {
  const auto width = static_cast<int64_t>(numbers[0]), k = static_cast<int64_t>(numbers[1]);
  if (views[0].length == 0) return;
  const float* taps = tapRows(views[1], width, k, pool, 0);
  const float* bias = views[2].data == nullptr ? nullptr : widened(views[2], pool, 1);
  const View offsets = views[4];
  withType(views[0], [&](auto* x) {
    const auto* previous = dataLike(x, views[3]);
    withType(views[5], [&](auto* y) {
      forItems(pool, views[0].length / width, width, [=](int64_t begin, int64_t end) {
        forSegmentParts(offsets, begin, end, [=](int64_t segment, int64_t first, int64_t last) {
          for (int64_t t = first; t < last; t++) {
            const int64_t local = t - intsOf(offsets)[segment];
            const int64_t numBefore = larger<int64_t>(0, k - 1 - local);  // taps that reach before the segment
            const auto* before = previous + (segment * (k - 1) + local) * width;
            const auto* rows = x + (t - (k - 1)) * width;
            auto* target = y + t * width;
            forVectors(0, width, [=](int64_t i, auto lanes) {
              fetchAhead(rows + (k - 1) * width + i);
              fetchAhead(target + i);
              Vec sum = bias == nullptr ? Vec::zero() : loadLanes(bias + i, lanes);
              if (previous != nullptr) sum = addTaps(taps + i, before + i, width, 0, numBefore, width, lanes, sum);
              storeLanes(target + i, lanes, addTaps(taps + i, rows + i, width, numBefore, k, width, lanes, sum));
            });
          }
        });
      });
    });
  });
}

// gradX[s] = Σ_j w[j] ⊙ gradY[s + (k - 1) - j], while that row lies in the segment.
inline void convolutionGradX(const float* taps, int64_t k, const View& offsets, const View& gradYView, const View& target, int64_t width,
                             bool accumulate, ThreadPool& pool) {
  withType(gradYView, [&](const auto* gradY) {
    withType(target, [&](auto* gradX) {
      forItems(pool, gradYView.length / width, width, [=](int64_t begin, int64_t end) {
        forSegmentParts(offsets, begin, end, [=](int64_t segment, int64_t first, int64_t last) {
          for (int64_t s = first; s < last; s++) {
            const int64_t firstTap = larger<int64_t>(0, s + k - intsOf(offsets)[segment + 1]);
            const auto* rows = gradY + (s + k - 1) * width;
            forVectors(0, width, [=](int64_t i, auto lanes) {
              fetchAhead(rows + i);
              fetchAhead(gradX + s * width + i);
              const Vec sum = addTaps(taps + i, rows + i, -width, firstTap, k, width, lanes, Vec::zero());
              storeGrad(gradX + s * width + i, lanes, sum, accumulate);
            });
          }
        });
      });
    });
  });
}

// The same for the k - 1 rows before each segment: row r gave w[j] ⊙ itself to row r - j of the segment.
inline void convolutionGradPrevious(const float* taps, int64_t k, const View& offsetsView, const View& gradYView, const View& target,
                                    int64_t width, bool accumulate, ThreadPool& pool) {
  const int32_t* offsets = intsOf(offsetsView);
  withType(gradYView, [&](const auto* gradY) {
    withType(target, [&](auto* gradPrevious) {
      forItems(pool, (offsetsView.length - 1) * (k - 1), width, [=](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; item++) {
          const int64_t segment = item / (k - 1), row = item % (k - 1);
          const int64_t firstTap = larger<int64_t>(0, row + 1 - (offsets[segment + 1] - offsets[segment]));
          const auto* rows = gradY + (offsets[segment] + row) * width;
          forVectors(0, width, [=](int64_t i, auto lanes) {
            const Vec sum = addTaps(taps + i, rows + i, -width, firstTap, row + 1, width, lanes, Vec::zero());
            storeGrad(gradPrevious + item * width + i, lanes, sum, accumulate);
          });
        }
      });
    });
  });
}

// Adds up to kConvolutionRows rows of one segment to sums [k + 1, D]: gradY ⊙ x for each tap, then gradY for the bias.
// `before` is what precedes the segment's first row, which lies `local` rows back; null stands for zeros.
template <typename X, typename G>
inline void addWeightGradient(const X* x, const X* before, int64_t local, const G* gradY, int64_t numRows, int64_t k, int64_t width, float* sums) {
  forVectors(0, width, [=](int64_t i, auto lanes) {
    Vec upstream[kConvolutionRows];
    Vec total = loadLanes(sums + k * width + i, lanes);
    for (int64_t r = 0; r < numRows; r++) {
      fetchAhead(gradY + r * width + i);
      fetchAhead(x + r * width + i);
      upstream[r] = loadLanes(gradY + r * width + i, lanes);
      total = total + upstream[r];
    }
    storeLanes(sums + k * width + i, lanes, total);
    for (int64_t tap = 0; tap < k; tap++) {
      Vec sum = loadLanes(sums + tap * width + i, lanes);
      for (int64_t r = 0; r < numRows; r++) {
        const int64_t at = r + tap - (k - 1);  // counted from the first of these rows
        if (local + at >= 0) sum = fma(upstream[r], loadLanes(x + at * width + i, lanes), sum);
        else if (before != nullptr) sum = fma(upstream[r], loadLanes(before + (local + r + tap) * width + i, lanes), sum);
      }
      storeLanes(sums + tap * width + i, lanes, sum);
    }
  });
}

// Sums of all chunks into the first, then to [D, k] and [D].
inline void writeWeightGradient(float* partials, int64_t numChunks, int64_t width, int64_t k, const View& gradWeight, bool accumulateWeight,
                                const View& gradBias, bool accumulateBias) {
  for (int64_t chunk = 1; chunk < numChunks; chunk++) {
    const float* partial = partials + chunk * (k + 1) * width;
    forVectors(0, (k + 1) * width, [=](int64_t i, auto lanes) {
      storeLanes(partials + i, lanes, loadLanes(partials + i, lanes) + loadLanes(partial + i, lanes));
    });
  }
  if (gradWeight.data != nullptr)
    withType(gradWeight, [&](auto* grad) {
      for (int64_t d = 0; d < width; d++)
        for (int64_t tap = 0; tap < k; tap++) {
          const float sum = partials[tap * width + d];
          storeScalar(grad + d * k + tap, accumulateWeight ? toFloat(grad[d * k + tap]) + sum : sum);
        }
    });
  if (gradBias.data != nullptr)
    withType(gradBias, [&](auto* grad) {
      forVectors(0, width, [=](int64_t i, auto lanes) { storeGrad(grad + i, lanes, loadLanes(partials + k * width + i, lanes), accumulateBias); });
    });
}

// Views x [N, D], weight [D, k], previous or null, offsets [S + 1], gradY, gradX, gradPrevious, gradWeight, gradBias, each or
// null; numbers D, k, accumulate of the four.
inline void depthwiseConvolutionBackward(const View* views, const double* numbers, ThreadPool& pool) {
  const auto width = static_cast<int64_t>(numbers[0]), k = static_cast<int64_t>(numbers[1]);
  const View& offsets = views[3];
  const View& gradYView = views[4];
  if (width == 0) return;
  const float* taps = tapRows(views[1], width, k, pool, 0);
  if (views[5].data != nullptr && gradYView.length > 0) convolutionGradX(taps, k, offsets, gradYView, views[5], width, numbers[2] != 0, pool);
  if (views[6].data != nullptr && k > 1) convolutionGradPrevious(taps, k, offsets, gradYView, views[6], width, numbers[3] != 0, pool);
  if (views[7].data == nullptr && views[8].data == nullptr) return;
  const int64_t numRows = gradYView.length / width, numChunks = larger<int64_t>(1, ceilDivide(numRows, kConvolutionChunk));
  const int64_t partialSize = (k + 1) * width;
  auto* partials = static_cast<float*>(pool.sharedScratch(1, static_cast<size_t>(numChunks * partialSize) * sizeof(float)));
  withType(views[0], [&](auto* x) {
    const auto* previous = dataLike(x, views[2]);
    withType(gradYView, [&](const auto* gradY) {
      forTasks(pool, numChunks, numRows * width, [=](int64_t chunk, int) {
        float* sums = partials + chunk * partialSize;
        __builtin_memset(sums, 0, static_cast<size_t>(partialSize) * sizeof(float));
        const int64_t end = smaller(numRows, (chunk + 1) * kConvolutionChunk);
        forSegmentParts(offsets, chunk * kConvolutionChunk, end, [=](int64_t segment, int64_t first, int64_t last) {
          const auto* before = previous == nullptr ? previous : previous + segment * (k - 1) * width;
          for (int64_t t = first; t < last; t += kConvolutionRows)
            addWeightGradient(x + t * width, before, t - intsOf(offsets)[segment], gradY + t * width, smaller(kConvolutionRows, last - t), k, width, sums);
        });
      });
    });
  });
  writeWeightGradient(partials, numChunks, width, k, views[7], numbers[4] != 0, views[8], numbers[5] != 0);
}

}  // namespace selkie::SELKIE_ISA

// RMSNorm and LayerNorm with their gradients. Rows are independent; gradients of the weights are summed per chunk of
// rows, then over the chunks in order, so that the number of threads does not show in the result.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kNormChunk = 64;  // rows per partial sum of the weight gradients

template <typename X, typename Y>
inline float rmsNormRow(const X* x, const float* weight, Y* y, int64_t width, float eps) {
  const float squares = sumVectors(width, [=](int64_t i, auto lanes) {
    fetchAhead(x + i);
    fetchAhead(y + i);
    const Vec value = loadLanes(x + i, lanes);
    return value * value;
  });
  const float rstd = 1.0f / __builtin_sqrtf(squares / static_cast<float>(width) + eps);
  const Vec factor = Vec::set(rstd);
  forVectors(0, width, [=](int64_t i, auto lanes) {
    storeLanes(y + i, lanes, loadLanes(weight + i, lanes) * (loadLanes(x + i, lanes) * factor));
  });
  return rstd;
}

// Views x, weight, y, rstd; numbers width, eps.
inline void rmsNorm(const View* views, const double* numbers, ThreadPool& pool) {
  const int64_t width = static_cast<int64_t>(numbers[0]);
  const float eps = static_cast<float>(numbers[1]);
  const float* weight = widened(views[1], pool, 0);
  float* rstd = floatsOf(views[3]);
  withType(views[0], [&](auto* x) {
    withType(views[2], [&](auto* y) {
      forItems(pool, views[3].length, width, [=](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++)
          rstd[row] = rmsNormRow(x + row * width, weight, y + row * width, width, eps);
      });
    });
  });
}

// Σ (x - mean)²; the lanes past the end load as 0 and must not count as mean².
template <typename X>
inline float centeredSquares(const X* x, int64_t width, float mean) {
  const Vec center = Vec::set(mean);
  const int64_t full = width - width % Vec::width;
  const float head = sumVectors(full, [=](int64_t i, auto lanes) {
    const Vec value = loadLanes(x + i, lanes) - center;
    return value * value;
  });
  float tail = 0;
  for (int64_t i = full; i < width; i++) tail += (toFloat(x[i]) - mean) * (toFloat(x[i]) - mean);
  return head + tail;
}

// Views x, weight, bias, y, mean, rstd; numbers width, eps.
inline void layerNorm(const View* views, const double* numbers, ThreadPool& pool) {
  const int64_t width = static_cast<int64_t>(numbers[0]);
  const float eps = static_cast<float>(numbers[1]);
  const float* weight = widened(views[1], pool, 0);
  const float* bias = widened(views[2], pool, 1);
  float* means = floatsOf(views[4]);
  float* rstds = floatsOf(views[5]);
  withType(views[0], [&](auto* x) {
    withType(views[3], [&](auto* y) {
      forItems(pool, views[5].length, width, [=](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
          const auto* source = x + row * width;
          auto* target = y + row * width;
          const float total = sumVectors(width, [=](int64_t i, auto lanes) { return loadLanes(source + i, lanes); });
          const float mean = total / static_cast<float>(width);
          const float variance = centeredSquares(source, width, mean) / static_cast<float>(width);
          const float rstd = 1.0f / __builtin_sqrtf(variance + eps);
          const Vec center = Vec::set(mean), factor = Vec::set(rstd);
          forVectors(0, width, [=](int64_t i, auto lanes) {
            const Vec normalized = (loadLanes(source + i, lanes) - center) * factor;
            storeLanes(target + i, lanes, fma(loadLanes(weight + i, lanes), normalized, loadLanes(bias + i, lanes)));
          });
          means[row] = mean;
          rstds[row] = rstd;
        }
      });
    });
  });
}

// Sums `partials [numChunks, width]` into a gradient target.
inline void reduceChunks(const float* partials, int64_t numChunks, const View& target, int64_t width, bool accumulate) {
  withType(target, [&](auto* grad) {
    forVectors(0, width, [=](int64_t i, auto lanes) {
      Vec sum = Vec::zero();
      for (int64_t chunk = 0; chunk < numChunks; chunk++) sum = sum + loadLanes(partials + chunk * width + i, lanes);
      storeGrad(grad + i, lanes, sum, accumulate);
    });
  });
}

// One row of the gradients of either norm, with n = (x - mean) · rstd and g = w ⊙ dy:
// dx = rstd · (g - mean(g) - n · mean(g ⊙ n)), where RMSNorm has mean = 0 and no mean(g) term; dw += dy ⊙ n; db += dy.
template <bool kCentered, typename X, typename Y, typename G>
inline void normBackwardRow(const X* x, const float* weight, const Y* gradY, float mean, float rstd, int64_t width,
                            G* gradX, bool accumulate, float* gradWeight, float* gradBias) {
  const Vec center = Vec::set(mean), factor = Vec::set(rstd);
  const auto normalized = [=](int64_t i, auto lanes) {
    const Vec value = loadLanes(x + i, lanes);
    return (kCentered ? value - center : value) * factor;
  };
  if (gradX != nullptr) {
    const Vec projection =
        Vec::set(sumVectors(width,
                            [=](int64_t i, auto lanes) {
                              fetchAhead(x + i);
                              fetchAhead(gradY + i);
                              fetchAhead(gradX + i);
                              return loadLanes(weight + i, lanes) * loadLanes(gradY + i, lanes) * normalized(i, lanes);
                            }) /
                 static_cast<float>(width));
    const Vec average = Vec::set(kCentered ? sumVectors(width,
                                                        [=](int64_t i, auto lanes) {
                                                          return loadLanes(weight + i, lanes) * loadLanes(gradY + i, lanes);
                                                        }) /
                                                 static_cast<float>(width)
                                           : 0.0f);
    forVectors(0, width, [=](int64_t i, auto lanes) {
      Vec upstream = loadLanes(weight + i, lanes) * loadLanes(gradY + i, lanes);
      if (kCentered) upstream = upstream - average;
      storeGrad(gradX + i, lanes, factor * fnma(normalized(i, lanes), projection, upstream), accumulate);
    });
  }
  if (gradWeight != nullptr)
    forVectors(0, width, [=](int64_t i, auto lanes) {
      storeLanes(gradWeight + i, lanes,
                 fma(loadLanes(gradY + i, lanes), normalized(i, lanes), loadLanes(gradWeight + i, lanes)));
    });
  if (gradBias != nullptr)
    forVectors(0, width, [=](int64_t i, auto lanes) {
      storeLanes(gradBias + i, lanes, loadLanes(gradBias + i, lanes) + loadLanes(gradY + i, lanes));
    });
}

// The arguments that both backward kernels share.
struct NormBackward {
  const View* x;
  const View* weight;
  const float* means;  // null for RMSNorm
  const View* rstd;
  const View* gradY;
  const View* gradX;
  const View* gradWeight;
  const View* gradBias;  // null for RMSNorm
  int64_t width;
  bool accumulateX, accumulateWeight, accumulateBias;
};

template <bool kCentered>
inline void normBackward(const NormBackward& args, ThreadPool& pool) {
  const int64_t width = args.width, numRows = args.rstd->length;
  const int64_t numChunks = (numRows + kNormChunk - 1) / kNormChunk;
  const bool wantsWeight = args.gradWeight->data != nullptr;
  const bool wantsBias = kCentered && args.gradBias->data != nullptr;
  const float* weight = widened(*args.weight, pool, 0);
  const float* rstd = floatsOf(*args.rstd);
  const size_t partialBytes = static_cast<size_t>(numChunks * width) * sizeof(float);
  float* weightSums = wantsWeight ? static_cast<float*>(pool.sharedScratch(1, partialBytes)) : nullptr;
  float* biasSums = wantsBias ? static_cast<float*>(pool.sharedScratch(2, partialBytes)) : nullptr;
  withType(*args.x, [&](const auto* x) {
    withType(*args.gradY, [&](const auto* gradY) {
      withType(*args.gradX, [&](auto* gradX) {
        forTasks(pool, numChunks, numRows * width, [&](int64_t chunk, int) {
          float* weightSum = wantsWeight ? weightSums + chunk * width : nullptr;
          float* biasSum = wantsBias ? biasSums + chunk * width : nullptr;
          for (int64_t i = 0; i < width; i++) {
            if (wantsWeight) weightSum[i] = 0;
            if (wantsBias) biasSum[i] = 0;
          }
          for (int64_t row = chunk * kNormChunk; row < smaller(numRows, (chunk + 1) * kNormChunk); row++)
            normBackwardRow<kCentered>(x + row * width, weight, gradY + row * width, kCentered ? args.means[row] : 0.0f,
                                       rstd[row], width, gradX == nullptr ? gradX : gradX + row * width, args.accumulateX,
                                       weightSum, biasSum);
        });
      });
    });
  });
  if (wantsWeight) reduceChunks(weightSums, numChunks, *args.gradWeight, width, args.accumulateWeight);
  if (wantsBias) reduceChunks(biasSums, numChunks, *args.gradBias, width, args.accumulateBias);
}

// Views x, weight, rstd, gradY, gradX?, gradWeight?; numbers width, accumulate of gradX, of gradWeight.
inline void rmsNormBackward(const View* views, const double* numbers, ThreadPool& pool) {
  normBackward<false>({&views[0], &views[1], nullptr, &views[2], &views[3], &views[4], &views[5], nullptr,
                       static_cast<int64_t>(numbers[0]), numbers[1] != 0, numbers[2] != 0, false},
                      pool);
}

// Views x, weight, mean, rstd, gradY, gradX?, gradWeight?, gradBias?; numbers width, accumulate of gradX, gradWeight, gradBias.
inline void layerNormBackward(const View* views, const double* numbers, ThreadPool& pool) {
  normBackward<true>({&views[0], &views[1], floatsOf(views[2]), &views[3], &views[4], &views[5], &views[6], &views[7],
                      static_cast<int64_t>(numbers[0]), numbers[1] != 0, numbers[2] != 0, numbers[3] != 0},
                     pool);
}

}  // namespace selkie::SELKIE_ISA

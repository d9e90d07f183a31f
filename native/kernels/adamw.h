// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) on runs of a flat store, one pass over memory.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

// One run as JavaScript lays it out.
struct AdamWRun {
  double offset, length, learningRate, weightDecay, gradScale;
  double correction1, correction2;  // 1 - beta^step
};

struct AdamWBetas {
  float beta1, beta2, epsilon;
  float fresh1, fresh2;  // 1 - beta, subtracted in f64: 1 - 0.999 in f32 is off by 5e-5
};

// m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², w ← w - lr·wd·w - lr · (m / c₁) / (√(v / c₂) + ε), for elements begin .. end.
template <typename P, typename G>
inline void updateRun(P* params, const G* grads, float* moment1, float* moment2, const AdamWRun& run, AdamWBetas betas,
                      int64_t begin, int64_t end) {
  const Vec gradScale = Vec::set(static_cast<float>(run.gradScale)), epsilon = Vec::set(betas.epsilon);
  const Vec beta1 = Vec::set(betas.beta1), beta2 = Vec::set(betas.beta2);
  const Vec fresh1 = Vec::set(betas.fresh1), fresh2 = Vec::set(betas.fresh2);
  const Vec rate = Vec::set(static_cast<float>(run.learningRate / run.correction1));
  const Vec unbias2 = Vec::set(static_cast<float>(1.0 / __builtin_sqrt(run.correction2)));
  const Vec decay = Vec::set(static_cast<float>(run.learningRate * run.weightDecay));
  forVectors(begin, end, [=](int64_t i, auto lanes) {
    const Vec gradient = gradScale * loadLanes(grads + i, lanes);
    const Vec m = fma(beta1, loadLanes(moment1 + i, lanes), fresh1 * gradient);
    const Vec v = fma(beta2, loadLanes(moment2 + i, lanes), fresh2 * gradient * gradient);
    storeLanes(moment1 + i, lanes, m);
    storeLanes(moment2 + i, lanes, v);
    const Vec w = loadLanes(params + i, lanes);
    const Vec update = rate * m / fma(sqrt(v), unbias2, epsilon);
    storeLanes(params + i, lanes, fnma(decay, w, w) - update);
  });
}

// Views params, grads, moment1, moment2, runs (f64, seven numbers each: see AdamWRun), ends (f64: elements up to and
// including each run); numbers beta1, beta2, epsilon. Work is cut by elements, whatever the lengths of the runs.
inline void adamW(const View* views, const double* numbers, ThreadPool& pool) {
  const AdamWRun* runs = static_cast<const AdamWRun*>(views[4].data);
  const double* ends = doublesOf(views[5]);
  const int64_t numRuns = views[5].length;
  if (numRuns == 0) return;
  const AdamWBetas betas = {static_cast<float>(numbers[0]), static_cast<float>(numbers[1]), static_cast<float>(numbers[2]),
                            static_cast<float>(1 - numbers[0]), static_cast<float>(1 - numbers[1])};
  float* moment1 = floatsOf(views[2]);
  float* moment2 = floatsOf(views[3]);
  withType(views[0], [&](auto* params) {
    withType(views[1], [&](const auto* grads) {
      forItems(pool, static_cast<int64_t>(ends[numRuns - 1]), 1, [=](int64_t begin, int64_t end) {
        const FlushDenormals guard;           // moments of parameters without gradients decay
        int64_t low = 0, high = numRuns - 1;  // the first run that ends after `begin`
        while (low < high) {
          const int64_t middle = (low + high) / 2;
          if (static_cast<int64_t>(ends[middle]) > begin) high = middle;
          else low = middle + 1;
        }
        for (int64_t at = low; at < numRuns && begin < end; at++) {
          const int64_t runEnd = static_cast<int64_t>(ends[at]), stop = smaller(end, runEnd);
          // Position p among the elements of all runs is element p - shift of the store.
          const int64_t shift = runEnd - static_cast<int64_t>(runs[at].length) - static_cast<int64_t>(runs[at].offset);
          updateRun(params, grads, moment1, moment2, runs[at], betas, begin - shift, stop - shift);
          begin = stop;
        }
      });
    });
  });
}

}  // namespace selkie::SELKIE_ISA

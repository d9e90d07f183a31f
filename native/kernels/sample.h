// Kernel `sampleRows`: one token per draw from a row of logits [V], greedy or from the whole softmax at a temperature.
// Three passes over blocks of the row: the largest logit; weights exp((logit - largest) / temperature) summed per block;
// then the block in which the running sum passes uniform · total, and in it the token. Logits stay in the cache between.
//
// Views: logits [N, V] f32, rows [S] i32, temperatures [S] f64 (0: greedy), uniforms [S] f64, drawn [S, 3] f64 (out): token
// or -1 when the row holds NaN or infinity, (its logit - largest) / temperature, total weight. Numbers: V, wantTotals.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kSampleBlock = 256;

// Largest of x; lanes that are NaN are passed over.
inline float largestOf(const float* x, int64_t length) {
  Vec largest = Vec::set(-__builtin_inff());
  int64_t i = 0;
  for (; i + Vec::width <= length; i += Vec::width) largest = max(Vec::load(x + i), largest);
  float result = reduceMax(largest);
  for (; i < length; i++) result = x[i] > result ? x[i] : result;
  return result;
}

// Weights of one block; zero where exp2Weight would stop at its floor.
inline void weighBlock(const float* x, int64_t length, float largest, float scale, float* weights) {
  forVectors(0, length, [=](int64_t i, auto lanes) {
    const Vec exponent = (loadLanes(x + i, lanes) - Vec::set(largest)) * Vec::set(scale);
    const Vec weight = exp2Weight(exponent);
    storeLanes(weights + i, lanes, select(lessThan(exponent, Vec::set(-125.0f)), Vec::zero(), weight));
  });
}

inline int64_t findFirst(const float* x, int64_t length, float wanted) {
  for (int64_t i = 0; i < length; i++)
    if (x[i] == wanted) return i;
  return -1;
}

// The token at which the running sum of weights passes `threshold`; rounding at the end falls to the last that has weight.
inline int64_t findToken(const float* x, int64_t length, float largest, float scale, const double* blockSums, double threshold) {
  const int64_t numBlocks = (length + kSampleBlock - 1) / kSampleBlock;
  double before = 0;
  int64_t block = 0, lastBlock = 0;
  for (; block < numBlocks; block++) {
    if (blockSums[block] > 0) lastBlock = block;
    if (before + blockSums[block] > threshold) break;
    before += blockSums[block];
  }
  if (block == numBlocks) block = lastBlock;
  float weights[kSampleBlock];
  const int64_t begin = block * kSampleBlock, count = smaller(kSampleBlock, length - begin);
  weighBlock(x + begin, count, largest, scale, weights);
  int64_t last = begin;
  for (int64_t i = 0; i < count; i++) {
    if (weights[i] == 0) continue;
    last = begin + i;
    before += static_cast<double>(weights[i]);
    if (before > threshold) break;
  }
  return last;
}

inline void sampleRow(const float* x, int64_t length, double temperature, double uniform, bool wantTotals, double* blockSums, double* drawn) {
  const float largest = largestOf(x, length);
  drawn[0] = -1;
  if (!(largest - largest == 0)) return;  // infinite, or nothing but NaN
  const bool isGreedy = temperature == 0;
  int64_t token = isGreedy ? findFirst(x, length, largest) : 0;
  double total = 0;
  if (!isGreedy || wantTotals) {
    const float scale = static_cast<float>(static_cast<double>(kLog2E) / (isGreedy ? 1 : temperature));
    for (int64_t begin = 0; begin < length; begin += kSampleBlock) {
      const int64_t count = smaller(kSampleBlock, length - begin);
      float weights[kSampleBlock];
      weighBlock(x + begin, count, largest, scale, weights);
      const float sum = sumVectors(count, [&](int64_t i, auto lanes) { return loadLanes(weights + i, lanes); });
      blockSums[begin / kSampleBlock] = static_cast<double>(sum);
      total += static_cast<double>(sum);
    }
    if (!(total == total)) return;
    if (!isGreedy) token = findToken(x, length, largest, scale, blockSums, total * uniform);
  }
  drawn[0] = static_cast<double>(token);
  drawn[1] = (static_cast<double>(x[token]) - static_cast<double>(largest)) / (isGreedy ? 1 : temperature);
  drawn[2] = total;
}

inline void sampleRows(const View* views, const double* numbers, ThreadPool& pool) {
  const auto length = static_cast<int64_t>(numbers[0]);
  const bool wantTotals = numbers[1] != 0;
  const float* logits = floatsOf(views[0]);
  const int32_t* rows = intsOf(views[1]);
  const double* temperatures = doublesOf(views[2]);
  const double* uniforms = doublesOf(views[3]);
  double* drawn = doublesOf(views[4]);
  const auto sumsBytes = static_cast<size_t>(length / kSampleBlock + 1) * sizeof(double);
  forTasks(pool, views[1].length, views[1].length * length, [&](int64_t draw, int thread) {
    auto* blockSums = static_cast<double*>(pool.threadScratch(thread, 0, sumsBytes));
    sampleRow(logits + rows[draw] * length, length, temperatures[draw], uniforms[draw], wantTotals, blockSums, drawn + 3 * draw);
  });
}

}  // namespace selkie::SELKIE_ISA

// Kernel `sampleRows`: one token per draw from a row of logits [V], greedy or from the softmax at a temperature, whole or
// truncated by top-k, top-p and min-p, after adjustments of single logits; and the likeliest tokens of each draw.
//
// Passes over blocks of the row, which stays in the cache between them: the largest logit of each block; weights
// exp((logit - largest) / temperature) summed per block. A draw from the whole softmax then finds the block in which the
// running sum passes uniform · total, and in it the token. A truncated draw first collects candidates, the logits at or above
// a bound that surely is no higher than the cut, from the blocks that reach it; finds the cut among them (sample-select.h);
// and draws from what is left, in the order of the ids.
//
// Views: logits [N, V] f32, rows [S] i32, temperatures [S] f64 (0: greedy), uniforms [S] f64; topKs [S] i32 (0: all),
// topPs [S] f64, logMinPs [S] f64 (log of min-p), all three or none; adjustment offsets [S + 1] i32, token ids i32, divisors
// f64, addends f64, all or none (logit > 0 is divided, logit < 0 multiplied by the divisor; then the addend is added); drawn
// [S, 3] f64 (out): token or -1 when the row holds NaN or infinity, (its logit - largest) / temperature, total weight;
// counts [S] i32 of likeliest tokens, their ids [S, W] i32 (out, -1 in places left over) and (logit - largest) / temperature
// [S, W] f64 (out), all or none. Numbers: V, wantTotals.
#pragma once

#include "sample-select.h"

namespace selkie::SELKIE_ISA {

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

inline float sumOf(const float* x, int64_t length) {
  return sumVectors(length, [&](int64_t i, auto lanes) { return loadLanes(x + i, lanes); });
}

inline int64_t numBlocksOf(int64_t length) { return (length + kSampleBlock - 1) / kSampleBlock; }

// A row of logits (adjusted, if at all) and what the passes over its blocks find. Scratch slots of a thread: 0 the blocks,
// 1 the adjusted row, 2 candidates.
struct SampleRow {
  const float* x;
  int64_t length;
  double* blockSums;    // weight of each block
  float* blockLargest;  // padded for a search
  float largest;
  double temperature;  // 1 for greedy draws
  float scale;         // log2(e) / temperature
  double total;        // weight of the row

  int64_t numBlocks() const { return numBlocksOf(length); }
  int64_t blockLength(int64_t block) const { return smaller(kSampleBlock, length - block * kSampleBlock); }
  double scoreOf(int64_t token) const { return (static_cast<double>(x[token]) - static_cast<double>(largest)) / temperature; }

  void findLargest() {
    largest = -__builtin_inff();
    for (int64_t block = 0; block < numBlocks(); block++) {
      blockLargest[block] = largestOf(x + block * kSampleBlock, blockLength(block));
      largest = larger(largest, blockLargest[block]);
    }
  }

  void weigh() {
    total = 0;
    float weights[kSampleBlock];
    for (int64_t block = 0; block < numBlocks(); block++) {
      weighBlock(x + block * kSampleBlock, blockLength(block), largest, scale, weights);
      blockSums[block] = static_cast<double>(sumOf(weights, blockLength(block)));
      total += blockSums[block];
    }
  }
};

// ---- The token at a threshold ----

// The block in which the running sum passes `threshold`, else the last with weight; `before` gets the sum before it.
inline int64_t findBlock(const double* blockSums, int64_t numBlocks, double threshold, double& before) {
  before = 0;
  int64_t lastBlock = 0;
  for (int64_t block = 0; block < numBlocks; block++) {
    if (blockSums[block] > 0) lastBlock = block;
    if (before + blockSums[block] > threshold) return block;
    before += blockSums[block];
  }
  return lastBlock;
}

// The place at which the running sum passes `threshold`; rounding at the end falls to the last that has weight.
inline int64_t findPlace(const float* weights, int64_t length, double before, double threshold) {
  int64_t last = 0;
  for (int64_t i = 0; i < length; i++) {
    if (weights[i] == 0) continue;
    last = i;
    before += static_cast<double>(weights[i]);
    if (before > threshold) break;
  }
  return last;
}

inline int64_t drawWhole(const SampleRow& row, double uniform) {
  const double threshold = row.total * uniform;
  double before;
  const int64_t block = findBlock(row.blockSums, row.numBlocks(), threshold, before);
  const int64_t begin = block * kSampleBlock;
  float weights[kSampleBlock];
  weighBlock(row.x + begin, row.blockLength(block), row.largest, row.scale, weights);
  return begin + findPlace(weights, row.blockLength(block), before, threshold);
}

// ---- Truncation ----

struct Truncation {
  int64_t topK;  // 0: all
  double topP;
  double logMinP;

  bool keepsAll() const { return topK == 0 && topP == 1 && logMinP == -__builtin_inf(); }
};

inline Truncation truncationOf(const View* views, int64_t draw, int64_t length) {
  if (views[0].data == nullptr) return {0, 1, -__builtin_inf()};
  const int64_t topK = intsOf(views[0])[draw];
  return {topK < length ? topK : 0, doublesOf(views[1])[draw], doublesOf(views[2])[draw]};
}

// The least logit that min-p keeps.
inline float logitOfMinP(const SampleRow& row, const Truncation& by) {
  return roundedUp(static_cast<double>(row.largest) + row.temperature * by.logMinP);
}

// A bound that at least `count` logits of the row reach: the count-th largest of the blocks' largest.
inline float boundOfLargest(const SampleRow& row, int64_t count, ThreadPool& pool, int thread) {
  if (count > row.numBlocks()) return -__builtin_inff();
  const Candidates scratch = candidatesIn(pool.threadScratch(thread, 2, candidateBytes(row.numBlocks())), row.numBlocks());
  const Candidates blocks = {row.blockLargest, nullptr, nullptr, row.numBlocks()};
  blocks.pad();
  return findCut<true>(blocks, static_cast<double>(count), -__builtin_inff(), row.largest, scratch).logit;
}

// A bound that every token reaches which the truncation keeps, as high as is cheap to say.
inline float boundOfKept(const SampleRow& row, const Truncation& by, ThreadPool& pool, int thread) {
  const float minP = logitOfMinP(row, by);
  if (by.topK > 0) {
    const float topK = boundOfLargest(row, by.topK, pool, thread);
    return by.topP < 1 ? topK : larger(topK, minP);  // top-p counts the weight of all that top-k leaves
  }
  if (by.topP == 1) return minP;
  // Tokens of less than (1 - p) total / V have less than 1 - p of the weight together: none of them is in the nucleus.
  const double spare = (1 - by.topP) * row.total / static_cast<double>(row.length);
  return larger(minP, roundedUp(static_cast<double>(row.largest) + row.temperature * (__builtin_log(spare) - 1e-3)));
}

// Calls body(token) for every logit at or above `bound`, in order.
template <typename Body>
inline void forTokensFrom(const SampleRow& row, float bound, const Body& body) {
  for (int64_t block = 0; block < row.numBlocks(); block++) {
    if (row.blockLargest[block] < bound) continue;
    const int64_t begin = block * kSampleBlock;
    forBetween(row.x + begin, row.blockLength(block), bound, __builtin_inff(), [&](int64_t i) { body(begin + i); });
  }
}

inline int64_t drawTruncated(const SampleRow& row, const Truncation& by, double uniform, ThreadPool& pool, int thread) {
  const float bound = boundOfKept(row, by, pool, thread);
  int64_t capacity = 0;
  for (int64_t block = 0; block < row.numBlocks(); block++)
    if (!(row.blockLargest[block] < bound)) capacity += row.blockLength(block);
  const size_t bytes = candidateBytes(capacity);
  const int64_t numSums = numBlocksOf(capacity);
  char* memory = static_cast<char*>(pool.threadScratch(thread, 2, 2 * bytes + static_cast<size_t>(numSums) * sizeof(double)));
  Candidates kept = candidatesIn(memory, capacity);
  const Candidates scratch = candidatesIn(memory + bytes, capacity);
  auto* sums = reinterpret_cast<double*>(memory + 2 * bytes);

  forTokensFrom(row, bound, [&](int64_t token) { kept.add(row.x[token], static_cast<int32_t>(token)); });
  weighBlock(kept.logits, kept.count, row.largest, row.scale, kept.weights);
  kept.pad();
  double mass = row.total;
  if (by.topK > 0) {
    dropBelow(kept, findCut<true>(kept, static_cast<double>(by.topK), bound, row.largest, scratch));
    if (by.topP < 1) mass = amountFrom<false>(kept, -3.4028234663852886e38f);
  }
  if (by.topP < 1) dropBelow(kept, findCut<false>(kept, by.topP * mass, bound, row.largest, scratch));
  dropBelow(kept, {logitOfMinP(row, by), INT32_MAX, false});

  mass = 0;
  for (int64_t begin = 0; begin < kept.count; begin += kSampleBlock) {
    sums[begin / kSampleBlock] = static_cast<double>(sumOf(kept.weights + begin, smaller(kSampleBlock, kept.count - begin)));
    mass += sums[begin / kSampleBlock];
  }
  double before;
  const int64_t begin = kSampleBlock * findBlock(sums, numBlocksOf(kept.count), mass * uniform, before);
  return kept.ids[begin + findPlace(kept.weights + begin, smaller(kSampleBlock, kept.count - begin), before, mass * uniform)];
}

// ---- The likeliest tokens ----

// Ids and scores of the `count` largest logits, best first; -1 in the places up to `width` that are left.
inline void findLikeliest(const SampleRow& row, int64_t count, int64_t width, ThreadPool& pool, int thread, int32_t* ids, double* scores) {
  int64_t size = 0;
  const auto goesBefore = [&](int64_t token, int64_t place) { return row.x[token] > row.x[ids[place]]; };
  if (count > 0)
    forTokensFrom(row, boundOfLargest(row, count, pool, thread), [&](int64_t token) {
      if (size == count && !goesBefore(token, size - 1)) return;
      int64_t place = size < count ? size++ : size - 1;
      for (; place > 0 && goesBefore(token, place - 1); place--) ids[place] = ids[place - 1];
      ids[place] = static_cast<int32_t>(token);
    });
  for (int64_t place = 0; place < size; place++) scores[place] = row.scoreOf(ids[place]);
  for (int64_t place = size; place < width; place++) ids[place] = -1;
}

// ---- The kernel ----

// The row itself, or a copy with the adjustments `begin .. end`.
inline const float* adjustedRow(const float* x, int64_t length, const View* adjustments, int64_t draw, ThreadPool& pool, int thread) {
  if (adjustments[0].data == nullptr) return x;
  const int32_t* offsets = intsOf(adjustments[0]);
  if (offsets[draw] == offsets[draw + 1]) return x;
  auto* copy = static_cast<float*>(pool.threadScratch(thread, 1, static_cast<size_t>(length) * sizeof(float)));
  convertRow(x, copy, length);
  for (int64_t i = offsets[draw]; i < offsets[draw + 1]; i++) {
    const int64_t token = intsOf(adjustments[1])[i];
    const auto logit = static_cast<double>(x[token]);
    const double divisor = doublesOf(adjustments[2])[i];
    copy[token] = static_cast<float>((logit > 0 ? logit / divisor : logit * divisor) + doublesOf(adjustments[3])[i]);
  }
  return copy;
}

inline SampleRow rowIn(const float* x, int64_t length, double temperature, ThreadPool& pool, int thread) {
  const int64_t numBlocks = numBlocksOf(length);
  const auto bytes = static_cast<size_t>(numBlocks) * sizeof(double) + static_cast<size_t>(paddedLength(numBlocks)) * sizeof(float);
  auto* blockSums = static_cast<double*>(pool.threadScratch(thread, 0, bytes));
  SampleRow row = {x, length, blockSums, reinterpret_cast<float*>(blockSums + numBlocks), 0, temperature == 0 ? 1 : temperature, 0, 0};
  row.scale = static_cast<float>(smaller(static_cast<double>(kLog2E) / row.temperature, 3.4028234663852886e38));
  row.findLargest();
  return row;
}

// Everything about one draw; `views` are those of the kernel.
inline void sampleOne(const View* views, int64_t draw, int64_t length, bool wantTotals, ThreadPool& pool, int thread) {
  const double temperature = doublesOf(views[2])[draw], uniform = doublesOf(views[3])[draw];
  const float* given = floatsOf(views[0]) + intsOf(views[1])[draw] * length;
  SampleRow row = rowIn(adjustedRow(given, length, views + 7, draw, pool, thread), length, temperature, pool, thread);
  const bool isGreedy = temperature == 0;
  const int64_t numLikeliest = views[12].data == nullptr ? 0 : intsOf(views[12])[draw];
  bool isSound = row.largest - row.largest == 0;  // neither infinite nor nothing but NaN
  if (isSound && (!isGreedy || wantTotals || numLikeliest > 0)) {
    row.weigh();
    isSound = row.total == row.total;
  }
  if (views[12].data != nullptr) {
    const int64_t width = views[13].length / views[1].length;
    auto* ids = static_cast<int32_t*>(views[13].data) + draw * width;
    findLikeliest(row, isSound ? numLikeliest : 0, width, pool, thread, ids, doublesOf(views[14]) + draw * width);
  }
  double* drawn = doublesOf(views[11]) + 3 * draw;
  drawn[0] = -1;
  if (!isSound) return;
  const Truncation by = truncationOf(views + 4, draw, length);
  const int64_t token = isGreedy        ? findFirst(row.x, length, row.largest)
                        : by.keepsAll() ? drawWhole(row, uniform)
                                        : drawTruncated(row, by, uniform, pool, thread);
  drawn[0] = static_cast<double>(token);
  drawn[1] = row.scoreOf(token);
  drawn[2] = row.total;
}

inline void sampleRows(const View* views, const double* numbers, ThreadPool& pool) {
  const auto length = static_cast<int64_t>(numbers[0]);
  const bool wantTotals = numbers[1] != 0;
  forTasks(pool, views[1].length, views[1].length * length,
           [&](int64_t draw, int thread) { sampleOne(views, draw, length, wantTotals, pool, thread); });
}

}  // namespace selkie::SELKIE_ISA

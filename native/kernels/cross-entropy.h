// Kernel `linearCrossEntropy`: log-probability of one token per row under softmax(hidden · weightᵀ), with gradients, a
// block of logits at a time. Rows without a target are left out: the others are copied together first.
//
// With G = gradLogprob · (onehot - softmax): gradHidden = G · weight, gradWeight = Gᵀ · hidden. Two ways, by vocabulary:
//   whole rows  some rows of logits over the whole vocabulary fit into scratch: logits, softmax, G in place, products
//   by chunks   they do not: one pass over chunks of the vocabulary for the log-sum-exp (kept online: a running
//               maximum and a sum relative to it), then a second that computes the logits of a chunk again
// Views: hidden [N, D], weight [V, D], targets [N], logprobs [N], gradLogprobs [N] or null, gradHidden or null,
// gradWeight or null. Numbers: N, D, V, accumulate gradHidden, accumulate gradWeight, bf16, and whether a row's
// log-probability must have the same bits whatever other rows there are.
#pragma once

#include "gemm.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kLogitBudget = 8 << 20;        // f32 logits in scratch at a time
constexpr int64_t kLeastWholeRows = 64;          // with fewer rows per block, chunks are the better way
constexpr int64_t kStatisticsChunk = 4096;       // vocabulary per step of the first pass by chunks
constexpr int64_t kVocabularyPerProduct = 8192;  // inner length of one product for gradHidden

struct RowStatistics {
  int32_t row;
  int32_t target;
  float max;
  float sum;  // of exp(logit - max)
  float targetLogit;
};

struct CrossEntropy {
  View hiddenView, weight, logprobs, gradLogprobs, gradHidden, gradWeight;
  int64_t numRows, width, vocabulary;
  bool accumulateHidden, accumulateWeight, useBf16;
  FewRows fewRows;
  ThreadPool& pool;

  RowStatistics* rows;  // those with a target
  int64_t count;
  View hidden;             // the same rows of hiddenView, without gaps
  float* logits;           // kLogitBudget numbers
  float* hiddenSums;       // f32 [count, width]: gradHidden itself where possible, else scratch
  bool areSumsInScratch;
  View weightSums;         // gradWeight itself, or f32 scratch where it is bf16

  bool hasAllRows() const { return count == numRows; }
};

// Finds the rows that have a target and brings them together.
inline void collectRows(CrossEntropy& self, const int32_t* targets) {
  self.rows = static_cast<RowStatistics*>(self.pool.sharedScratch(3, self.numRows * sizeof(RowStatistics)));
  self.count = 0;
  for (int64_t i = 0; i < self.numRows; i++)
    if (targets[i] >= 0) self.rows[self.count++] = {static_cast<int32_t>(i), targets[i], -__builtin_inff(), 0, 0};
  self.hidden = self.hiddenView;
  if (self.hasAllRows()) return;
  const bool isBf16 = self.hidden.dtype == kBf16;
  const int64_t rowBytes = self.width * bytesPerElement(isBf16);
  self.hidden.data = self.pool.sharedScratch(5, self.count * rowBytes);
  for (int64_t i = 0; i < self.count; i++)
    __builtin_memcpy(static_cast<char*>(self.hidden.data) + i * rowBytes,
                     static_cast<const char*>(self.hiddenView.data) + self.rows[i].row * rowBytes, static_cast<size_t>(rowBytes));
}

// logits [rows, tokens] of some rows and a chunk of the vocabulary.
inline void computeLogits(CrossEntropy& self, int64_t firstRow, int64_t rows, int64_t firstToken, int64_t tokens) {
  const View logits = {self.logits, kF32, rows * tokens};
  multiply({.a = factorA(self.hidden, firstRow * self.width, self.width, false),
            .b = factorB(self.weight, firstToken * self.width, self.width, true),
            .c = outputOf(logits, 0, tokens, 1, false),
            .m = rows,
            .n = tokens,
            .k = self.width},
           self.useBf16, self.pool, self.fewRows);
}

// Calls body(row, logits of the row) for a block of rows, in parallel.
template <typename Body>
inline void forEachRow(CrossEntropy& self, int64_t firstRow, int64_t rows, int64_t tokens, const Body& body) {
  parallelRanges(self.pool, rows, 1 + 16384 / tokens, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) body(self.rows[firstRow + i], self.logits + i * tokens);
  });
}

// Takes a chunk of logits into the running maximum, sum and target logit of a row.
inline void updateStatistics(RowStatistics& row, const float* logits, int64_t firstToken, int64_t tokens) {
  constexpr int64_t width = Vec::width;
  const int64_t whole = tokens / width * width;
  Vec most = Vec::set(-__builtin_inff());
  for (int64_t j = 0; j < whole; j += width) most = max(Vec::load(logits + j), most);
  float maximum = larger(row.max, reduceMax(most));
  for (int64_t j = whole; j < tokens; j++) maximum = larger(maximum, logits[j]);
  const Vec shift = Vec::set(maximum);
  Vec even = Vec::zero(), odd = Vec::zero();
  int64_t j = 0;
  for (; j + 2 * width <= whole; j += 2 * width) {
    even = even + exp(Vec::load(logits + j) - shift);
    odd = odd + exp(Vec::load(logits + j + width) - shift);
  }
  for (; j < whole; j += width) even = even + exp(Vec::load(logits + j) - shift);
  float sum = reduceAdd(even + odd);
  for (; j < tokens; j++) sum += exp(logits[j] - maximum);
  const float rescale = row.sum == 0 ? 0 : exp(row.max - maximum);
  row.sum = row.sum * rescale + sum;
  row.max = maximum;
  if (row.target >= firstToken && row.target < firstToken + tokens) row.targetLogit = logits[row.target - firstToken];
}

// Overwrites a row of logits with G, as f32 or (from the start of the row on) as bf16.
template <typename T>
inline void writeGradient(const RowStatistics& row, float gradLogprob, float* logits, int64_t firstToken, int64_t tokens) {
  const float logSumExp = row.max + __builtin_logf(row.sum);
  const Vec shift = Vec::set(logSumExp), factor = Vec::set(-gradLogprob);
  T* gradients = reinterpret_cast<T*>(logits);
  const int64_t target = row.target - firstToken;
  const bool hasTarget = target >= 0 && target < tokens;
  const float atTarget = hasTarget ? gradLogprob * (1.0f - exp(logits[target] - logSumExp)) : 0.0f;
  int64_t j = 0;
  for (; j + Vec::width <= tokens; j += Vec::width) (exp(Vec::load(logits + j) - shift) * factor).store(gradients + j);
  const int64_t rest = tokens - j;
  if (rest > 0) (exp(Vec::load(logits + j, rest) - shift) * factor).store(gradients + j, rest);
  if (hasTarget) storeScalar(gradients + target, atTarget);
}

// Turns a block of logits into G and adds its products to the gradients.
inline void addGradients(CrossEntropy& self, int64_t firstRow, int64_t rows, int64_t firstToken, int64_t tokens, bool isFirstForHidden,
                         bool isFirstForWeight) {
  const auto* gradLogprobs = static_cast<const float*>(self.gradLogprobs.data);
  forEachRow(self, firstRow, rows, tokens, [&](RowStatistics& row, float* logits) {
    const float gradLogprob = gradLogprobs[row.row];
    if (self.useBf16) writeGradient<bf16>(row, gradLogprob, logits, firstToken, tokens);
    else writeGradient<float>(row, gradLogprob, logits, firstToken, tokens);
  });
  const View gradients = {self.logits, self.useBf16 ? kBf16 : kF32, rows * tokens};
  const int64_t stride = self.useBf16 ? 2 * tokens : tokens;
  const int64_t width = self.width;
  if (self.gradHidden.data != nullptr) {
    const View sums = {self.hiddenSums, kF32, self.count * width};
    for (int64_t token = 0; token < tokens; token += kVocabularyPerProduct) {
      const bool overwrite = isFirstForHidden && token == 0 && (self.areSumsInScratch || !self.accumulateHidden);
      multiply({.a = factorA(gradients, token, stride, false),
                .b = factorB(self.weight, (firstToken + token) * width, width, false),
                .c = outputOf(sums, firstRow * width, width, 1, !overwrite),
                .m = rows,
                .n = width,
                .k = smaller(kVocabularyPerProduct, tokens - token)},
               self.useBf16, self.pool);
    }
  }
  if (self.gradWeight.data != nullptr) {
    const bool overwrite = isFirstForWeight && (self.weightSums.data != self.gradWeight.data || !self.accumulateWeight);
    multiply({.a = factorA(gradients, 0, stride, true),
              .b = factorB(self.hidden, firstRow * width, width, false),
              .c = outputOf(self.weightSums, firstToken * width, width, 1, !overwrite),
              .m = tokens,
              .n = width,
              .k = rows},
             self.useBf16, self.pool);
  }
}

// Vocabularies whose logits fit: blocks of whole rows.
inline void runByRows(CrossEntropy& self) {
  const int64_t perBlock = kLogitBudget / self.vocabulary;
  for (int64_t first = 0; first < self.count; first += perBlock) {
    const int64_t rows = smaller(perBlock, self.count - first);
    computeLogits(self, first, rows, 0, self.vocabulary);
    forEachRow(self, first, rows, self.vocabulary,
               [&](RowStatistics& row, float* logits) { updateStatistics(row, logits, 0, self.vocabulary); });
    if (self.gradLogprobs.data != nullptr) addGradients(self, first, rows, 0, self.vocabulary, true, first == 0);
  }
}

// Large vocabularies: statistics first, then gradients, chunk by chunk.
inline void runByChunks(CrossEntropy& self) {
  const int64_t perBlock = kLogitBudget / kStatisticsChunk;
  for (int64_t first = 0; first < self.count; first += perBlock) {
    const int64_t rows = smaller(perBlock, self.count - first);
    for (int64_t token = 0; token < self.vocabulary; token += kStatisticsChunk) {
      const int64_t tokens = smaller(kStatisticsChunk, self.vocabulary - token);
      computeLogits(self, first, rows, token, tokens);
      forEachRow(self, first, rows, tokens, [&](RowStatistics& row, float* logits) { updateStatistics(row, logits, token, tokens); });
    }
  }
  if (self.gradLogprobs.data == nullptr) return;
  for (int64_t token = 0; token < self.vocabulary; token += kStatisticsChunk) {
    const int64_t tokens = smaller(kStatisticsChunk, self.vocabulary - token);
    for (int64_t first = 0; first < self.count; first += perBlock) {
      const int64_t rows = smaller(perBlock, self.count - first);
      computeLogits(self, first, rows, token, tokens);
      addGradients(self, first, rows, token, tokens, token == 0, first == 0);
    }
  }
}

// Decides where gradients are summed: in place, or in f32 scratch where the target has gaps between rows or is bf16.
inline void placeSums(CrossEntropy& self) {
  self.areSumsInScratch = self.gradHidden.data != nullptr && (self.gradHidden.dtype == kBf16 || !self.hasAllRows());
  self.hiddenSums = self.areSumsInScratch ? static_cast<float*>(self.pool.sharedScratch(6, self.count * self.width * sizeof(float)))
                                          : static_cast<float*>(self.gradHidden.data);
  self.weightSums = self.gradWeight;
  if (self.gradWeight.data != nullptr && self.gradWeight.dtype == kBf16)
    self.weightSums = {self.pool.sharedScratch(7, self.gradWeight.length * sizeof(float)), kF32, self.gradWeight.length};
}

// One row of finished sums into a gradient; null sums stand for zeros.
inline void finishRow(const float* sums, const View& gradient, int64_t row, int64_t width, bool accumulate) {
  const bool isBf16 = gradient.dtype == kBf16;
  if (sums == nullptr) {
    if (!accumulate) __builtin_memset(at(gradient.data, isBf16, row * width), 0, static_cast<size_t>(width * bytesPerElement(isBf16)));
    return;
  }
  writeBlock(sums, width, outputOf(gradient, row * width, width, 1, accumulate), 0, 0, 1, width);
}

inline void finishGradients(CrossEntropy& self) {
  if (self.gradHidden.data != nullptr && (self.areSumsInScratch || self.count == 0)) {
    int64_t next = 0;
    for (int64_t row = 0; row < self.numRows; row++) {
      const bool isKept = next < self.count && self.rows[next].row == row;
      finishRow(isKept ? self.hiddenSums + next * self.width : nullptr, self.gradHidden, row, self.width, self.accumulateHidden);
      if (isKept) next++;
    }
  }
  if (self.gradWeight.data == nullptr) return;
  const bool hasSums = self.count > 0;
  if (hasSums && self.weightSums.data == self.gradWeight.data) return;
  parallelRanges(self.pool, self.vocabulary, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* sums = hasSums ? static_cast<const float*>(self.weightSums.data) + row * self.width : nullptr;
      finishRow(sums, self.gradWeight, row, self.width, self.accumulateWeight);
    }
  });
}

inline void linearCrossEntropy(const View* views, const double* numbers, ThreadPool& pool) {
  CrossEntropy self = {
      .hiddenView = views[0],
      .weight = views[1],
      .logprobs = views[3],
      .gradLogprobs = views[4],
      .gradHidden = views[5],
      .gradWeight = views[6],
      .numRows = static_cast<int64_t>(numbers[0]),
      .width = static_cast<int64_t>(numbers[1]),
      .vocabulary = static_cast<int64_t>(numbers[2]),
      .accumulateHidden = numbers[3] != 0,
      .accumulateWeight = numbers[4] != 0,
      .useBf16 = numbers[5] != 0,
      .fewRows = numbers[6] != 0 ? FewRows::packed : FewRows::direct,
      .pool = pool,
  };
  collectRows(self, static_cast<const int32_t*>(views[2].data));
  auto* logprobs = static_cast<float*>(self.logprobs.data);
  __builtin_memset(logprobs, 0, static_cast<size_t>(self.numRows) * sizeof(float));
  const bool hasGradients = self.gradLogprobs.data != nullptr;
  if (!hasGradients) self.gradHidden.data = self.gradWeight.data = nullptr;
  if (self.count > 0) {
    placeSums(self);
    self.logits = static_cast<float*>(pool.sharedScratch(4, kLogitBudget * sizeof(float)));
    if (self.vocabulary * kLeastWholeRows <= kLogitBudget) runByRows(self);
    else runByChunks(self);
  }
  for (int64_t i = 0; i < self.count; i++) {
    const RowStatistics& row = self.rows[i];
    logprobs[row.row] = row.targetLogit - row.max - __builtin_logf(row.sum);
  }
  if (hasGradients) finishGradients(self);
}

}  // namespace selkie::SELKIE_ISA

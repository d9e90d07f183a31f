// Kernel `linearCrossEntropy`: log-probability of one token per row under softmax(hidden · weightᵀ), with gradients.
// Rows without a target are left out: the others are copied together first.
//
// Logits never reach memory: while a piece of them is still in the level 1 cache, the product that made it turns it into
// exponentials E = 2^(logit · log₂e - shift) and their sums S (exp-rows.h). Gradients come from E, a block of rows at a
// time, in bf16 where products are bf16. With g = gradLogprob, the gradient of the logits is g · (onehot - E / S) = f ⊙ E
// but at the target, with f = -g / S per row. So E is never scaled: with 0 at the targets and t = g · (1 - E[target] / S),
//   gradHidden = f ⊙ (E · weight) + t ⊙ weight[targets]      gradWeight = Eᵀ · (f ⊙ hidden) + (t ⊙ hidden added to targets)
// where the second terms, the larger ones, are added in f32.
//
// Views: hidden [N, D], weight [V, D], targets [N], logprobs [N], gradLogprobs [N] or null, gradHidden or null,
// gradWeight or null, weight as packFactor leaves it for logits and for gradHidden, or null; for a quantised weight, whose
// codes are then the view and which has no gradient, scales, and code book or null.
// Numbers: N, D, V, accumulate gradHidden, accumulate gradWeight, bf16.
#pragma once

#include "exp-rows.h"
#include "quantised.h"

namespace selkie::SELKIE_ISA {

// A block of rows is as large as it may be, since each block reads and writes all of gradWeight; but beyond some rows that
// matters less than that its exponentials are still in some cache when they are used (measured: 2048 rows, 4096 tokens).
constexpr int64_t kExponentialBytes = 96 << 20;
constexpr int64_t kMaxBlockRows = 2048;
constexpr int64_t kVocabularyPerProduct = 8192;  // inner length of one product for gradHidden
constexpr int kSharedTargets = 11;               // scratch slot of the targets' rows of a quantised weight

struct CrossEntropy {
  View hiddenView, weight, logprobs, gradLogprobs, gradHidden, gradWeight;
  Quantised quantised;  // without scales the weight is dense
  float* packedForLogits;
  float* packedForGradient;
  int64_t numRows, width, vocabulary;
  bool accumulateHidden, accumulateWeight, useBf16;
  ThreadPool& pool;

  OutputRow* rows;  // those with a target
  int64_t count;
  View hidden;       // the same rows of hiddenView, without gaps
  ExpRows block;     // exponentials of some rows
  float* rowSums;    // f32 [rows of a block, width]: gradHidden before scaling
  View scaled;       // f ⊙ hidden of a block
  View weightSums;   // gradWeight itself, or f32 scratch where it is bf16

  bool hasAllRows() const { return count == numRows; }
  bool isQuantised() const { return quantised.scales != nullptr; }
};

// Finds the rows that have a target and brings them together.
inline void collectRows(CrossEntropy& self, const int32_t* targets) {
  self.rows = static_cast<OutputRow*>(self.pool.sharedScratch(3, self.numRows * sizeof(OutputRow)));
  self.count = 0;
  for (int64_t i = 0; i < self.numRows; i++)
    if (targets[i] >= 0) self.rows[self.count++] = {static_cast<int32_t>(i), targets[i]};
  self.hidden = self.hiddenView;
  if (self.hasAllRows()) return;
  const bool isBf16 = self.hidden.dtype == kBf16;
  const int64_t rowBytes = self.width * bytesPerElement(isBf16);
  self.hidden.data = self.pool.sharedScratch(5, self.count * rowBytes);
  for (int64_t i = 0; i < self.count; i++)
    __builtin_memcpy(static_cast<char*>(self.hidden.data) + i * rowBytes,
                     static_cast<const char*>(self.hiddenView.data) + self.rows[i].row * rowBytes, static_cast<size_t>(rowBytes));
}

// What a product would see of a factor.
template <typename T, typename Lanes>
inline Vec loadRounded(const T* p, Lanes lanes, bool useBf16) {
  const Vec value = loadLanes(p, lanes);
  return useBf16 ? roundToBf16(value) : value;
}

// A product with rows of the weight from `firstToken` on: as columns of b when `isTransposed`, else as they are.
inline void multiplyByWeight(CrossEntropy& self, Product product, int64_t firstToken, bool isTransposed) {
  if (self.isQuantised()) return multiplyQuantised(product, skipRows(self.quantised, firstToken), isTransposed, self.useBf16, self.pool);
  product.b = factorB(self.weight, firstToken * self.width, self.width, isTransposed);
  multiply(product, self.useBf16, self.pool);
}

// The product that makes the logits of some rows.
inline Product logitsOf(const CrossEntropy& self, int64_t firstRow, int64_t rows) {
  return {
      .a = factorA(self.hidden, firstRow * self.width, self.width, false),
      .b = {},
      .c = {},
      .m = rows,
      .n = self.vocabulary,
      .k = self.width,
      .packedB = self.packedForLogits,
  };
}

// Cuts the rows into blocks and places what a block needs; returns the rows of a block.
inline int64_t placeBlock(CrossEntropy& self) {
  const bool hasGradients = self.gradLogprobs.data != nullptr;
  ExpRows& block = self.block;
  block.isBf16 = self.useBf16;
  block.vocabulary = self.vocabulary;
  block.stride = roundUp(self.vocabulary, 32) + 32;  // no power of two, which would put a column into few cache sets
  block.columnsPerPiece = columnsPerPiece(logitsOf(self, 0, self.count), self.useBf16);
  block.numPieces = ceilDivide(self.vocabulary, block.columnsPerPiece);
  const int64_t rowBytes = hasGradients ? block.stride * bytesPerElement(self.useBf16) : 8 * block.numPieces;
  const int64_t most = larger<int64_t>(1, smaller(kMaxBlockRows, kExponentialBytes / rowBytes));
  const int64_t rows = ceilDivide(self.count, ceilDivide(self.count, most));
  block.capacity = roundUp(rows, Vec::width);
  block.sums = static_cast<float*>(self.pool.sharedScratch(4, 2 * block.numPieces * block.capacity * sizeof(float)));
  block.shifts = block.sums + block.numPieces * block.capacity;
  block.data = hasGradients ? self.pool.sharedScratch(6, rows * rowBytes) : nullptr;
  if (self.gradHidden.data != nullptr)
    self.rowSums = static_cast<float*>(self.pool.sharedScratch(7, rows * self.width * sizeof(float)));
  self.weightSums = self.gradWeight;
  if (self.gradWeight.data == nullptr) return rows;
  self.scaled = {self.pool.sharedScratch(8, rows * self.width * bytesPerElement(self.useBf16)), self.useBf16 ? kBf16 : kF32,
                 rows * self.width};
  if (self.gradWeight.dtype == kBf16)
    self.weightSums = {self.pool.sharedScratch(9, self.gradWeight.length * sizeof(float)), kF32, self.gradWeight.length};
  return rows;
}

// The weight's rows of the targets of a block, f32 [rows, width].
inline View dequantiseTargets(CrossEntropy& self, int64_t firstRow, int64_t rows) {
  const View result = {self.pool.sharedScratch(kSharedTargets, rows * self.width * sizeof(float)), kF32, rows * self.width};
  dequantiseRows(self.quantised, rows, self.width, result, self.pool, [&](int64_t i) { return self.rows[firstRow + i].target; });
  return result;
}

// gradHidden of the rows of a block.
inline void addHiddenGradients(CrossEntropy& self, int64_t firstRow, int64_t rows) {
  const int64_t width = self.width, vocabulary = self.vocabulary;
  const View exponentials = self.block.view(rows);
  const View sums = {self.rowSums, kF32, rows * width};
  const int64_t step = self.packedForGradient != nullptr ? vocabulary : kVocabularyPerProduct;
  for (int64_t token = 0; token < vocabulary; token += step)
    multiplyByWeight(self,
                     {.a = factorA(exponentials, token, self.block.stride, false),
                      .b = {},
                      .c = outputOf(sums, 0, width, 1, token > 0),
                      .m = rows,
                      .n = width,
                      .k = smaller(step, vocabulary - token),
                      .packedB = self.packedForGradient},
                     token, false);
  const View targets = self.isQuantised() ? dequantiseTargets(self, firstRow, rows) : self.weight;
  withType(self.gradHidden, [&](auto* gradHidden) {
    withType(targets, [&](const auto* weight) {
      forItems(self.pool, rows, width, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
          const OutputRow& row = self.rows[firstRow + i];
          const Vec factor = Vec::set(row.factor), targetFactor = Vec::set(row.targetFactor);
          const float* source = self.rowSums + i * width;
          const auto* atTarget = weight + (self.isQuantised() ? i : int64_t{row.target}) * width;
          auto* target = gradHidden + row.row * width;
          forVectors(0, width, [=, accumulate = self.accumulateHidden, useBf16 = self.useBf16](int64_t j, auto lanes) {
            const Vec others = factor * loadLanes(source + j, lanes);
            storeGrad(target + j, lanes, fma(targetFactor, loadRounded(atTarget + j, lanes, useBf16), others), accumulate);
          });
        }
      });
    });
  });
}

// t ⊙ hidden of the rows of a block, added to the rows of their targets. A task owns a band of columns: see scatterAddRows.
inline void addTargets(CrossEntropy& self, int64_t firstRow, int64_t rows) {
  const int64_t width = self.width;
  auto* sums = static_cast<float*>(self.weightSums.data);
  withType(self.hidden, [&](const auto* hidden) {
    parallelRanges(self.pool, width, 128, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = firstRow; i < firstRow + rows; i++) {
        const Vec factor = Vec::set(self.rows[i].targetFactor);
        const auto* source = hidden + i * width;
        float* target = sums + self.rows[i].target * width;
        forVectors(begin, end, [=, useBf16 = self.useBf16](int64_t j, auto lanes) {
          storeLanes(target + j, lanes, fma(factor, loadRounded(source + j, lanes, useBf16), loadLanes(target + j, lanes)));
        });
      }
    });
  });
}

// Adds the rows of a block to gradWeight.
inline void addWeightGradient(CrossEntropy& self, int64_t firstRow, int64_t rows) {
  const int64_t width = self.width;
  withType(self.hidden, [&](const auto* hidden) {
    withType(self.scaled, [&](auto* scaled) {
      forItems(self.pool, rows, width, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
          const Vec factor = Vec::set(self.rows[firstRow + i].factor);
          const auto* source = hidden + (firstRow + i) * width;
          auto* target = scaled + i * width;
          forVectors(0, width, [=](int64_t j, auto lanes) { storeLanes(target + j, lanes, factor * loadLanes(source + j, lanes)); });
        }
      });
    });
  });
  const bool overwrite = firstRow == 0 && (self.weightSums.data != self.gradWeight.data || !self.accumulateWeight);
  multiply({.a = factorA(self.block.view(rows), 0, self.block.stride, true),
            .b = factorB(self.scaled, 0, width, false),
            .c = outputOf(self.weightSums, 0, width, 1, !overwrite),
            .m = self.vocabulary,
            .n = width,
            .k = rows},
           self.useBf16, self.pool);
  addTargets(self, firstRow, rows);
}

// Log-probabilities and gradients of some rows.
inline void runBlockOfRows(CrossEntropy& self, int64_t firstRow, int64_t rows) {
  self.block.rows = self.rows + firstRow;
  const Finish finish = {self.block.finishFunction(), &self.block};
  Product logits = logitsOf(self, firstRow, rows);
  logits.c.finish = &finish;
  multiplyByWeight(self, logits, 0, true);
  const auto* gradLogprobs = static_cast<const float*>(self.gradLogprobs.data);
  auto* logprobs = static_cast<float*>(self.logprobs.data);
  parallelRanges(self.pool, ceilDivide(rows, Vec::width), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * Vec::width; i < smaller(rows, end * Vec::width); i += Vec::width) {
      const int64_t last = smaller<int64_t>(rows, i + Vec::width);
      self.block.sumPieces(i, last);
      for (int64_t at = i; at < last; at++) {
        const OutputRow& row = self.block.rows[at];
        logprobs[row.row] = self.block.logprob(at);
        if (gradLogprobs != nullptr) self.block.setGradient(at, gradLogprobs[row.row]);
      }
    }
  });
  if (self.gradHidden.data != nullptr) addHiddenGradients(self, firstRow, rows);
  if (self.gradWeight.data != nullptr) addWeightGradient(self, firstRow, rows);
}

// Zeros where no row had a target, and gradWeight from its sums.
inline void finishGradients(CrossEntropy& self) {
  if (self.gradHidden.data != nullptr && !self.accumulateHidden && !self.hasAllRows()) {
    const int64_t rowBytes = self.width * bytesPerElement(self.gradHidden.dtype == kBf16);
    int64_t next = 0;
    for (int64_t row = 0; row < self.numRows; row++) {
      if (next < self.count && self.rows[next].row == row) next++;
      else __builtin_memset(static_cast<char*>(self.gradHidden.data) + row * rowBytes, 0, static_cast<size_t>(rowBytes));
    }
  }
  if (self.gradWeight.data == nullptr) return;
  if (self.count == 0) {
    const int64_t bytes = self.gradWeight.length * bytesPerElement(self.gradWeight.dtype == kBf16);
    if (!self.accumulateWeight) __builtin_memset(self.gradWeight.data, 0, static_cast<size_t>(bytes));
  } else if (self.weightSums.data != self.gradWeight.data) {
    const auto* sums = static_cast<const float*>(self.weightSums.data);
    withType(self.gradWeight, [&](auto* gradWeight) {
      forItems(self.pool, self.gradWeight.length, 1, [=, accumulate = self.accumulateWeight](int64_t begin, int64_t end) {
        forVectors(begin, end, [=](int64_t i, auto lanes) { storeGrad(gradWeight + i, lanes, loadLanes(sums + i, lanes), accumulate); });
      });
    });
  }
}

inline void linearCrossEntropy(const View* views, const double* numbers, ThreadPool& pool) {
  CrossEntropy self = {
      .hiddenView = views[0],
      .weight = views[1],
      .logprobs = views[3],
      .gradLogprobs = views[4],
      .gradHidden = views[5],
      .gradWeight = views[6],
      .quantised = quantisedOf(views[1], views[9], views[10], static_cast<int64_t>(numbers[1])),
      .packedForLogits = floatsOf(views[7]),
      .packedForGradient = floatsOf(views[8]),
      .numRows = static_cast<int64_t>(numbers[0]),
      .width = static_cast<int64_t>(numbers[1]),
      .vocabulary = static_cast<int64_t>(numbers[2]),
      .accumulateHidden = numbers[3] != 0,
      .accumulateWeight = numbers[4] != 0,
      .useBf16 = numbers[5] != 0,
      .pool = pool,
  };
  collectRows(self, static_cast<const int32_t*>(views[2].data));
  __builtin_memset(self.logprobs.data, 0, static_cast<size_t>(self.numRows) * sizeof(float));
  const bool hasGradients = self.gradLogprobs.data != nullptr;
  if (!hasGradients) self.gradHidden.data = self.gradWeight.data = nullptr;
  if (self.count > 0) {
    const int64_t rows = placeBlock(self);
    for (int64_t first = 0; first < self.count; first += rows) runBlockOfRows(self, first, smaller(rows, self.count - first));
  }
  finishGradients(self);
}

}  // namespace selkie::SELKIE_ISA

// Rows of exponentials of logits, as the product that makes the logits hands them over piece by piece (Output::finish).
//
// E = 2^(logit · log₂e - shift). A softmax subtracts the largest logit so that nothing overflows, but that is known only
// when the whole row has been seen. f32 and bf16 reach from 2^-126 to 2^127, so it is enough to know it roughly: `shift`
// is the largest exponent rounded to a multiple of 64, which is 0 for all usual logits, and E stays within 2^±32 where it
// counts. Each piece (a run of columns of one row) chooses its own; the rare pieces whose shift is not the largest of the
// row are multiplied by a power of two afterwards, without rounding.
// Sums are kept per piece and added in the order of the pieces: the same bits whichever thread made which piece.
#pragma once

#include "gemm.h"
#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr float kShiftStep = 64;

struct OutputRow {
  int32_t row;
  int32_t target;
  float targetLogit;
  float shift;
  float sum;           // of the exponentials
  float factor;        // of the exponentials in the gradient of the logits
  float targetFactor;  // that gradient at the target
};

struct ExpRows {
  OutputRow* rows;
  void* data;  // [rows, stride] bf16 or f32; null where only the sums are wanted
  bool isBf16;
  int64_t stride, vocabulary;
  int64_t columnsPerPiece, numPieces;
  int64_t capacity;  // of rows in the next two
  float* sums;       // [piece, capacity]
  float* shifts;

  View view(int64_t count) const { return {data, isBf16 ? kBf16 : kF32, count * stride}; }

  static float shiftFor(float exponent) {
    return __builtin_fabsf(exponent) <= kShiftStep / 2 ? 0.0f : kShiftStep * __builtin_rintf(exponent / kShiftStep);
  }

  static Vec exponential(Vec logits, Vec negatedShift) { return exp2Weight(fma(logits, Vec::set(kLog2E), negatedShift)); }
  static float exponential(float logit, float shift) {
    float lanes[Vec::width];
    exponential(Vec::set(logit), Vec::set(-shift)).store(lanes);
    return lanes[0];
  }

  static float largest(const float* logits, int64_t columns) {
    const int64_t whole = columns - columns % Vec::width;
    Vec most = Vec::set(-__builtin_inff());
    for (int64_t j = 0; j < whole; j += Vec::width) most = max(Vec::load(logits + j), most);
    float result = reduceMax(most);
    for (int64_t j = whole; j < columns; j++) result = larger(result, logits[j]);
    return result;
  }

  // Whether shift 0 suits every row of a piece: nothing is far from 0.
  static bool areUsual(const float* logits, int64_t logitsStride, int64_t rows, int64_t columns) {
    Vec most = Vec::zero();
    for (int64_t i = 0; i < rows; i++)
      forVectors(0, columns, [&](int64_t j, auto lanes) { most = max(most, abs(loadLanes(logits + i * logitsStride + j, lanes))); });
    return reduceMax(most) <= kShiftStep / 2 / kLog2E;
  }

  // Stores the exponentials of one piece of one row; returns their sum.
  template <typename T>
  static float takeRow(const float* logits, float shift, T* target, int64_t columns) {
    const Vec negatedShift = Vec::set(-shift);
    const int64_t whole = columns - columns % Vec::width;
    Vec total = Vec::zero();
    for (int64_t j = 0; j < whole; j += Vec::width) {
      const Vec value = exponential(Vec::load(logits + j), negatedShift);
      total = total + value;
      if (target != nullptr) value.store(target + j);
    }
    float sum = reduceAdd(total);
    for (int64_t j = whole; j < columns; j++) {
      const float value = exponential(logits[j], shift);
      sum += value;
      if (target != nullptr) storeScalar(target + j, value);
    }
    return sum;
  }

  template <typename T>
  static void take(void* context, const float* logits, int64_t logitsStride, int64_t row, int64_t column, int64_t rows, int64_t columns) {
    ExpRows& self = *static_cast<ExpRows*>(context);
    const int64_t first = column / self.columnsPerPiece * self.capacity + row;
    const bool isUsual = areUsual(logits, logitsStride, rows, columns);
    T* target = static_cast<T*>(self.data);
    if (target != nullptr) target += row * self.stride + column;
    for (int64_t i = 0; i < rows; i++, logits += logitsStride) {
      OutputRow& output = self.rows[row + i];
      const int64_t atTarget = output.target - column;
      if (atTarget >= 0 && atTarget < columns) output.targetLogit = logits[atTarget];
      const float shift = isUsual ? 0.0f : shiftFor(largest(logits, columns) * kLog2E);
      self.shifts[first + i] = shift;
      self.sums[first + i] = takeRow(logits, shift, target == nullptr ? target : target + i * self.stride, columns);
    }
  }

  auto finishFunction() const { return isBf16 ? take<bf16> : take<float>; }

  template <typename T>
  void scalePiece(T* values, int64_t columns, float exponent) const {
    forVectors(0, columns, [=](int64_t j, auto lanes) {
      storeLanes(values + j, lanes, scaleByPowerOfTwo(loadLanes(values + j, lanes), Vec::set(exponent)));
    });
  }

  // Brings all pieces of a row to the row's shift.
  void alignPieces(int64_t row) const {
    for (int64_t piece = 0; piece < numPieces; piece++) {
      const float exponent = shifts[piece * capacity + row] - rows[row].shift;
      if (exponent == 0) continue;
      const int64_t column = piece * columnsPerPiece, columns = smaller(columnsPerPiece, vocabulary - column);
      withType(view(0), [&](auto* values) { scalePiece(values + row * stride + column, columns, larger(exponent, -252.0f)); });
    }
  }

  // Shift and sum of rows begin .. end, at most a vector of them.
  void sumPieces(int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    Vec most = Vec::load(shifts + begin, count), least = most;
    for (int64_t piece = 1; piece < numPieces; piece++) {
      const Vec shift = Vec::load(shifts + piece * capacity + begin, count);
      most = max(most, shift);
      least = min(least, shift);
    }
    Vec total = Vec::zero();
    for (int64_t piece = 0; piece < numPieces; piece++) {
      const int64_t at = piece * capacity + begin;
      total = total + scaleByPowerOfTwo(Vec::load(sums + at, count), max(Vec::set(-252), Vec::load(shifts + at, count) - most));
    }
    float shift[Vec::width], sum[Vec::width];
    most.store(shift);
    total.store(sum);
    const bool mustAlign = data != nullptr && reduceMax(most - least) > 0;
    for (int64_t i = 0; i < count; i++) {
      rows[begin + i].shift = shift[i];
      rows[begin + i].sum = sum[i];
      if (mustAlign) alignPieces(begin + i);
    }
  }

  float logprob(int64_t row) const {
    const OutputRow& output = rows[row];
    const float odds = output.sum / exponential(output.targetLogit, output.shift);
    if (odds < 4) return -__builtin_logf(odds);  // near 0 the difference of two logarithms has no digits left
    return output.targetLogit - output.shift * kLn2 - __builtin_logf(output.sum);
  }

  // The gradient of the logits, given that of the log-probability: `factor` times the exponentials but at the target, which
  // is taken out of them. There 1 - p, which may be small, would drown in the rounding of p.
  void setGradient(int64_t row, float gradLogprob) const {
    OutputRow& output = rows[row];
    output.factor = -gradLogprob / output.sum;
    output.targetFactor = output.factor * (exponential(output.targetLogit, output.shift) - output.sum);
    withType(view(0), [&](auto* values) { storeScalar(values + row * stride + output.target, 0.0f); });
  }
};

}  // namespace selkie::SELKIE_ISA

// The vocabulary of matrix products: c [m, n] = alpha · a [m, k] · b [k, n] (+ bias per column) (+ addend) (+ c).
#pragma once

#include "simd.h"
#include "table.h"

namespace selkie::SELKIE_ISA {

// One factor, seen as a list of vectors of length k: rows of a, columns of b. Element (i, k) is at i · stride + k when
// the vectors are contiguous (a as it is, b transposed), else at k · stride + i.
struct Operand {
  const void* data;
  bool isBf16;
  bool isKContiguous;
  int64_t stride;
};

// Takes the finished sums of a product in place of c, where more than scaling follows, such as a softmax: `rows` by
// `columns` sums, `stride` apart, which belong at (row, column). Every element comes once, on any thread.
struct Finish {
  void (*run)(void* context, const float* sums, int64_t stride, int64_t row, int64_t column, int64_t rows, int64_t columns);
  void* context;
};

struct Output {
  void* data;
  bool isBf16;
  int64_t stride;
  float alpha;
  bool accumulate;
  const void* bias = nullptr;  // [n] or null
  bool isBiasBf16 = false;
  const void* addend = nullptr;  // [m, n] as far apart as rows of c, or null
  bool isAddendBf16 = false;
  const Finish* finish = nullptr;  // then nothing else of this counts but where the output begins in c:
  int64_t firstRow = 0, firstColumn = 0;
};

struct Product {
  Operand a;
  Operand b;
  Output c;
  int64_t m;
  int64_t n;
  int64_t k;
  // b as packFactor left it, or null. Such a product never goes the direct way, so that a row of c has the same bits
  // whatever other rows there are.
  float* packedB = nullptr;
};

inline int64_t bytesPerElement(bool isBf16) { return isBf16 ? 2 : 4; }

inline const void* at(const void* data, bool isBf16, int64_t index) {
  return static_cast<const char*>(data) + index * bytesPerElement(isBf16);
}

inline void* at(void* data, bool isBf16, int64_t index) { return static_cast<char*>(data) + index * bytesPerElement(isBf16); }

// The operand without its first `count` vectors.
inline Operand skipVectors(Operand operand, int64_t count) {
  operand.data = at(operand.data, operand.isBf16, operand.isKContiguous ? count * operand.stride : count);
  return operand;
}

inline Output skip(Output output, int64_t rows, int64_t columns) {
  output.data = at(output.data, output.isBf16, rows * output.stride + columns);
  if (output.addend != nullptr) output.addend = at(output.addend, output.isAddendBf16, rows * output.stride + columns);
  if (output.bias != nullptr) output.bias = at(output.bias, output.isBiasBf16, columns);
  output.firstRow += rows;
  output.firstColumn += columns;
  return output;
}

inline int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t roundUp(int64_t a, int64_t multiple) { return ceilDivide(a, multiple) * multiple; }

inline Vec loadAny(const void* data, bool isBf16, int64_t index, int64_t lanes) {
  return isBf16 ? Vec::load(static_cast<const bf16*>(data) + index, lanes) : Vec::load(static_cast<const float*>(data) + index, lanes);
}

// One vector of c from the sums of `lanes` columns (a whole vector when isFull); `index` is its place in c.
template <typename T, bool isPlain, bool isFull>
inline void writeVector(const float* sums, const Output& c, Vec alpha, int64_t index, int64_t column, int64_t lanes) {
  T* target = static_cast<T*>(c.data) + index;
  Vec value = (isFull ? Vec::load(sums) : Vec::load(sums, lanes)) * alpha;
  if constexpr (!isPlain) {
    if (c.bias != nullptr) value = value + loadAny(c.bias, c.isBiasBf16, column, lanes);
    if (c.addend != nullptr) value = value + loadAny(c.addend, c.isAddendBf16, index, lanes);
    if (c.accumulate) value = value + (isFull ? Vec::load(target) : Vec::load(target, lanes));
  }
  if constexpr (isFull) value.store(target);
  else value.store(target, lanes);
}

template <typename T, bool isPlain>
void writeRows(const float* sums, int64_t sumsStride, const Output& c, int64_t row, int64_t column, int64_t rows, int64_t columns) {
  const Vec alpha = Vec::set(c.alpha);
  const int64_t whole = columns / Vec::width * Vec::width;
  for (int64_t i = 0; i < rows; i++, sums += sumsStride) {
    const int64_t index = (row + i) * c.stride + column;
    for (int64_t j = 0; j < whole; j += Vec::width) writeVector<T, isPlain, true>(sums + j, c, alpha, index + j, column + j, Vec::width);
    if (whole < columns) writeVector<T, isPlain, false>(sums + whole, c, alpha, index + whole, column + whole, columns - whole);
  }
}

// Writes a block of finished sums (row-major, `sumsStride` apart) to c at (row, column). Most products only scale and
// convert, and do that without asking for the rest at every vector.
inline void writeBlock(const float* sums, int64_t sumsStride, const Output& c, int64_t row, int64_t column, int64_t rows, int64_t columns) {
  if (c.finish != nullptr)
    return c.finish->run(c.finish->context, sums, sumsStride, c.firstRow + row, c.firstColumn + column, rows, columns);
  const bool isPlain = c.bias == nullptr && c.addend == nullptr && !c.accumulate;
  const auto write = c.isBf16 ? (isPlain ? writeRows<bf16, true> : writeRows<bf16, false>)
                              : (isPlain ? writeRows<float, true> : writeRows<float, false>);
  write(sums, sumsStride, c, row, column, rows, columns);
}

}  // namespace selkie::SELKIE_ISA

// Products with few rows (decoding): reading b is all the work, so b is used where it lies, each element once, and is
// never packed. a is copied to f32 first. Rows are done four at a time to stay in registers.
#pragma once

#include "product.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kMaxDirectRows = 8;

// Whether a product with few rows may go this way, whose order of summation is another than that of packed factors.
enum class FewRows { direct, packed };

template <bool mustRound, typename T>
inline Vec loadFactor(const T* p) {
  if constexpr (mustRound && sizeof(T) == 4) return Vec::widen(Vec::load(p).narrow());
  else return Vec::load(p);
}
template <bool mustRound, typename T>
inline Vec loadFactor(const T* p, int64_t lanes) {
  if constexpr (mustRound && sizeof(T) == 4) return Vec::widen(Vec::load(p, lanes).narrow());
  else return Vec::load(p, lanes);
}

// Rows of the copy of a: three become four, the last zero.
inline int64_t paddedDirectRows(int64_t m) { return m % 4 == 3 ? m + 1 : m; }

// Copies all m vectors of a to f32 rows of length k.
inline void copyRows(const Operand& a, int64_t m, int64_t k, bool mustRound, float* target) {
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < k; j++) {
      const int64_t index = a.isKContiguous ? i * a.stride + j : j * a.stride + i;
      const float value = a.isBf16 ? toFloat(static_cast<const bf16*>(a.data)[index]) : static_cast<const float*>(a.data)[index];
      target[i * k + j] = mustRound ? toFloat(toBf16(value)) : value;
    }
  }
  for (int64_t j = m * k; j < paddedDirectRows(m) * k; j++) target[j] = 0;
}

// sums[i][j] = row i of a · vector j of b, for vectors contiguous along k.
template <bool mustRound, typename T, int rows, int vectors>
inline void dotVectors(const float* a, int64_t k, const T* b, int64_t stride, float* sums, int64_t sumsStride) {
  Vec sum[rows][vectors];
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) sum[i][j] = Vec::zero();
  for (int64_t u = 0; u < k; u += Vec::width) {
    const int64_t left = k - u;
    const bool isFull = left >= Vec::width;
    Vec row[rows];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) row[i] = isFull ? Vec::load(a + i * k + u) : Vec::load(a + i * k + u, left);
#pragma GCC unroll 4
    for (int j = 0; j < vectors; j++) {
      const T* p = b + j * stride + u;
      const Vec factor = isFull ? loadFactor<mustRound>(p) : loadFactor<mustRound>(p, left);
#pragma GCC unroll 4
      for (int i = 0; i < rows; i++) sum[i][j] = fma(row[i], factor, sum[i][j]);
    }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) sums[i * sumsStride + j] = reduceAdd(sum[i][j]);
}

// sums[i][0 .. 2·width) for b contiguous along its vectors; `count` of them exist.
template <bool mustRound, typename T, int rows>
inline void sumStrip(const float* a, int64_t k, const T* b, int64_t stride, int64_t count, float* sums, int64_t sumsStride) {
  Vec sum[rows][2];
  for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = Vec::zero();
  const bool isFull = count == 2 * Vec::width;
  const int64_t first = smaller<int64_t>(count, Vec::width), second = count - first;
  for (int64_t u = 0; u < k; u++) {
    const T* p = b + u * stride;
    const Vec left = isFull ? loadFactor<mustRound>(p) : loadFactor<mustRound>(p, first);
    const Vec right = isFull ? loadFactor<mustRound>(p + Vec::width) : second > 0 ? loadFactor<mustRound>(p + Vec::width, second) : Vec::zero();
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
      const Vec row = Vec::set(a[i * k + u]);
      sum[i][0] = fma(row, left, sum[i][0]);
      sum[i][1] = fma(row, right, sum[i][1]);
    }
  }
  for (int i = 0; i < rows; i++) {
    sum[i][0].store(sums + i * sumsStride);
    sum[i][1].store(sums + i * sumsStride + Vec::width);
  }
}

// Sums of `rows` rows of a with `count` vectors of b from `first` on.
template <bool mustRound, typename T, int rows>
void directRows(const Product& product, const float* a, int64_t first, int64_t count, float* sums, int64_t sumsStride) {
  const Operand b = skipVectors(product.b, first);
  const T* data = static_cast<const T*>(b.data);
  if (b.isKContiguous) {
    int64_t j = 0;
    for (; j + 4 <= count; j += 4) dotVectors<mustRound, T, rows, 4>(a, product.k, data + j * b.stride, b.stride, sums + j, sumsStride);
    for (; j < count; j++) dotVectors<mustRound, T, rows, 1>(a, product.k, data + j * b.stride, b.stride, sums + j, sumsStride);
  } else {
    constexpr int64_t strip = 2 * Vec::width;
    for (int64_t j = 0; j < count; j += strip)
      sumStrip<mustRound, T, rows>(a, product.k, data + j, b.stride, smaller(strip, count - j), sums + j, sumsStride);
  }
}

template <bool mustRound, typename T>
void directOfType(const Product& product, const float* a, int64_t first, int64_t count, float* sums, int64_t sumsStride) {
  for (int64_t i = 0; i < product.m; i += 4) {
    const float* rows = a + i * product.k;
    float* to = sums + i * sumsStride;
    if (product.m - i == 1) directRows<mustRound, T, 1>(product, rows, first, count, to, sumsStride);
    else if (product.m - i == 2) directRows<mustRound, T, 2>(product, rows, first, count, to, sumsStride);
    else directRows<mustRound, T, 4>(product, rows, first, count, to, sumsStride);
  }
}

constexpr int64_t kDirectColumns = 64;

// Computes `count` columns (at most kDirectColumns) of c from column `first` on; `a` is the copy made by copyRows.
inline void multiplyDirect(const Product& product, const float* a, bool mustRound, int64_t first, int64_t count) {
  constexpr int64_t sumsStride = kDirectColumns;
  alignas(64) float sums[kMaxDirectRows * sumsStride];
  if (product.b.isBf16) directOfType<false, bf16>(product, a, first, count, sums, sumsStride);
  else if (mustRound) directOfType<true, float>(product, a, first, count, sums, sumsStride);
  else directOfType<false, float>(product, a, first, count, sums, sumsStride);
  writeBlock(sums, sumsStride, product.c, 0, first, product.m, count);
}

}  // namespace selkie::SELKIE_ISA

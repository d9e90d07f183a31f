// Choice within rows: the first elements in an order, lookup by index and its reverse.
//
// Order is that of 32-bit keys: the bits of a number turned so that they compare like the number, NaN above all.
//   short rows  the place of every element is the number of elements before it in the order: counted without a branch
//   few of many a sorted list of the best so far, with whose last whole vectors are compared: soon hardly any pass
//   else        a radix sort of the row, which is stable
// A candidate of the list is a key and below it the complement of its index, so that one comparison settles ties too.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kMostListed = 256;

// One bit per lane where a <= b does not hold: a is larger, or either is NaN.
inline uint32_t notAtMost(Vec a, Vec b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(a.v, b.v, _CMP_NLE_UQ);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_NLE_UQ)));
#else
  uint32_t bits = 0;
  for (int lane = 0; lane < Vec::width; lane++) bits |= static_cast<uint32_t>(!(a.v[lane] <= b.v[lane])) << lane;
  return bits;
#endif
}

// Ascends with the number; -0 is 0 and NaN the largest.
inline int32_t orderKey(float value) {
  int32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  const int32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7fffffff;
  return magnitude == 0 ? 0 : bits ^ ((bits >> 31) & 0x7fffffff);
}

// The same for a vector.
typedef int32_t Keys __attribute__((vector_size(4 * Vec::width)));
inline Keys orderKeys(Vec values) {
  Keys bits;
  __builtin_memcpy(&bits, &values, sizeof bits);
  const Keys magnitude = bits & 0x7fffffff;
  const Keys isNan = magnitude > 0x7f800000, isZero = magnitude == 0;
  return ((bits ^ ((bits >> 31) & 0x7fffffff)) & ~isZero & ~isNan) | (isNan & 0x7fffffff);
}

constexpr int64_t kShortRow = 128;

// The first k columns of a short row: `order` has room for k + 1.
template <bool descending, typename T>
inline void rankShortRow(const T* x, int64_t length, int64_t k, int32_t* order) {
  constexpr int width = Vec::width;
  alignas(64) int32_t keys[kShortRow];
  alignas(64) int32_t ranks[kShortRow];
  Keys lane;
  for (int i = 0; i < width; i++) lane[i] = i;
  forVectors(0, length, [&](int64_t i, auto lanes) {
    const Keys ascending = orderKeys(loadLanes(x + i, lanes));
    const Keys some = descending ? ~ascending : ascending;
    __builtin_memcpy(keys + i, &some, sizeof some);
  });
  for (int64_t i = 0; i < length; i += width) {  // comparisons give -1 where they hold
    Keys mine;
    __builtin_memcpy(&mine, keys + i, sizeof mine);
    Keys rank = {};
    const int64_t end = smaller<int64_t>(i + width, length);
    for (int64_t j = 0; j < i; j++) rank -= keys[j] <= mine;
    for (int64_t j = i; j < end; j++) rank -= (keys[j] < mine) | ((keys[j] == mine) & (lane > static_cast<int32_t>(j - i)));
    for (int64_t j = end; j < length; j++) rank -= keys[j] < mine;
    __builtin_memcpy(ranks + i, &rank, sizeof rank);
  }
  for (int64_t i = 0; i < length; i++) order[smaller<int64_t>(ranks[i], k)] = static_cast<int32_t>(i);
}

template <bool descending>
inline int64_t candidateOf(float value, int64_t index) {
  const int32_t key = descending ? orderKey(value) : ~orderKey(value);
  return static_cast<int64_t>((static_cast<uint64_t>(static_cast<uint32_t>(key)) << 32) | (0xffffffffu - static_cast<uint32_t>(index)));
}
inline int64_t indexOf(int64_t candidate) { return static_cast<int64_t>(0xffffffffu - static_cast<uint32_t>(candidate)); }

// Puts a candidate into its place of the first `count` entries, the best first; the last of them drops out.
inline void insertCandidate(int64_t* list, int64_t count, int64_t candidate) {
  int64_t at = count - 1;
  for (; at > 0 && list[at - 1] < candidate; at--) list[at] = list[at - 1];
  list[at] = candidate;
}

// The k best of a row, 1 <= k <= kMostListed.
template <bool descending, typename T>
inline void listBest(const T* x, int64_t length, int64_t k, int64_t* list) {
  for (int64_t i = 0; i < k; i++) insertCandidate(list, i + 1, candidateOf<descending>(toFloat(x[i]), i));
  Vec last = Vec::set(toFloat(x[indexOf(list[k - 1])]));
  const auto passing = [&](int64_t i, auto lanes) {
    const Vec values = loadLanes(x + i, lanes);
    return descending ? notAtMost(values, last) : notAtMost(last, values);
  };
  const auto take = [&](int64_t i, uint32_t bits) {
    for (; bits != 0; bits &= bits - 1) {
      const int64_t index = i + __builtin_ctz(bits);
      const int64_t candidate = candidateOf<descending>(toFloat(x[index]), index);
      if (candidate > list[k - 1]) insertCandidate(list, k, candidate);
    }
    last = Vec::set(toFloat(x[indexOf(list[k - 1])]));
  };
  constexpr int width = Vec::width;
  int64_t i = k;
  for (; i + 4 * width <= length; i += 4 * width) {
    uint32_t bits[4];
    for (int v = 0; v < 4; v++) bits[v] = passing(i + v * width, AllLanes{});
    if ((bits[0] | bits[1] | bits[2] | bits[3]) == 0) continue;
    for (int v = 0; v < 4; v++) take(i + v * width, bits[v]);
  }
  for (; i + width <= length; i += width) take(i, passing(i, AllLanes{}));
  if (i < length) take(i, passing(i, length - i) & ((1u << (length - i)) - 1));
}

// All columns of a row in order, in one of two buffers of `length` entries; returns which. Entries are the key above the
// column: sorted by the bytes of the key from the lowest up, equal ones staying in the order in which they stand.
template <bool descending, typename T>
inline const uint64_t* sortRow(const T* x, int64_t length, uint64_t* from, uint64_t* to) {
  int32_t counts[4][256] = {};
  for (int64_t i = 0; i < length; i++) {
    const int32_t ascending = orderKey(toFloat(x[i]));
    const uint32_t key = static_cast<uint32_t>(descending ? ~ascending : ascending) ^ 0x80000000;  // compares unsigned
    from[i] = (static_cast<uint64_t>(key) << 32) | static_cast<uint64_t>(i);
    for (int digit = 0; digit < 4; digit++) counts[digit][(key >> (8 * digit)) & 255]++;
  }
  for (int digit = 0; digit < 4; digit++) {
    const int shift = 32 + 8 * digit;
    if (counts[digit][(from[0] >> shift) & 255] == length) continue;  // all alike
    int32_t start = 0;
    for (int32_t& count : counts[digit]) {
      const int32_t here = count;
      count = start;
      start += here;
    }
    for (int64_t i = 0; i < length; i++) to[counts[digit][(from[i] >> shift) & 255]++] = from[i];
    uint64_t* const swapped = from;
    from = to;
    to = swapped;
  }
  return from;
}

template <bool descending, typename T>
inline void selectRow(const T* x, int64_t length, int64_t k, T* values, int32_t* indices, uint64_t* scratch) {
  if (length <= kShortRow) {
    int32_t order[kShortRow + 1];
    rankShortRow<descending>(x, length, k, order);
    for (int64_t j = 0; j < k; j++) indices[j] = order[j];
  } else if (k <= 32 || (k <= kMostListed && k * 8 <= length)) {
    int64_t list[kMostListed];
    listBest<descending>(x, length, k, list);
    for (int64_t j = 0; j < k; j++) indices[j] = static_cast<int32_t>(indexOf(list[j]));
  } else {
    const uint64_t* sorted = sortRow<descending>(x, length, scratch, scratch + length);
    for (int64_t j = 0; j < k; j++) indices[j] = static_cast<int32_t>(static_cast<uint32_t>(sorted[j]));
  }
  for (int64_t j = 0; j < k; j++) values[j] = x[indices[j]];
}

// Views x [N, D], values [N, k] as x, indices [N, k] i32; numbers D, k, descending.
inline void topK(const View* views, const double* numbers, ThreadPool& pool) {
  const auto width = static_cast<int64_t>(numbers[0]), k = static_cast<int64_t>(numbers[1]);
  const bool descending = numbers[2] != 0;
  if (k == 0) return;
  auto* indices = static_cast<int32_t*>(views[2].data);
  withType(views[0], [&](auto* x) {
    auto* values = dataLike(x, views[1]);
    const int64_t numRows = views[0].length / width;
    parallelRanges(pool, numRows, grainFor(numRows, width), [&](int64_t begin, int64_t end, int thread) {
      auto* scratch = static_cast<uint64_t*>(pool.threadScratch(thread, 0, static_cast<size_t>(2 * width) * sizeof(uint64_t)));
      for (int64_t row = begin; row < end; row++) {
        if (descending) selectRow<true>(x + row * width, width, k, values + row * k, indices + row * k, scratch);
        else selectRow<false>(x + row * width, width, k, values + row * k, indices + row * k, scratch);
      }
    });
  });
}

// y[i, j] = x[i, indices[i · k + j]]. Views x [N, D], indices [N, k], y [N, k]; numbers D, k.
inline void gatherLast(const View* views, const double* numbers, ThreadPool& pool) {
  const auto width = static_cast<int64_t>(numbers[0]), k = static_cast<int64_t>(numbers[1]);
  const int32_t* indices = intsOf(views[1]);
  if (views[1].length == 0) return;
  withType(views[0], [&](const auto* x) {
    withType(views[2], [&](auto* y) {
      forItems(pool, views[1].length / k, k, [=](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++)
          for (int64_t at = row * k; at < (row + 1) * k; at++) storeScalar(y + at, toFloat(x[row * width + indices[at]]));
      });
    });
  });
}

// One row of scatterLast: an f32 row is added to where it lies, a bf16 row by way of f32 sums.
template <typename X>
inline void scatterRow(const X* x, const int32_t* indices, int64_t k, float* y, int64_t width, bool accumulate, float*) {
  if (!accumulate) __builtin_memset(y, 0, static_cast<size_t>(width) * sizeof(float));
  for (int64_t j = 0; j < k; j++) y[indices[j]] += toFloat(x[j]);
}
template <typename X>
inline void scatterRow(const X* x, const int32_t* indices, int64_t k, bf16* y, int64_t width, bool accumulate, float* sums) {
  scatterRow(x, indices, k, sums, width, false, nullptr);
  forVectors(0, width, [=](int64_t i, auto lanes) { storeGrad(y + i, lanes, loadLanes(sums + i, lanes), accumulate); });
}

// y[i, indices[i · k + j]] += x[i, j]. Views x [N, k], indices [N, k], y [N, D]; numbers D, k, accumulate.
inline void scatterLast(const View* views, const double* numbers, ThreadPool& pool) {
  const auto width = static_cast<int64_t>(numbers[0]), k = static_cast<int64_t>(numbers[1]);
  const bool accumulate = numbers[2] != 0;
  const int32_t* indices = intsOf(views[1]);
  const int64_t numRows = width == 0 ? 0 : views[2].length / width;
  withType(views[0], [&](const auto* x) {
    withType(views[2], [&](auto* y) {
      parallelRanges(pool, numRows, grainFor(numRows, width), [&](int64_t begin, int64_t end, int thread) {
        auto* sums = static_cast<float*>(pool.threadScratch(thread, 0, static_cast<size_t>(width) * sizeof(float)));
        for (int64_t row = begin; row < end; row++)
          scatterRow(x + row * k, indices + row * k, k, y + row * width, width, accumulate, sums);
      });
    });
  });
}

}  // namespace selkie::SELKIE_ISA

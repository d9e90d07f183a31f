// Products of many matrices in one parallel step (batch.h cuts large ones and hands out small ones whole).
//   batchedGemm   c[i] = op(a[i]) · op(b[i]) (+ c[i]), or summed into one c
//   groupedGemm   c = a · op(b_g) (+ c) for the rows of each group
//   groupedOuter  c_g = a_gᵀ b_g (+ c_g) over the rows of each group
#pragma once

#include "gemm.h"
#include "vector-math.h"

namespace selkie::SELKIE_ISA {

inline Product* productList(ThreadPool& pool, int64_t count) {
  return static_cast<Product*>(pool.sharedScratch(kSharedProducts, static_cast<size_t>(count + 1) * sizeof(Product)));
}

// c = Σ products (+ c), one after the other; their outputs are set here. A bf16 c is summed in f32 and rounded once.
inline void sumProducts(Product* products, int64_t count, const View& c, int64_t n, bool accumulate, bool useBf16, ThreadPool& pool) {
  const bool isBf16 = c.dtype == kBf16;
  float* sums = isBf16 ? static_cast<float*>(pool.sharedScratch(kSharedFirstFree, static_cast<size_t>(c.length) * sizeof(float)))
                       : floatsOf(c);
  for (int64_t i = 0; i < count; i++) {
    Product product = products[i];
    product.c = {sums, false, n, 1, i > 0 || (accumulate && !isBf16)};
    multiply(product, useBf16, pool);
  }
  if (!isBf16) return;
  auto* target = static_cast<bf16*>(c.data);
  forVectors(0, c.length, [=](int64_t i, auto lanes) { storeGrad(target + i, lanes, loadLanes(sums + i, lanes), accumulate); });
}

// Views: a, b, c. Numbers: matrices in a, in b, in c; m, n, k, transposeA, transposeB, accumulate, bf16.
// A factor of one matrix is shared by all; where c alone is one matrix, it takes the sum.
inline void batchedGemm(const View* views, const double* numbers, ThreadPool& pool) {
  const auto countA = static_cast<int64_t>(numbers[0]), countB = static_cast<int64_t>(numbers[1]), countC = static_cast<int64_t>(numbers[2]);
  const auto m = static_cast<int64_t>(numbers[3]), n = static_cast<int64_t>(numbers[4]), k = static_cast<int64_t>(numbers[5]);
  const bool transposeA = numbers[6] != 0, transposeB = numbers[7] != 0, accumulate = numbers[8] != 0, useBf16 = numbers[9] != 0;
  const int64_t batch = countA == 1 ? countB : countA;
  Product* products = productList(pool, batch);
  for (int64_t i = 0; i < batch; i++)
    products[i] = {
        .a = factorA(views[0], countA == 1 ? 0 : i * m * k, transposeA ? m : k, transposeA),
        .b = factorB(views[1], countB == 1 ? 0 : i * k * n, transposeB ? k : n, transposeB),
        .c = outputOf(views[2], countC == 1 ? 0 : i * m * n, n, 1, accumulate),
        .m = m,
        .n = n,
        .k = k,
    };
  if (countC < batch) return sumProducts(products, batch, views[2], n, accumulate, useBf16, pool);
  runBatch(products, batch, useBf16, pool);
}

// Views: a [N, K], b [G, P, K] or [G, K, P], c [N, P], offsets [G + 1], every b_g as packFactor left it or null.
// Numbers: P, K, transposeB, accumulate, bf16.
inline void groupedGemm(const View* views, const double* numbers, ThreadPool& pool) {
  const auto n = static_cast<int64_t>(numbers[0]), k = static_cast<int64_t>(numbers[1]);
  const bool transposeB = numbers[2] != 0, accumulate = numbers[3] != 0, useBf16 = numbers[4] != 0;
  const int32_t* offsets = intsOf(views[3]);
  const int64_t numGroups = views[3].length - 1;
  float* packed = floatsOf(views[4]);
  const int64_t packedEach = packed == nullptr ? 0 : packedLength(n, k, useBf16);
  Product* products = productList(pool, numGroups);
  for (int64_t group = 0; group < numGroups; group++)
    products[group] = {
        .a = factorA(views[0], offsets[group] * k, k, false),
        .b = factorB(views[1], group * n * k, transposeB ? k : n, transposeB),
        .c = outputOf(views[2], offsets[group] * n, n, 1, accumulate),
        .m = offsets[group + 1] - offsets[group],
        .n = n,
        .k = k,
        .packedB = packed == nullptr ? nullptr : packed + group * packedEach,
    };
  runBatch(products, numGroups, useBf16, pool);
}

// Views: a [N, P], b [N, K], c [G, P, K], offsets [G + 1]. Numbers: P, K, accumulate, bf16.
inline void groupedOuter(const View* views, const double* numbers, ThreadPool& pool) {
  const auto m = static_cast<int64_t>(numbers[0]), n = static_cast<int64_t>(numbers[1]);
  const bool accumulate = numbers[2] != 0, useBf16 = numbers[3] != 0;
  const int32_t* offsets = intsOf(views[3]);
  const int64_t numGroups = views[3].length - 1;
  Product* products = productList(pool, numGroups);
  int64_t count = 0;
  for (int64_t group = 0; group < numGroups; group++) {
    const int64_t rows = offsets[group + 1] - offsets[group];
    if (rows == 0 && accumulate) continue;  // without rows the product is zero
    products[count++] = {
        .a = factorA(views[0], offsets[group] * m, m, true),
        .b = factorB(views[1], offsets[group] * n, n, false),
        .c = outputOf(views[2], group * m * n, n, 1, accumulate),
        .m = m,
        .n = n,
        .k = rows,
    };
  }
  runBatch(products, count, useBf16, pool);
}

}  // namespace selkie::SELKIE_ISA

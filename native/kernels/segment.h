// Products over runs of rows, one per group (adapter): all groups are one batch.
#pragma once

#include "gemm.h"

namespace selkie::SELKIE_ISA {

// c[rows of g] = alpha[g] · a[rows of g] · op(b[g]); a row's bits do not depend on the other rows.
// Views: a [N, K], b [G, K, P] or [G, P, K], c [N, P], alpha [G], segments [G + 1]. Numbers: G, K, P, transposeB, accumulate, bf16.
inline void segmentGemm(const View* views, const double* numbers, ThreadPool& pool) {
  const auto numGroups = static_cast<int64_t>(numbers[0]), k = static_cast<int64_t>(numbers[1]), n = static_cast<int64_t>(numbers[2]);
  const bool transposeB = numbers[3] != 0, accumulate = numbers[4] != 0;
  const auto* alpha = static_cast<const float*>(views[3].data);
  const auto* segments = static_cast<const int32_t*>(views[4].data);
  auto* products = static_cast<Product*>(pool.sharedScratch(kSharedProducts, numGroups * sizeof(Product)));
  for (int64_t g = 0; g < numGroups; g++) {
    const int64_t first = segments[g];
    products[g] = {
        .a = factorA(views[0], first * k, k, false),
        .b = factorB(views[1], g * k * n, transposeB ? k : n, transposeB),
        .c = outputOf(views[2], first * n, n, alpha[g], accumulate),
        .m = segments[g + 1] - first,
        .n = n,
        .k = k,
    };
  }
  runBatch(products, numGroups, numbers[5] != 0, FewRows::packed, pool);
}

// c[g] = alpha[g] · a[rows of g]ᵀ · b[rows of g]. Views: a [N, P], b [N, Q], c [G, P, Q], alpha [G], segments [G + 1].
// Numbers: G, P, Q, accumulate, bf16.
inline void segmentOuter(const View* views, const double* numbers, ThreadPool& pool) {
  const auto numGroups = static_cast<int64_t>(numbers[0]), m = static_cast<int64_t>(numbers[1]), n = static_cast<int64_t>(numbers[2]);
  const bool accumulate = numbers[3] != 0;
  const auto* alpha = static_cast<const float*>(views[3].data);
  const auto* segments = static_cast<const int32_t*>(views[4].data);
  auto* products = static_cast<Product*>(pool.sharedScratch(kSharedProducts, numGroups * sizeof(Product)));
  for (int64_t g = 0; g < numGroups; g++) {
    const int64_t first = segments[g];
    products[g] = {
        .a = factorA(views[0], first * m, m, true),
        .b = factorB(views[1], first * n, n, false),
        .c = outputOf(views[2], g * m * n, n, alpha[g], accumulate),
        .m = m,
        .n = n,
        .k = segments[g + 1] - first,
    };
  }
  runBatch(products, numGroups, numbers[4] != 0, FewRows::direct, pool);
}

}  // namespace selkie::SELKIE_ISA

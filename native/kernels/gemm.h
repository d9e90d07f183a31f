// Kernel `gemm`: one product. Views: a, b, c, bias or null.
// Numbers: m, n, k, transposeA, transposeB, alpha, accumulate, bf16.
#pragma once

#include "batch.h"

namespace selkie::SELKIE_ISA {

inline Operand factorA(const View& view, int64_t offset, int64_t stride, bool isTransposed) {
  const bool isBf16 = view.dtype == kBf16;
  return {at(static_cast<const void*>(view.data), isBf16, offset), isBf16, !isTransposed, stride};
}

inline Operand factorB(const View& view, int64_t offset, int64_t stride, bool isTransposed) {
  const bool isBf16 = view.dtype == kBf16;
  return {at(static_cast<const void*>(view.data), isBf16, offset), isBf16, isTransposed, stride};
}

inline Output outputOf(const View& view, int64_t offset, int64_t stride, float alpha, bool accumulate) {
  const bool isBf16 = view.dtype == kBf16;
  return {at(view.data, isBf16, offset), isBf16, stride, alpha, accumulate, nullptr, false};
}

inline void gemm(const View* views, const double* numbers, ThreadPool& pool) {
  const auto m = static_cast<int64_t>(numbers[0]), n = static_cast<int64_t>(numbers[1]), k = static_cast<int64_t>(numbers[2]);
  const bool transposeA = numbers[3] != 0, transposeB = numbers[4] != 0;
  Product product = {
      .a = factorA(views[0], 0, transposeA ? m : k, transposeA),
      .b = factorB(views[1], 0, transposeB ? k : n, transposeB),
      .c = outputOf(views[2], 0, n, static_cast<float>(numbers[5]), numbers[6] != 0),
      .m = m,
      .n = n,
      .k = k,
  };
  product.c.bias = views[3].data;
  product.c.isBiasBf16 = views[3].dtype == kBf16;
  multiply(product, numbers[7] != 0, pool);
}

}  // namespace selkie::SELKIE_ISA

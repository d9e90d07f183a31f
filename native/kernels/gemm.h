// Kernel `gemm`: one product. Views: a, b, c, bias or null, b as packFactor left it or null,
// addend or null.
// Numbers: m, n, k, transposeA, transposeB, alpha, accumulate, bf16.
// Kernel `packFactor`: b in the order in which products read it, to be kept while b keeps its values. Views: b, packed or
// null (f32; without it only the length is wanted), length [1] f64. Numbers: n, k, transposeB, bf16.
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
  return {at(view.data, isBf16, offset), isBf16, stride, alpha, accumulate};
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
      .packedB = static_cast<float*>(views[4].data),
  };
  product.c.bias = views[3].data;
  product.c.isBiasBf16 = views[3].dtype == kBf16;
  product.c.addend = views[5].data;
  product.c.isAddendBf16 = views[5].dtype == kBf16;
  multiply(product, numbers[7] != 0, pool);
}

inline void packFactor(const View* views, const double* numbers, ThreadPool& pool) {
  const auto n = static_cast<int64_t>(numbers[0]), k = static_cast<int64_t>(numbers[1]);
  const bool transposeB = numbers[2] != 0, useBf16 = numbers[3] != 0;
  *static_cast<double*>(views[2].data) = static_cast<double>(packedLength(n, k, useBf16));
  if (views[1].data == nullptr) return;
  packWhole(factorB(views[0], 0, transposeB ? k : n, transposeB), n, k, useBf16, static_cast<float*>(views[1].data), pool);
}

}  // namespace selkie::SELKIE_ISA

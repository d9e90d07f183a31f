// What both backward passes, on vectors and on tile registers, work on: the arguments of a call, private sums of dK and dV,
// and how the two become gradients.
#pragma once

#include "attention-items.h"

namespace selkie::SELKIE_ISA {

// Arguments of one call. Views q, k, v, qOffsets, kStarts, kLengths, o, logSumExp, gradO, gradQ, gradK, gradV.
struct BackwardCall {
  AttentionShape shape;
  const View* views;
  bool accumulateQ, accumulateK, accumulateV;

  const View& q() const { return views[0]; }
  const View& k() const { return views[1]; }
  const View& v() const { return views[2]; }
  const View& o() const { return views[6]; }
  const float* logSumExp() const { return floatsOf(views[7]); }
  const View& gradO() const { return views[8]; }
  const View& gradQ() const { return views[9]; }
  const View& gradK() const { return views[10]; }
  const View& gradV() const { return views[11]; }
};

// Sums of dK (without the factor `scale`) and dV over the query rows of one item: rows of paddedDim() numbers, or tiles of
// 16 by 16 where the pass works on tile registers. Where an item sees fewer keys, its sums begin alike.
struct KeySums {
  float *keys, *values;
  int64_t stride;
  bool isTiled;

  static int64_t paddedKeys(int64_t numKeys) { return (numKeys + 31) / 32 * 32; }
  static int64_t length(const AttentionShape& shape, int64_t numKeys) {
    return 2 * paddedKeys(numKeys) * shape.paddedDim();
  }
  // In the item's shared memory where it has one, else in `own`.
  KeySums(const AttentionShape& shape, const AttentionItem& item, bool isTiled, float* own)
      : keys(item.sums != nullptr ? item.sums : own),
        values(keys + paddedKeys(item.numKeys) * shape.paddedDim()),
        stride(shape.paddedDim()),
        isTiled(isTiled) {}
  // Where numbers e .. of a key are, for e a multiple of the vector width.
  int64_t offset(int64_t key, int64_t e) const {
    return isTiled ? (key / 16 * (stride / 16) + e / 16) * 256 + key % 16 * 16 : key * stride + e;
  }
};

// Writes dK and dV of keys begin .. end of the item's sequence and kv head.
inline void writeKeyGrads(const BackwardCall& call, const AttentionItem& item, const KeySums& sums, int64_t begin,
                          int64_t end) {
  const AttentionShape& shape = call.shape;
  const auto write = [&](const View& target, const float* source, Vec factor, bool accumulate) {
    withType(target, [&](auto* grads) {
      for (int64_t key = begin; key < end; key++) {
        auto* row = grads + shape.keyOffset(item.sequence, item.kvHead, key);
        forVectors(0, shape.headDim, [=, &sums](int64_t e, auto lanes) {
          storeGrad(row + e, lanes, factor * Vec::load(source + sums.offset(key, e)), accumulate);
        });
      }
    });
  };
  write(call.gradK(), sums.keys, Vec::set(shape.scale), call.accumulateK);
  write(call.gradV(), sums.values, Vec::set(1.0f), call.accumulateV);
}

}  // namespace selkie::SELKIE_ISA

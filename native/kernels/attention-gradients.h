// What both backward passes, on vectors and on tile registers, work on: the arguments of a call, private sums of dK and dV,
// and how the two become gradients.
#pragma once

#include "attention-items.h"

namespace selkie::SELKIE_ISA {

// Arguments of one call. Views q, k, v, qOffsets, kStarts, kLengths, begins, ends, o, logSumExp, gradO, gradQ, gradK, gradV.
struct BackwardCall {
  AttentionShape shape;
  const View* views;
  bool accumulateQ, accumulateK, accumulateV;

  const View& q() const { return views[0]; }
  const View& k() const { return views[1]; }
  const View& v() const { return views[2]; }
  const View& o() const { return views[8]; }
  const float* logSumExp() const { return floatsOf(views[9]); }
  const View& gradO() const { return views[10]; }
  const View& gradQ() const { return views[11]; }
  const View& gradK() const { return views[12]; }
  const View& gradV() const { return views[13]; }
};

// Sums of dK (without the factor `scale`) and dV over the query rows of one item: rows of paddedDim() numbers, or tiles of
// 16 by 16 where the pass works on tile registers.
struct KeySums {
  float *keys, *values;
  int64_t stride;
  bool isTiled;
  int64_t firstKey, endKey;

  static int64_t paddedKeys(int64_t numKeys) { return (numKeys + 31) / 32 * 32; }
  static int64_t length(const AttentionShape& shape, int64_t numKeys) {
    return 2 * paddedKeys(numKeys) * shape.paddedDim();
  }
  KeySums() = default;
  // In the item's shared memory where it has one, else in `own`.
  KeySums(const AttentionShape& shape, const AttentionItem& item, bool isTiled, float* own)
      : keys(item.sums != nullptr ? item.sums : own),
        values(keys + paddedKeys(item.numKeys) * shape.paddedDim()),
        stride(shape.paddedDim()),
        isTiled(isTiled),
        firstKey(item.firstKey),
        endKey(item.endKey()) {}
  // Where numbers e .. of a key of the sequence are, for e a multiple of the vector width.
  int64_t offset(int64_t sequenceKey, int64_t e) const {
    const int64_t key = sequenceKey - firstKey;
    return isTiled ? (key / 16 * (stride / 16) + e / 16) * 256 + key % 16 * 16 : key * stride + e;
  }
};

// Writes dK and dV of keys begin .. end of the sequence and kv head of `item`, added up over those of `parts` that hold
// the key, in order.
inline void writeKeyGrads(const BackwardCall& call, const AttentionItem& item, const KeySums* parts, int64_t numParts,
                          int64_t begin, int64_t end) {
  const AttentionShape& shape = call.shape;
  const auto write = [&](const View& target, float* KeySums::*source, Vec factor, bool accumulate) {
    withType(target, [&](auto* grads) {
      for (int64_t key = begin; key < end; key++) {
        int64_t first = 0, stop = numParts;  // parts see later and later keys
        while (first < stop && parts[first].endKey <= key) first++;
        while (stop > first && parts[stop - 1].firstKey > key) stop--;
        auto* row = grads + shape.keyOffset(item.sequence, item.kvHead, key);
        forVectors(0, shape.headDim, [=](int64_t e, auto lanes) {
          const auto sumOf = [=](int64_t part) { return Vec::load(parts[part].*source + parts[part].offset(key, e)); };
          Vec total = first < stop ? sumOf(first) : Vec::zero();
          for (int64_t part = first + 1; part < stop; part++) total = total + sumOf(part);
          storeGrad(row + e, lanes, factor * total, accumulate);
        });
      }
    });
  };
  write(call.gradK(), &KeySums::keys, Vec::set(shape.scale), call.accumulateK);
  write(call.gradV(), &KeySums::values, Vec::set(1.0f), call.accumulateV);
}

}  // namespace selkie::SELKIE_ISA

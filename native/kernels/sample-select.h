// Selection of the largest logits of a row by a search for the threshold, without sorting: how far down a ranking goes
// until its tokens are enough, in number (top-k) or in weight (top-p). A ranking goes by logit, largest first; equal logits
// by id, lowest first.
//
// Every 32-bit float has a whole number in the same order, its key. The search halves an interval of keys; each round is one
// pass over the candidates that adds up what lies at or above the middle, and every few rounds the candidates outside the
// interval are left behind. It ends at an exact logit after at most 32 rounds, however the logits are distributed.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kSampleBlock = 256;
constexpr int64_t kPadding = 16;      // passes read whole vectors, so arrays end in this many that count for nothing
constexpr int64_t kNarrowEvery = 4;   // rounds of the search
constexpr int64_t kNarrowAbove = 64;  // candidates; fewer are searched as they are

inline int64_t paddedLength(int64_t length) { return (length + kPadding - 1) / kPadding * kPadding; }

// Tokens of one row in the order of their ids. `weights` and `ids` may be null where nobody asks for them.
struct Candidates {
  float* logits;
  float* weights;
  int32_t* ids;
  int64_t count;

  void add(float logit, int32_t id) {
    logits[count] = logit;
    if (ids != nullptr) ids[count] = id;
    count++;
  }
  void pad() const {
    for (int64_t i = count; i < paddedLength(count); i++) {
      logits[i] = -__builtin_inff();
      if (weights != nullptr) weights[i] = 0;
    }
  }
};

// Bytes of one set of candidates, and such a set laid out in `memory`.
inline size_t candidateBytes(int64_t capacity) { return static_cast<size_t>(paddedLength(capacity)) * 12; }
inline Candidates candidatesIn(void* memory, int64_t capacity) {
  auto* logits = static_cast<float*>(memory);
  float* weights = logits + paddedLength(capacity);
  return {logits, weights, reinterpret_cast<int32_t*>(weights + paddedLength(capacity)), 0};
}

// ---- Keys ----

// The place of x among all floats; -0 has that of 0.
inline uint32_t keyOf(float x) {
  const float sound = x + 0.0f;
  uint32_t bits;
  __builtin_memcpy(&bits, &sound, 4);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
inline float floatOf(uint32_t key) {
  const uint32_t bits = (key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key;
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

// The least float that is not below x, so that comparing floats with either gives the same.
inline float roundedUp(double x) {
  if (x < -3.4028234663852886e38) return -__builtin_inff();
  const auto near = static_cast<float>(x);
  return static_cast<double>(near) < x ? floatOf(keyOf(near) + 1) : near;
}

// ---- Passes ----

// Calls body(i) for every i of `0 .. length` with least <= x[i] < limit, in order.
template <typename Body>
inline void forBetween(const float* x, int64_t length, float least, float limit, const Body& body) {
  forVectors(0, length, [&](int64_t i, auto lanes) {
    const Vec values = loadLanes(x + i, lanes);
    uint32_t bits = ~laneBits(lessThan(values, Vec::set(least))) & laneBits(lessThan(values, Vec::set(limit)));
    if (i + Vec::width > length) bits &= (1u << (length - i)) - 1;
    for (; bits != 0; bits &= bits - 1) body(i + __builtin_ctz(bits));
  });
}

// Number or weight of the candidates at or above `least`, which is above -infinity; sums of f32 stay within a block.
template <bool kByCount>
inline double amountFrom(const Candidates& from, float least) {
  const int64_t length = paddedLength(from.count);
  double amount = 0;
  for (int64_t begin = 0; begin < length; begin += kSampleBlock) {
    const float sum = sumVectors(smaller(kSampleBlock, length - begin), [&](int64_t i, auto lanes) {
      const Vec one = kByCount ? Vec::set(1.0f) : loadLanes(from.weights + begin + i, lanes);
      return select(lessThan(loadLanes(from.logits + begin + i, lanes), Vec::set(least)), Vec::zero(), one);
    });
    amount += static_cast<double>(sum);
  }
  return amount;
}

// Copies the candidates with least <= logit < limit; `to` may be the memory of `from`.
inline void narrow(const Candidates& from, float least, float limit, Candidates& to) {
  const int64_t length = from.count;
  to.count = 0;
  forBetween(from.logits, length, least, limit, [&](int64_t i) {
    if (from.weights != nullptr) to.weights[to.count] = from.weights[i];
    to.add(from.logits[i], from.ids == nullptr ? 0 : from.ids[i]);
  });
  to.pad();
}

// ---- The search ----

// Where a ranking ends: tokens above `logit` are in, and of those equal to it the ones up to `lastId`.
struct Cut {
  float logit;
  int32_t lastId;
  bool isSplit;  // some equal ones are out
};

// The shortest ranking of `all` whose number or weight reaches `wanted` > 0; all of them when they do not reach it.
// No logit is below `least` or above `largest`, and one is equal to the latter. `scratch` has room for as many candidates.
template <bool kByCount>
inline Cut findCut(const Candidates& all, double wanted, float least, float largest, Candidates scratch) {
  const double amountOfAll = kByCount ? static_cast<double>(all.count) : amountFrom<false>(all, -3.4028234663852886e38f);
  if (!(amountOfAll >= wanted)) return {-__builtin_inff(), INT32_MAX, false};
  if (all.weights == nullptr) scratch.weights = nullptr;
  Candidates left = all;
  uint32_t low = keyOf(least), high = keyOf(largest) + 1;  // enough from low on, too little from high on
  double amountAbove = 0, amountLeftBehind = 0;                         // from high on; of those no longer in `left`
  for (int64_t round = 1; high - low > 1; round++) {
    const uint32_t middle = low + (high - low) / 2;
    const double amount = amountLeftBehind + amountFrom<kByCount>(left, floatOf(middle));
    if (amount >= wanted) {
      low = middle;
    } else {
      high = middle;
      amountAbove = amount;
    }
    if (round % kNarrowEvery != 0 || left.count <= kNarrowAbove) continue;
    narrow(left, floatOf(low), floatOf(high), scratch);
    left = scratch;
    amountLeftBehind = amountAbove;
  }
  Cut cut = {floatOf(low), -1, false};
  for (int64_t i = 0; left.ids != nullptr && i < left.count; i++) {
    if (left.logits[i] != cut.logit) continue;
    if (cut.lastId >= 0 && amountAbove >= wanted) {
      cut.isSplit = true;
      break;
    }
    amountAbove += kByCount ? 1.0 : static_cast<double>(left.weights[i]);
    cut.lastId = left.ids[i];
  }
  return cut;
}

// Takes the weight of the candidates that a cut leaves out.
inline void dropBelow(const Candidates& from, const Cut& cut) {
  forVectors(0, paddedLength(from.count), [&](int64_t i, auto lanes) {
    const auto isBelow = lessThan(loadLanes(from.logits + i, lanes), Vec::set(cut.logit));
    storeLanes(from.weights + i, lanes, select(isBelow, Vec::zero(), loadLanes(from.weights + i, lanes)));
  });
  for (int64_t i = 0; cut.isSplit && i < from.count; i++)
    if (from.logits[i] == cut.logit && from.ids[i] > cut.lastId) from.weights[i] = 0;
}

}  // namespace selkie::SELKIE_ISA

// Cuts an attention call into work items: parts of the query rows of one sequence and kv head. How many depends on the
// layout alone, never on the number of threads. Later rows see more keys, so the parts of a sequence have equal work where
// their boundaries lie at square roots; threads take the costly items first.
#pragma once

#include "attention-tile.h"

namespace selkie::SELKIE_ISA {

// Query rows firstRow .. endRow; they see the first `numKeys` keys. Where the backward pass cuts a sequence into several
// parts, `sums` is private memory for dK and dV.
struct AttentionItem {
  int64_t sequence, kvHead, firstRow, endRow, numKeys;
  float* sums;
};

// How finely to cut: at most `mostParts` parts of at least `leastRows` rows where a call has fewer than `wantedItems`.
struct AttentionCut {
  int64_t wantedItems, mostParts, leastRows;
};

inline int64_t costOf(const AttentionShape& shape, int64_t sequence) {
  return shape.numRows(sequence) * shape.kLengths[sequence];
}

inline int64_t numPartsOf(const AttentionShape& shape, const AttentionCut& cut, int64_t sequence, int64_t totalCost) {
  const int64_t share = (cut.wantedItems * costOf(shape, sequence) + totalCost - 1) / larger<int64_t>(1, totalCost);
  return larger<int64_t>(1, smaller(smaller(share, cut.mostParts), shape.numRows(sequence) / cut.leastRows));
}

// First row of part `part`, a multiple of kTileRows.
inline int64_t partStart(int64_t numRows, int64_t part, int64_t numParts) {
  if (part == numParts) return numRows;
  const double share = __builtin_sqrt(static_cast<double>(part) / static_cast<double>(numParts));
  return static_cast<int64_t>(share * static_cast<double>(numRows)) / kTileRows * kTileRows;
}

// Calls body(item, numParts) for the items of sequences begin .. end of which `isWanted(sequence)`; the parts of a sequence
// and kv head come one after the other.
template <typename IsWanted, typename Body>
inline void forItemsOf(const AttentionShape& shape, const AttentionCut& cut, int64_t begin, int64_t end,
                       const IsWanted& isWanted, const Body& body) {
  int64_t totalCost = 0;
  for (int64_t b = begin; b < end; b++) totalCost += costOf(shape, b) * shape.numKvHeads;
  for (int64_t b = begin; b < end; b++) {
    const int64_t numRows = shape.numRows(b);
    if (numRows == 0 || !isWanted(b)) continue;
    const int64_t numParts = numPartsOf(shape, cut, b, totalCost);
    for (int64_t kvHead = 0; kvHead < shape.numKvHeads; kvHead++)
      for (int64_t part = 0; part < numParts; part++) {
        const int64_t endRow = partStart(numRows, part + 1, numParts);
        const int64_t numKeys = part + 1 == numParts ? shape.kLengths[b] : shape.visibleKeys(b, endRow - 1);
        body(AttentionItem{b, kvHead, partStart(numRows, part, numParts), endRow, numKeys, nullptr}, numParts);
      }
  }
}

// Multiplications of one product of the item, roughly.
inline int64_t workOf(const AttentionShape& shape, const AttentionItem& item) {
  const int64_t fewest = shape.visibleKeys(item.sequence, item.firstRow);
  return (item.endRow - item.firstRow) * (fewest + item.numKeys) / 2 * shape.headDim;
}

// Multiplications of one product that make a task long against handing it out.
constexpr int64_t kTaskMultiplications = 100000;

// order [count] = the items by falling work, to within a fifth of it; equal ones keep their order.
inline void sortItems(const AttentionShape& shape, const AttentionItem* items, int64_t count, int32_t* order) {
  constexpr int kBuckets = 1024;
  int32_t starts[kBuckets + 1] = {};
  const auto bucketOf = [&](int64_t i) {
    const float work = static_cast<float>(workOf(shape, items[i]));
    uint32_t bits;
    __builtin_memcpy(&bits, &work, 4);
    return kBuckets - 1 - static_cast<int>(bits >> 21);  // exponent and two bits below it
  };
  for (int64_t i = 0; i < count; i++) starts[bucketOf(i) + 1]++;
  for (int bucket = 0; bucket < kBuckets; bucket++) starts[bucket + 1] += starts[bucket];
  for (int64_t i = 0; i < count; i++) order[starts[bucketOf(i)]++] = static_cast<int32_t>(i);
}

// Calls body(item, thread) for every item, costly ones first; small ones make a task together. `Within` is
// constructed around a task.
template <typename Within, typename Body>
inline void runItems(ThreadPool& pool, const AttentionShape& shape, const AttentionItem* items, int64_t count,
                     const Body& body) {
  if (count == 0) return;
  int32_t* order = static_cast<int32_t*>(pool.sharedScratch(2, static_cast<size_t>(count) * sizeof(int32_t)));
  sortItems(shape, items, count, order);
  const int64_t grain = 1 + kTaskMultiplications / (1 + workOf(shape, items[order[0]]));
  const int64_t numTasks = (count + grain - 1) / grain;
  forTasks(pool, numTasks, numTasks * kTaskWork, [&](int64_t task, int thread) {
    [[maybe_unused]] const Within within;
    for (int64_t i = task * grain; i < smaller(count, (task + 1) * grain); i++) body(items[order[i]], thread);
  });
}

}  // namespace selkie::SELKIE_ISA

// Cuts an attention call into work items: parts of the query rows of one sequence and kv head. How many depends on the
// layout alone, never on the number of threads. The parts of a sequence have equal work: where later rows see more keys,
// which is the causal case, their boundaries lie at square roots. Threads take the costly items first.
#pragma once

#include "attention-tile.h"

namespace selkie::SELKIE_ISA {

// Query rows firstRow .. endRow, whose visible keys lie among the `numKeys` from `firstKey` on; `work` is about the
// multiplications of one product. Where the backward pass cuts a sequence into several parts, `sums` is private memory for
// dK and dV.
struct AttentionItem {
  int64_t sequence, kvHead, firstRow, endRow, firstKey, numKeys, work;
  float* sums;

  int64_t endKey() const { return firstKey + numKeys; }
  // The first of the item's rows from `first` on, at most `most`.
  QueryTile tile(int64_t first, int64_t most) const {
    return {sequence, kvHead, first, smaller(most, endRow - first), firstKey};
  }
};

// How finely to cut: at most `mostParts` parts of at least `leastRows` rows where a call has fewer than `wantedItems`.
struct AttentionCut {
  int64_t wantedItems, mostParts, leastRows;
};

constexpr int64_t kMostParts = 16;

// Keys that queries first .. end see, summed over the rows of one kv head.
inline int64_t visiblePairs(const AttentionShape& shape, int64_t sequence, int64_t first, int64_t end) {
  int64_t pairs = 0;
  for (int64_t at = shape.qOffsets[sequence] + first; at < shape.qOffsets[sequence] + end; at++)
    pairs += shape.ends[at] - shape.begins[at];
  return pairs * shape.group();
}

inline int64_t costOf(const AttentionShape& shape, int64_t sequence) {
  if (shape.hasRanges()) return visiblePairs(shape, sequence, 0, shape.numQueries(sequence));
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

// starts [numParts + 1] = the first row of each part, and the end. With ranges a part may come out empty.
inline void cutRows(const AttentionShape& shape, int64_t sequence, int64_t numParts, int64_t* starts) {
  const int64_t numRows = shape.numRows(sequence);
  for (int64_t part = 0; part <= numParts; part++) starts[part] = partStart(numRows, part, numParts);
  if (!shape.hasRanges() || numParts == 1) return;
  const int64_t total = costOf(shape, sequence);
  int64_t query = 0, pairs = 0;
  for (int64_t part = 1; part < numParts; part++) {
    for (; query < shape.numQueries(sequence) && pairs * numParts < total * part; query++)
      pairs += visiblePairs(shape, sequence, query, query + 1);
    starts[part] = query * shape.group() / kTileRows * kTileRows;
  }
}

// Rows firstRow .. endRow of one kv head.
inline AttentionItem itemOf(const AttentionShape& shape, int64_t sequence, int64_t kvHead, int64_t firstRow, int64_t endRow) {
  const int64_t firstKey = shape.firstKey(sequence, firstRow), endKey = shape.endKey(sequence, endRow - 1);
  const int64_t pairs = shape.hasRanges()
                            ? visiblePairs(shape, sequence, firstRow / shape.group(), endRow / shape.group())
                            : (endRow - firstRow) * (shape.endKey(sequence, firstRow) + endKey) / 2;
  return {sequence, kvHead, firstRow, endRow, firstKey, endKey - firstKey, pairs * shape.headDim, nullptr};
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
    int64_t starts[kMostParts + 1];
    cutRows(shape, b, numParts, starts);
    AttentionItem items[kMostParts];
    int64_t count = 0;
    for (int64_t part = 0; part < numParts; part++)
      if (starts[part] < starts[part + 1]) items[count++] = itemOf(shape, b, 0, starts[part], starts[part + 1]);
    for (int64_t kvHead = 0; kvHead < shape.numKvHeads; kvHead++)
      for (int64_t i = 0; i < count; i++) {
        items[i].kvHead = kvHead;
        body(items[i], count);
      }
  }
}

// Multiplications of one product that make a task long against handing it out.
constexpr int64_t kTaskMultiplications = 100000;

// order [count] = the items by falling work, to within a fifth of it; equal ones keep their order.
inline void sortItems(const AttentionItem* items, int64_t count, int32_t* order) {
  constexpr int kBuckets = 1024;
  int32_t starts[kBuckets + 1] = {};
  const auto bucketOf = [&](int64_t i) {
    const float work = static_cast<float>(items[i].work);
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
inline void runItems(ThreadPool& pool, const AttentionItem* items, int64_t count, const Body& body) {
  if (count == 0) return;
  int32_t* order = static_cast<int32_t*>(pool.sharedScratch(2, static_cast<size_t>(count) * sizeof(int32_t)));
  sortItems(items, count, order);
  const int64_t grain = 1 + kTaskMultiplications / (1 + items[order[0]].work);
  const int64_t numTasks = (count + grain - 1) / grain;
  forTasks(pool, numTasks, numTasks * kTaskWork, [&](int64_t task, int thread) {
    [[maybe_unused]] const Within within;
    for (int64_t i = task * grain; i < smaller(count, (task + 1) * grain); i++) body(items[order[i]], thread);
  });
}

}  // namespace selkie::SELKIE_ISA

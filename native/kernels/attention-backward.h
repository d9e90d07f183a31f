// Gradients of attention. Probabilities are recomputed from logSumExp: with D = rowsum(dO ⊙ O),
//   P = exp(scale · Q Kᵀ - logSumExp),  dV = Pᵀ dO,  dS = scale · P ⊙ (dO Vᵀ - D),  dQ = dS K,  dK = dSᵀ Q.
//
// A work item is one part of the query rows of one sequence and kv head. It owns its rows of dQ and sums dK and dV in
// private f32 memory over all keys it sees; a sequence with one part writes them straight to the gradients, one with
// several (few long sequences, which would leave threads idle) has its parts added in order afterwards. How many parts
// there are depends on the layout alone.
#pragma once

#include "attention-tile.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kMaxParts = 4;     // bounds private memory
constexpr int64_t kWantedItems = 8;  // enough items to keep a handful of threads busy
constexpr int64_t kLeastPartRows = 256;

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

// Query rows firstRow .. endRow of one sequence and kv head. With several parts, `sums` holds dK then dV, each
// [numKeys, paddedDim].
struct BackwardItem {
  int64_t sequence, kvHead, firstRow, endRow, numKeys;
  float* sums;
};

// Scratch of one item: the tile at hand, and keys and values where they must be widened.
struct BackwardScratch {
  float *queries, *queriesT, *gradOutputs, *gradOutputsT, *gradQueries, *weights, *gradScores;
  float *limits, *logSumExp, *deltas;  // one number per query row
  float *keys, *values, *sums;

  static int64_t length(int64_t paddedDim, int64_t numKeys) {
    return 5 * kTileRows * paddedDim + 2 * kTileKeys * kTileRows + 3 * kTileRows + 4 * numKeys * paddedDim + 64;
  }
  BackwardScratch(float* memory, int64_t paddedDim, int64_t numKeys) {
    Carver carver{memory};
    queries = carver.take(kTileRows * paddedDim);
    gradOutputs = carver.take(kTileRows * paddedDim);
    queriesT = carver.take(paddedDim * kTileRows);
    gradOutputsT = carver.take(paddedDim * kTileRows);
    gradQueries = carver.take(kTileRows * paddedDim);
    weights = carver.take(kTileKeys * kTileRows);     // [keys, rows]: scores, then P
    gradScores = carver.take(kTileKeys * kTileRows);  // [keys, rows]: dO Vᵀ, then dS
    limits = carver.take(kTileRows);
    logSumExp = carver.take(kTileRows);
    deltas = carver.take(kTileRows);
    keys = carver.take(numKeys * paddedDim);
    values = carver.take(numKeys * paddedDim);
    sums = carver.take(2 * numKeys * paddedDim);
  }
};

// Loads what a tile of query rows needs, once for all its keys.
inline void openBackward(const BackwardCall& call, const QueryTile& tile, const BackwardScratch& at) {
  const AttentionShape& shape = call.shape;
  const int64_t stride = shape.paddedDim(), headDim = shape.headDim;
  readTile(shape, call.o(), tile, at.gradQueries, 1.0f);  // borrowed: only to form the deltas
  readTile(shape, call.gradO(), tile, at.gradOutputs, 1.0f);
  readTile(shape, call.q(), tile, at.queries, 1.0f);
  for (int64_t i = 0; i < kTileRows; i++) {
    const int64_t inside = smaller(i, tile.numRows - 1), row = tile.firstRow + inside;
    const float* o = at.gradQueries + inside * stride;
    const float* gradO = at.gradOutputs + inside * stride;
    at.deltas[i] =
        sumVectors(stride, [=](int64_t e, auto lanes) { return loadLanes(o + e, lanes) * loadLanes(gradO + e, lanes); });
    at.limits[i] = static_cast<float>(shape.visibleKeys(tile.sequence, row));
    at.logSumExp[i] = call.logSumExp()[shape.statisticOffset(tile.sequence, tile.kvHead, row)];
  }
  transposeTile(at.queries, stride, at.queriesT, tile.numRows, headDim);
  transposeTile(at.gradOutputs, stride, at.gradOutputsT, tile.numRows, headDim);
}

// One vector of query rows over one tile of keys: raw scores to P, dO Vᵀ to dS.
inline void gradColumn(float* weights, float* gradScores, int64_t numKeys, int64_t firstKey, bool isMasked,
                       const float* limits, const float* logSumExp, const float* deltas, float scale) {
  const Vec limit = Vec::load(limits), shift = negate(Vec::load(logSumExp)), delta = Vec::load(deltas);
  const Vec toBase2 = Vec::set(kLog2E), factor = Vec::set(scale);
  for (int64_t j = 0; j < numKeys; j++) {
    float* weight = weights + j * kTileRows;
    float* gradScore = gradScores + j * kTileRows;
    // The shift comes first: large scores and sums cancel before anything else is rounded.
    Vec probability = exp2Weight(toBase2 * fma(factor, Vec::load(weight), shift));
    if (isMasked)
      probability = select(lessThan(Vec::set(static_cast<float>(firstKey + j)), limit), probability, Vec::zero());
    probability.store(weight);
    (factor * probability * (Vec::load(gradScore) - delta)).store(gradScore);
  }
}

// Adds one tile of query rows to dK and dV of the item and writes its rows of dQ.
inline void backwardTile(const BackwardCall& call, const QueryTile& tile, const BackwardScratch& at, Rows keys, Rows values,
                         float* gradKeys, float* gradValues) {
  const AttentionShape& shape = call.shape;
  const int64_t headDim = shape.headDim, stride = shape.paddedDim(), dimVectors = stride / Vec::width;
  const int64_t rowVectors = (tile.numRows + Vec::width - 1) / Vec::width;
  openBackward(call, tile, at);
  const int64_t fewest = shape.visibleKeys(tile.sequence, tile.firstRow);
  const int64_t numKeys = shape.visibleKeys(tile.sequence, tile.firstRow + tile.numRows - 1);
  for (int64_t first = 0; first < numKeys; first += kTileKeys) {
    const int64_t count = smaller(kTileKeys, numKeys - first);
    const float* k = keys.data + first * keys.stride;
    const float* v = values.data + first * values.stride;
    tileProduct(Factor<true>{k, keys.stride}, {at.queriesT, kTileRows, at.weights, kTileRows}, count, rowVectors, headDim,
                kOverwrite);
    tileProduct(Factor<true>{v, values.stride}, {at.gradOutputsT, kTileRows, at.gradScores, kTileRows}, count, rowVectors,
                headDim, kOverwrite);
    for (int64_t lane = 0; lane < rowVectors * Vec::width; lane += Vec::width)
      gradColumn(at.weights + lane, at.gradScores + lane, count, first, first + count > fewest, at.limits + lane,
                 at.logSumExp + lane, at.deltas + lane, shape.scale);
    const Factor<true> weights = {at.weights, kTileRows}, gradScores = {at.gradScores, kTileRows};
    tileProduct(weights, {at.gradOutputs, stride, gradValues + first * stride, stride}, count, dimVectors, tile.numRows,
                kAdd);
    tileProduct(gradScores, {at.queries, stride, gradKeys + first * stride, stride}, count, dimVectors, tile.numRows, kAdd);
    tileProduct(Factor<false>{at.gradScores, kTileRows}, {k, keys.stride, at.gradQueries, stride}, tile.numRows, dimVectors,
                count, first > 0 ? kAdd : kOverwrite);
  }
  for (int64_t i = 0; i < tile.numRows; i++)
    writeRow(call.gradQ(), shape.queryOffset(tile.sequence, tile.kvHead, tile.firstRow + i), at.gradQueries + i * stride,
             headDim, 1.0f, call.accumulateQ);
}

// Writes rows of dK or dV of one sequence and kv head.
inline void writeKeyRows(const AttentionShape& shape, const View& target, int64_t sequence, int64_t kvHead, int64_t first,
                         int64_t count, const float* rows, bool accumulate) {
  for (int64_t i = 0; i < count; i++)
    writeRow(target, shape.keyOffset(sequence, kvHead, first + i), rows + i * shape.paddedDim(), shape.headDim, 1.0f,
             accumulate);
}

inline void backwardItem(const BackwardCall& call, const BackwardItem& item, float* memory) {
  const AttentionShape& shape = call.shape;
  const int64_t stride = shape.paddedDim(), numKeys = item.numKeys;
  const BackwardScratch at(memory, stride, numKeys);
  const bool isShared = item.sums != nullptr;
  float* gradKeys = isShared ? item.sums : at.sums;
  float* gradValues = gradKeys + numKeys * stride;
  __builtin_memset(gradKeys, 0, static_cast<size_t>(2 * numKeys * stride) * sizeof(float));
  const Rows keys = keyRows(shape, call.k(), item.sequence, item.kvHead, 0, numKeys, at.keys);
  const Rows values = keyRows(shape, call.v(), item.sequence, item.kvHead, 0, numKeys, at.values);
  for (int64_t first = item.firstRow; first < item.endRow; first += kTileRows) {
    const QueryTile tile = {item.sequence, item.kvHead, first, smaller(kTileRows, item.endRow - first)};
    backwardTile(call, tile, at, keys, values, gradKeys, gradValues);
  }
  if (isShared) return;
  writeKeyRows(shape, call.gradK(), item.sequence, item.kvHead, 0, numKeys, gradKeys, call.accumulateK);
  writeKeyRows(shape, call.gradV(), item.sequence, item.kvHead, 0, numKeys, gradValues, call.accumulateV);
}

// ---- Cutting a call into items ----

inline int64_t costOf(const AttentionShape& shape, int64_t sequence) {
  return shape.numRows(sequence) * shape.kLengths[sequence];
}

inline int64_t numPartsOf(const AttentionShape& shape, int64_t sequence, int64_t totalCost) {
  const int64_t share = (kWantedItems * costOf(shape, sequence) + totalCost - 1) / larger<int64_t>(1, totalCost);
  return larger<int64_t>(1, smaller(smaller(share, kMaxParts), shape.numRows(sequence) / kLeastPartRows));
}

// First row of part `part`: later rows see more keys, so equal work means boundaries at square roots; whole tiles.
inline int64_t partStart(int64_t numRows, int64_t part, int64_t numParts) {
  if (part == numParts) return numRows;
  const double share = __builtin_sqrt(static_cast<double>(part) / static_cast<double>(numParts));
  return static_cast<int64_t>(share * static_cast<double>(numRows)) / kTileRows * kTileRows;
}

// The items of sequences begin .. end; only counts them while `items` is null. Returns the floats that shared sums take.
inline int64_t listItems(const AttentionShape& shape, int64_t begin, int64_t end, BackwardItem* items, float* sums,
                         int64_t* count) {
  int64_t totalCost = 0, used = 0;
  *count = 0;
  for (int64_t b = begin; b < end; b++) totalCost += costOf(shape, b) * shape.numKvHeads;
  for (int64_t b = begin; b < end; b++) {
    const int64_t numParts = numPartsOf(shape, b, totalCost), numRows = shape.numRows(b);
    for (int64_t kvHead = 0; kvHead < shape.numKvHeads; kvHead++)
      for (int64_t part = 0; part < numParts; part++) {
        const int64_t endRow = partStart(numRows, part + 1, numParts);
        const int64_t numKeys = part + 1 == numParts ? shape.kLengths[b] : shape.visibleKeys(b, endRow - 1);
        if (items != nullptr)
          items[*count] = {b,      kvHead,  partStart(numRows, part, numParts),
                           endRow, numKeys, numParts > 1 ? sums + used : nullptr};
        if (numParts > 1) used += Carver::roundUp(2 * numKeys * shape.paddedDim());
        ++*count;
      }
  }
  return used;
}

// Adds the parts of one sequence and kv head (consecutive items) into the last, which sees all keys, and writes it.
inline void mergeParts(const BackwardCall& call, const BackwardItem* parts, int64_t numParts, int64_t begin, int64_t end) {
  const AttentionShape& shape = call.shape;
  const int64_t stride = shape.paddedDim();
  const BackwardItem& last = parts[numParts - 1];
  for (int64_t key = begin; key < end; key++)
    for (int which = 0; which < 2; which++) {
      float* total = last.sums + (which * last.numKeys + key) * stride;
      for (int64_t e = 0; e < stride; e += Vec::width) {
        Vec sum = Vec::zero();
        for (int64_t part = 0; part < numParts; part++)
          if (key < parts[part].numKeys)
            sum = sum + Vec::load(parts[part].sums + (which * parts[part].numKeys + key) * stride + e);
        sum.store(total + e);
      }
      writeKeyRows(shape, which == 0 ? call.gradK() : call.gradV(), last.sequence, last.kvHead, key, 1, total,
                   which == 0 ? call.accumulateK : call.accumulateV);
    }
}

// Gradients of sequences begin .. end, whose keys must not overlap.
inline void backwardSequences(const BackwardCall& call, int64_t begin, int64_t end, ThreadPool& pool) {
  const AttentionShape& shape = call.shape;
  int64_t count = 0, work = 0;
  const int64_t sharedLength = listItems(shape, begin, end, nullptr, nullptr, &count);
  BackwardItem* items =
      static_cast<BackwardItem*>(pool.sharedScratch(0, static_cast<size_t>(count + 1) * sizeof(BackwardItem)));
  float* sums = static_cast<float*>(pool.sharedScratch(1, static_cast<size_t>(sharedLength + 1) * sizeof(float)));
  listItems(shape, begin, end, items, sums, &count);
  for (int64_t b = begin; b < end; b++) work += costOf(shape, b) * shape.keyWidth() / 8;
  forTasks(pool, count, work, [&](int64_t task, int thread) {
    const BackwardItem& item = items[count - 1 - task];  // costly parts first
    const size_t bytes = static_cast<size_t>(BackwardScratch::length(shape.paddedDim(), item.numKeys)) * sizeof(float);
    backwardItem(call, item, static_cast<float*>(pool.threadScratch(thread, 0, bytes)));
  });
  for (int64_t at = 0; at < count;) {
    int64_t numParts = 1;
    while (at + numParts < count && items[at + numParts].sequence == items[at].sequence &&
           items[at + numParts].kvHead == items[at].kvHead)
      numParts++;
    if (items[at].sums != nullptr)
      forItems(pool, items[at + numParts - 1].numKeys, 2 * numParts * shape.paddedDim(),
               [&](int64_t first, int64_t stop) { mergeParts(call, items + at, numParts, first, stop); });
    at += numParts;
  }
}

inline void clear(const View& view) {
  __builtin_memset(view.data, 0, static_cast<size_t>(view.length) * (view.dtype == kBf16 ? sizeof(bf16) : sizeof(float)));
}

// Views: see BackwardCall; numbers numHeads, numKvHeads, headDim, scale, accumulate of gradQ, gradK, gradV.
inline void attentionBackward(const View* views, const double* numbers, ThreadPool& pool) {
  BackwardCall call = {attentionShape(views, numbers), views, numbers[4] != 0, numbers[5] != 0, numbers[6] != 0};
  const AttentionShape& shape = call.shape;
  bool overlaps = false;
  int64_t numKeys = 0, previousEnd = 0;
  for (int64_t b = 0; b < shape.numSequences; b++) {
    if (shape.kStarts[b] < previousEnd) overlaps = true;
    previousEnd = shape.kStarts[b] + shape.kLengths[b];
    numKeys += shape.kLengths[b];
  }
  const bool coversAll = !overlaps && numKeys * shape.keyWidth() == call.gradK().length;
  if (!coversAll && !call.accumulateK) clear(call.gradK());  // keys that nobody reads have gradient zero
  if (!coversAll && !call.accumulateV) clear(call.gradV());
  if (!overlaps) return backwardSequences(call, 0, shape.numSequences, pool);
  call.accumulateK = call.accumulateV = true;
  for (int64_t b = 0; b < shape.numSequences; b++) backwardSequences(call, b, b + 1, pool);  // a shared prefix, for example
}

}  // namespace selkie::SELKIE_ISA

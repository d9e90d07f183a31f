// Gradients of attention. Probabilities are recomputed from logSumExp: with D = rowsum(dO ⊙ O),
//   P = exp(scale · Q Kᵀ - logSumExp),  dV = Pᵀ dO,  dS = P ⊙ (dO Vᵀ - D),  dQ = scale · dS K,  dK = scale · dSᵀ Q.
//
// A work item owns its rows of dQ and sums dK and dV in private f32 memory over all keys it sees; a sequence with one part
// writes them straight to the gradients, one with several (few long sequences, which would leave threads idle) has its
// parts added in order afterwards.
#pragma once

#include "attention-amx-backward.h"
#include "attention-gradients.h"
#include "attention-items.h"

namespace selkie::SELKIE_ISA {

// Private sums of a part are memory, hence few parts, and only as many as keep a handful of threads busy.
constexpr AttentionCut kBackwardCut = {.wantedItems = 8, .mostParts = 4, .leastRows = 256};

// Scratch of one item: the tile at hand, and keys and values where they must be widened.
struct BackwardScratch {
  float *queries, *queriesT, *gradOutputs, *gradOutputsT, *gradQueries, *weights, *gradScores;
  float *begins, *ends, *logSumExp, *deltas;  // one number per query row
  float *keys, *values;

  static int64_t length(int64_t paddedDim, int64_t numKeys) {
    return 5 * kTileRows * paddedDim + 2 * kTileKeys * kTileRows + 4 * kTileRows + 2 * numKeys * paddedDim + 64;
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
    begins = carver.take(kTileRows);
    ends = carver.take(kTileRows);
    logSumExp = carver.take(kTileRows);
    deltas = carver.take(kTileRows);
    keys = carver.take(numKeys * paddedDim);
    values = carver.take(numKeys * paddedDim);
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
    at.begins[i] = static_cast<float>(shape.firstKey(tile.sequence, row) - tile.keyBase);
    at.ends[i] = static_cast<float>(shape.endKey(tile.sequence, row) - tile.keyBase);
    at.logSumExp[i] = call.logSumExp()[shape.statisticOffset(tile.sequence, tile.kvHead, row)];
  }
  transposeTile(at.queries, stride, at.queriesT, tile.numRows, headDim);
  transposeTile(at.gradOutputs, stride, at.gradOutputsT, tile.numRows, headDim);
}

// Query rows lane .. of a tile over one tile of keys: raw scores to P, dO Vᵀ to dS.
template <Mask kMask>
inline void gradColumn(const BackwardScratch& at, int64_t lane, int64_t numKeys, int64_t firstKey, float scale) {
  const Vec begin = Vec::load(at.begins + lane), end = Vec::load(at.ends + lane);
  const Vec shift = negate(Vec::load(at.logSumExp + lane)), delta = Vec::load(at.deltas + lane);
  const Vec toBase2 = Vec::set(kLog2E), factor = Vec::set(scale);
  for (int64_t j = 0; j < numKeys; j++) {
    float* weight = at.weights + j * kTileRows + lane;
    float* gradScore = at.gradScores + j * kTileRows + lane;
    // The shift comes first: large scores and sums cancel before anything else is rounded.
    const Vec exponential = exp2Weight(toBase2 * fma(factor, Vec::load(weight), shift));
    const Vec probability = visible<kMask>(firstKey + j, begin, end, exponential, Vec::zero());
    probability.store(weight);
    (probability * (Vec::load(gradScore) - delta)).store(gradScore);
  }
}

// Adds one tile of query rows to dK and dV of the item and writes its rows of dQ.
inline void backwardTile(const BackwardCall& call, const QueryTile& tile, const BackwardScratch& at, float* gradKeys,
                         float* gradValues) {
  const AttentionShape& shape = call.shape;
  const int64_t headDim = shape.headDim, stride = shape.paddedDim(), dimVectors = stride / Vec::width;
  const int64_t rowVectors = (tile.numRows + Vec::width - 1) / Vec::width;
  openBackward(call, tile, at);
  const TileKeys keys = tileKeys(shape, tile);
  if (keys.begin >= keys.end)
    __builtin_memset(at.gradQueries, 0, static_cast<size_t>(tile.numRows * stride) * sizeof(float));
  for (int64_t first = keys.begin; first < keys.end; first += kTileKeys) {
    const int64_t count = smaller(kTileKeys, keys.end - first);
    const Mask mask = maskOf(shape, keys.isMasked(first, first + count));
    const auto grad = mask == Mask::none ? gradColumn<Mask::none>
                      : mask == Mask::ends ? gradColumn<Mask::ends>
                                           : gradColumn<Mask::ranges>;
    const float* k = at.keys + first * stride;
    const float* v = at.values + first * stride;
    tileProduct(Factor<true>{k, stride}, {at.queriesT, kTileRows, at.weights, kTileRows}, count, rowVectors, headDim,
                kOverwrite);
    tileProduct(Factor<true>{v, stride}, {at.gradOutputsT, kTileRows, at.gradScores, kTileRows}, count, rowVectors,
                headDim, kOverwrite);
    for (int64_t lane = 0; lane < rowVectors * Vec::width; lane += Vec::width)
      grad(at, lane, count, first, shape.scale);
    const Factor<true> weights = {at.weights, kTileRows}, gradScores = {at.gradScores, kTileRows};
    tileProduct(weights, {at.gradOutputs, stride, gradValues + first * stride, stride}, count, dimVectors, tile.numRows,
                kAdd);
    tileProduct(gradScores, {at.queries, stride, gradKeys + first * stride, stride}, count, dimVectors, tile.numRows, kAdd);
    tileProduct(Factor<false>{at.gradScores, kTileRows}, {k, stride, at.gradQueries, stride}, tile.numRows, dimVectors,
                count, first > keys.begin ? kAdd : kOverwrite);
  }
  for (int64_t i = 0; i < tile.numRows; i++)
    writeRow(call.gradQ(), shape.queryOffset(tile.sequence, tile.kvHead, tile.firstRow + i), at.gradQueries + i * stride,
             headDim, shape.scale, call.accumulateQ);
}

inline void backwardRows(const BackwardCall& call, const AttentionItem& item, const KeySums& sums, float* memory) {
  const AttentionShape& shape = call.shape;
  const BackwardScratch at(memory, shape.paddedDim(), item.numKeys);
  __builtin_memset(sums.keys, 0, static_cast<size_t>(KeySums::length(shape, item.numKeys)) * sizeof(float));
  packKeyRows(shape, call.k(), item.sequence, item.kvHead, item.firstKey, item.numKeys, at.keys);
  packKeyRows(shape, call.v(), item.sequence, item.kvHead, item.firstKey, item.numKeys, at.values);
  for (int64_t first = item.firstRow; first < item.endRow; first += kTileRows)
    backwardTile(call, item.tile(first, kTileRows), at, sums.keys, sums.values);
}

// Whether the call runs on tile registers, and so keeps its sums in tiles.
inline bool isTiled(const BackwardCall& call) {
#if defined(__AMX_BF16__)
  return areBf16(call.views, 0, 3) && call.gradO().dtype == kBf16;
#else
  return false;
#endif
}

inline void backwardItem(const BackwardCall& call, const AttentionItem& item, ThreadPool& pool, int thread) {
  const AttentionShape& shape = call.shape;
  float* own = nullptr;
  if (item.sums == nullptr) {
    const size_t bytes = static_cast<size_t>(KeySums::length(shape, item.numKeys)) * sizeof(float);
    own = static_cast<float*>(pool.threadScratch(thread, 1, bytes));
  }
  const KeySums sums(shape, item, isTiled(call), own);
#if defined(__AMX_BF16__)
  if (isTiled(call)) {
    const int64_t length = BackwardTiles::length(HeadTiles(shape.headDim), item.endRow - item.firstRow, item.numKeys);
    const size_t bytes = static_cast<size_t>(length) * sizeof(float);
    backwardTiles(call, item, sums, static_cast<float*>(pool.threadScratch(thread, 0, bytes)));
  }
#endif
  if (!isTiled(call)) {
    const int64_t length = BackwardScratch::length(shape.paddedDim(), item.numKeys);
    backwardRows(call, item, sums, static_cast<float*>(pool.threadScratch(thread, 0, static_cast<size_t>(length) * sizeof(float))));
  }
  if (item.sums == nullptr) writeKeyGrads(call, item, &sums, 1, item.firstKey, item.endKey());
}

// Writes dK and dV of the parts of one sequence and kv head, which are consecutive items.
inline void mergeParts(const BackwardCall& call, const AttentionItem* parts, int64_t numParts, ThreadPool& pool) {
  KeySums sums[kMostParts];
  for (int64_t part = 0; part < numParts; part++) sums[part] = KeySums(call.shape, parts[part], isTiled(call), nullptr);
  const int64_t firstKey = parts[0].firstKey, numKeys = parts[numParts - 1].endKey() - firstKey;
  forItems(pool, numKeys, 2 * numParts * call.shape.paddedDim(), [&](int64_t first, int64_t stop) {
    writeKeyGrads(call, parts[0], sums, numParts, firstKey + first, firstKey + stop);
  });
}

// Gradients of sequences begin .. end, whose keys must not overlap.
inline void backwardSequences(const BackwardCall& call, int64_t begin, int64_t end, ThreadPool& pool) {
  const AttentionShape& shape = call.shape;
  const auto forAll = [&](const auto& body) {
    forItemsOf(shape, kBackwardCut, begin, end, [](int64_t) { return true; }, body);
  };
  int64_t count = 0, sharedLength = 0;
  forAll([&](const AttentionItem& item, int64_t numParts) {
    count++;
    if (numParts > 1) sharedLength += KeySums::length(shape, item.numKeys);
  });
  auto* items = static_cast<AttentionItem*>(pool.sharedScratch(0, static_cast<size_t>(count + 1) * sizeof(AttentionItem)));
  auto* shared = static_cast<float*>(pool.sharedScratch(1, static_cast<size_t>(sharedLength + 1) * sizeof(float)));
  count = 0;
  forAll([&](const AttentionItem& item, int64_t numParts) {
    items[count] = item;
    if (numParts > 1) items[count].sums = shared;
    if (numParts > 1) shared += KeySums::length(shape, item.numKeys);
    count++;
  });
  runItems<TileRegisters>(pool, items, count,
           [&](const AttentionItem& item, int thread) { backwardItem(call, item, pool, thread); });
  for (int64_t at = 0; at < count;) {
    int64_t numParts = 1;
    while (at + numParts < count && items[at + numParts].sequence == items[at].sequence &&
           items[at + numParts].kvHead == items[at].kvHead)
      numParts++;
    if (items[at].sums != nullptr) mergeParts(call, items + at, numParts, pool);
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
    if (shape.numRows(b) == 0) continue;
    const int64_t firstKey = shape.firstKey(b, 0), endKey = shape.endKey(b, shape.numRows(b) - 1);
    if (shape.kStarts[b] + firstKey < previousEnd) overlaps = true;
    previousEnd = shape.kStarts[b] + endKey;
    numKeys += endKey - firstKey;
  }
  const bool coversAll = !overlaps && numKeys * shape.keyWidth() == call.gradK().length;
  if (!coversAll && !call.accumulateK) clear(call.gradK());  // keys that nobody reads have gradient zero
  if (!coversAll && !call.accumulateV) clear(call.gradV());
  if (!overlaps) return backwardSequences(call, 0, shape.numSequences, pool);
  call.accumulateK = call.accumulateV = true;
  for (int64_t b = 0; b < shape.numSequences; b++) backwardSequences(call, b, b + 1, pool);  // a shared prefix, for example
}

}  // namespace selkie::SELKIE_ISA

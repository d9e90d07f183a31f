// Attention forward: tiles of query rows for training and prefill, the kernel of attention-decode.h where a sequence has
// only a few query rows. Work items are listed before the threads start, the costly end of each sequence first.
#pragma once

#include "attention-amx-forward.h"
#include "attention-decode.h"
#include "attention-items.h"
#include "attention-tile.h"

namespace selkie::SELKIE_ISA {

// Scratch of one item.
struct ForwardScratch {
  float *rows, *queries, *outputs, *scores, *keys, *values;
  float *begins, *ends, *maxima, *sums, *decays;  // one number per query row

  static int64_t length(int64_t paddedDim, int64_t numKeys) {
    return (3 * kTileRows + 2 * numKeys) * paddedDim + kTileKeys * kTileRows + 5 * kTileRows;
  }
  ForwardScratch(float* memory, int64_t paddedDim, int64_t numKeys) {
    Carver carver{memory};
    rows = carver.take(kTileRows * paddedDim);
    queries = carver.take(paddedDim * kTileRows);  // [E, rows]
    outputs = carver.take(kTileRows * paddedDim);
    keys = carver.take(numKeys * paddedDim);
    values = carver.take(numKeys * paddedDim);
    scores = carver.take(kTileKeys * kTileRows);  // [keys, rows]
    begins = carver.take(kTileRows);              // visible keys, counted from the first that the item packs
    ends = carver.take(kTileRows);
    maxima = carver.take(kTileRows);
    sums = carver.take(kTileRows);
    decays = carver.take(kTileRows);  // what a new maximum leaves of everything summed so far
  }
};

// One vector of query rows over one tile of keys: base-2 scores become weights, running maximum and sum move on.
// `begin` and `end` say which keys of this tile each row sees. A row that has seen none so far keeps the maximum kMasked.
template <Mask kMask>
inline void softmaxColumn(float* scores, int64_t numKeys, Vec begin, Vec end, float* maxima, float* sums, float* decays) {
  const auto scoreAt = [=](int64_t j) {
    return visible<kMask>(j, begin, end, Vec::load(scores + j * kTileRows), Vec::set(kMasked));
  };
  const Vec before = Vec::load(maxima);
  Vec most = before, other = before;
  int64_t j = 0;
  for (; j + 2 <= numKeys; j += 2) {
    most = max(most, scoreAt(j));
    other = max(other, scoreAt(j + 1));
  }
  if (j < numKeys) most = max(most, scoreAt(j));
  const Vec after = max(most, other);
  Vec sum = Vec::zero();
  for (j = 0; j < numKeys; j++) {
    const Vec weight =
        visible<kMask>(j, begin, end, exp2Weight(Vec::load(scores + j * kTileRows) - after), Vec::zero());
    weight.store(scores + j * kTileRows);
    sum = sum + weight;
  }
  const Vec decay = exp2Weight(before - after);
  after.store(maxima);
  decay.store(decays);
  fma(Vec::load(sums), decay, sum).store(sums);
}

// Loads the queries of a tile, scaled so that scores are logarithms to base 2, and empties its statistics.
inline void openForward(const AttentionShape& shape, const View& q, const QueryTile& tile, const ForwardScratch& at) {
  readTile(shape, q, tile, at.rows, shape.scale * kLog2E);
  transposeTile(at.rows, shape.paddedDim(), at.queries, tile.numRows, shape.headDim);
  for (int64_t i = 0; i < kTileRows; i++) {
    const int64_t row = tile.firstRow + smaller(i, tile.numRows - 1);
    at.begins[i] = static_cast<float>(shape.firstKey(tile.sequence, row) - tile.keyBase);
    at.ends[i] = static_cast<float>(shape.endKey(tile.sequence, row) - tile.keyBase);
    at.maxima[i] = kMasked;
    at.sums[i] = 0;
  }
}

// Writes the tile's outputs and logSumExp.
inline void finishForward(const AttentionShape& shape, const View* views, const QueryTile& tile, const ForwardScratch& at) {
  for (int64_t i = 0; i < tile.numRows; i++) {
    const int64_t statistic = shape.statisticOffset(tile.sequence, tile.kvHead, tile.firstRow + i);
    float* output = at.outputs + i * shape.paddedDim();
    if (at.begins[i] < at.ends[i])
      writeAttended(shape, views, statistic, output, at.sums[i], at.maxima[i] * kLn2 + __builtin_logf(at.sums[i]));
    else
      writeUnattended(shape, views, statistic, output);
  }
}

inline void forwardTile(const AttentionShape& shape, const View* views, const QueryTile& tile, const ForwardScratch& at) {
  const int64_t headDim = shape.headDim, stride = shape.paddedDim();
  const int64_t numVectors = (tile.numRows + Vec::width - 1) / Vec::width;
  openForward(shape, views[0], tile, at);
  const TileKeys keys = tileKeys(shape, tile);
  for (int64_t first = keys.begin; first < keys.end; first += kTileKeys) {
    const int64_t count = smaller(kTileKeys, keys.end - first);
    const Mask mask = maskOf(shape, keys.isMasked(first, first + count));
    const auto softmax = mask == Mask::none ? softmaxColumn<Mask::none>
                         : mask == Mask::ends ? softmaxColumn<Mask::ends>
                                              : softmaxColumn<Mask::ranges>;
    const Vec before = Vec::set(static_cast<float>(first));
    tileProduct(Factor<true>{at.keys + first * stride, stride}, {at.queries, kTileRows, at.scores, kTileRows}, count, numVectors,
                headDim, kOverwrite);
    for (int64_t lane = 0; lane < numVectors * Vec::width; lane += Vec::width) {
      softmax(at.scores + lane, count, Vec::load(at.begins + lane) - before, Vec::load(at.ends + lane) - before,
              at.maxima + lane, at.sums + lane, at.decays + lane);
    }
    tileProduct(Factor<false>{at.scores, kTileRows}, {at.values + first * stride, stride, at.outputs, stride}, tile.numRows,
                stride / Vec::width, count, Before{first > keys.begin, at.decays});
  }
  finishForward(shape, views, tile, at);
}

// Parts are worth a copy of the keys and values each.
constexpr AttentionCut kForwardCut = {.wantedItems = 32, .mostParts = kMostParts, .leastRows = 1024};

inline void forwardItem(const AttentionShape& shape, const View* views, const AttentionItem& item, ThreadPool& pool,
                        int thread) {
#if defined(__AMX_BF16__)
  if (areBf16(views, 0, 3)) {
    const int64_t length = ForwardTiles::length(HeadTiles(shape.headDim), item.numKeys);
    const size_t bytes = static_cast<size_t>(length) * sizeof(float);
    return forwardTiles(shape, views, item, static_cast<float*>(pool.threadScratch(thread, 0, bytes)));
  }
#endif
  const int64_t length = ForwardScratch::length(shape.paddedDim(), item.numKeys);
  const size_t bytes = static_cast<size_t>(length) * sizeof(float);
  const ForwardScratch at(static_cast<float*>(pool.threadScratch(thread, 0, bytes)), shape.paddedDim(), item.numKeys);
  packKeyRows(shape, views[1], item.sequence, item.kvHead, item.firstKey, item.numKeys, at.keys);
  packKeyRows(shape, views[2], item.sequence, item.kvHead, item.firstKey, item.numKeys, at.values);
  for (int64_t first = item.firstRow; first < item.endRow; first += kTileRows)
    forwardTile(shape, views, item.tile(first, kTileRows), at);
}

// Views q, k, v, qOffsets, kStarts, kLengths, begins, ends, o, logSumExp; numbers numHeads, numKvHeads, headDim, scale.
inline void attention(const View* views, const double* numbers, ThreadPool& pool) {
  const AttentionShape shape = attentionShape(views, numbers);
  const auto isWide = [&](int64_t b) { return !isNarrow(shape, b); };
  int64_t count = 0;
  const auto forWide = [&](const auto& body) { forItemsOf(shape, kForwardCut, 0, shape.numSequences, isWide, body); };
  forWide([&](const AttentionItem&, int64_t) { count++; });
  auto* items = static_cast<AttentionItem*>(pool.sharedScratch(0, static_cast<size_t>(count + 1) * sizeof(AttentionItem)));
  count = 0;
  forWide([&](const AttentionItem& item, int64_t) { items[count++] = item; });
  runItems<TileRegisters>(pool, items, count,
           [&](const AttentionItem& item, int thread) { forwardItem(shape, views, item, pool, thread); });
  decodeAttention(shape, views, pool);
}

}  // namespace selkie::SELKIE_ISA

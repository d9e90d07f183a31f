// Attention forward: tiles of query rows for training and prefill, the kernel of attention-decode.h where a sequence has
// only a few query rows. Work items are listed before the threads start, the costly end of each sequence first.
#pragma once

#include "attention-decode.h"
#include "attention-tile.h"

namespace selkie::SELKIE_ISA {

// Scratch of one forward tile.
struct ForwardScratch {
  float *rows, *queries, *outputs, *scores, *keys, *values, *limits, *maxima, *sums;

  static int64_t length(int64_t paddedDim) { return 3 * kTileRows * paddedDim + 2 * kTileKeys * paddedDim + kTileKeys * kTileRows + 3 * kTileRows; }
  ForwardScratch(float* memory, int64_t paddedDim) {
    Carver carver{memory};
    rows = carver.take(kTileRows * paddedDim);
    queries = carver.take(paddedDim * kTileRows);  // [E, rows]
    outputs = carver.take(paddedDim * kTileRows);  // [E, rows]
    keys = carver.take(kTileKeys * paddedDim);
    values = carver.take(kTileKeys * paddedDim);
    scores = carver.take(kTileKeys * kTileRows);  // [keys, rows]
    limits = carver.take(kTileRows);              // visible keys of each row
    maxima = carver.take(kTileRows);
    sums = carver.take(kTileRows);
  }
};

// One vector of query rows over one tile of keys: scores become exponentials; the running maximum and sum move on, and
// what the outputs held is rescaled. `firstKey` counts from the start of the sequence.
inline void softmaxColumn(float* scores, int64_t numKeys, int64_t firstKey, bool isMasked, const float* limits, float* maxima,
                          float* sums, float* outputs, int64_t headDim) {
  const Vec limit = Vec::load(limits), before = Vec::load(maxima);
  Vec most[2] = {before, before};
  for (int64_t j = 0; j < numKeys; j++) {
    Vec score = Vec::load(scores + j * kTileRows);
    if (isMasked) {
      const Vec key = Vec::set(static_cast<float>(firstKey + j));
      score = select(lessThan(key, limit), score, Vec::set(-__builtin_inff()));
      score.store(scores + j * kTileRows);
    }
    most[j & 1] = max(most[j & 1], score);
  }
  const Vec after = max(most[0], most[1]);
  Vec sum = Vec::zero();
  for (int64_t j = 0; j < numKeys; j++) {
    const Vec weight = exp(Vec::load(scores + j * kTileRows) - after);
    weight.store(scores + j * kTileRows);
    sum = sum + weight;
  }
  after.store(maxima);
  if (firstKey == 0) return sum.store(sums);
  const Vec decay = exp(before - after);
  fma(Vec::load(sums), decay, sum).store(sums);
  for (int64_t e = 0; e < headDim; e++) (Vec::load(outputs + e * kTileRows) * decay).store(outputs + e * kTileRows);
}

// Divides by the sums, writes the tile's outputs and logSumExp.
inline void finishTile(const AttentionShape& shape, const View& o, float* logSumExp, const QueryTile& tile, const ForwardScratch& at,
                       int64_t numVectors) {
  for (int64_t n = 0; n < numVectors; n++) {
    const Vec inverse = Vec::set(1.0f) / Vec::load(at.sums + n * Vec::width);
    for (int64_t e = 0; e < shape.headDim; e++) {
      float* cell = at.outputs + e * kTileRows + n * Vec::width;
      (Vec::load(cell) * inverse).store(cell);
    }
  }
  writeTile(shape, o, tile, at.outputs, at.rows, false);
  for (int64_t i = 0; i < tile.numRows; i++)
    logSumExp[shape.statisticOffset(tile.sequence, tile.kvHead, tile.firstRow + i)] = at.maxima[i] + __builtin_logf(at.sums[i]);
}

inline void forwardTile(const AttentionShape& shape, const View* views, const QueryTile& tile, float* memory) {
  const int64_t headDim = shape.headDim, stride = shape.paddedDim();
  const ForwardScratch at(memory, stride);
  const int64_t numVectors = (tile.numRows + Vec::width - 1) / Vec::width;
  readTile(shape, views[0], tile, at.rows);
  for (int64_t i = 0; i < kTileRows * stride; i += Vec::width) (Vec::load(at.rows + i) * Vec::set(shape.scale)).store(at.rows + i);
  transpose(at.rows, stride, at.queries, kTileRows, kTileRows, headDim);
  const int64_t fewest = shape.visibleKeys(tile.sequence, tile.firstRow);
  const int64_t numKeys = shape.visibleKeys(tile.sequence, tile.firstRow + tile.numRows - 1);
  for (int64_t i = 0; i < kTileRows; i++) {
    const int64_t row = smaller(tile.firstRow + i, tile.firstRow + tile.numRows - 1);
    at.limits[i] = static_cast<float>(shape.visibleKeys(tile.sequence, row));
    at.maxima[i] = -__builtin_inff();
  }
  for (int64_t first = 0; first < numKeys; first += kTileKeys) {
    const int64_t count = smaller(kTileKeys, numKeys - first);
    const Rows keys = keyRows(shape, views[1], tile.sequence, tile.kvHead, first, count, at.keys);
    product(Factor<true>{keys.data, keys.stride}, at.queries, kTileRows, at.scores, kTileRows, count, numVectors, headDim, false);
    for (int64_t n = 0; n < numVectors; n++) {
      const int64_t lane = n * Vec::width;
      softmaxColumn(at.scores + lane, count, first, first + count > fewest, at.limits + lane, at.maxima + lane, at.sums + lane,
                    at.outputs + lane, headDim);
    }
    const Rows values = keyRows(shape, views[2], tile.sequence, tile.kvHead, first, count, at.values);
    product(Factor<false>{values.data, values.stride}, at.scores, kTileRows, at.outputs, kTileRows, headDim, numVectors, count, first > 0);
  }
  finishTile(shape, views[6], floatsOf(views[7]), tile, at, numVectors);
}

// Views q, k, v, qOffsets, kStarts, kLengths, o, logSumExp; numbers numHeads, numKvHeads, headDim, scale.
inline void attention(const View* views, const double* numbers, ThreadPool& pool) {
  const AttentionShape shape = attentionShape(views, numbers);
  int64_t numTiles = 0, work = 0;
  for (int64_t b = 0; b < shape.numSequences; b++) {
    if (isNarrow(shape, b)) continue;
    numTiles += shape.numTiles(b) * shape.numKvHeads;
    work += shape.numRows(b) * shape.kLengths[b] * shape.keyWidth() / 16;
  }
  QueryTile* tiles = static_cast<QueryTile*>(pool.sharedScratch(0, static_cast<size_t>(numTiles + 1) * sizeof(QueryTile)));
  int64_t count = 0;
  for (int64_t b = 0; b < shape.numSequences; b++)
    for (int64_t kvHead = 0; kvHead < shape.numKvHeads && !isNarrow(shape, b); kvHead++)
      for (int64_t first = (shape.numTiles(b) - 1) * kTileRows; first >= 0; first -= kTileRows)
        tiles[count++] = {b, kvHead, first, smaller(kTileRows, shape.numRows(b) - first)};
  const size_t scratchBytes = static_cast<size_t>(ForwardScratch::length(shape.paddedDim())) * sizeof(float);
  forTasks(pool, numTiles, work, [&](int64_t task, int thread) {
    forwardTile(shape, views, tiles[task], static_cast<float*>(pool.threadScratch(thread, 0, scratchBytes)));
  });
  decodeAttention(shape, views, pool);
}

}  // namespace selkie::SELKIE_ISA

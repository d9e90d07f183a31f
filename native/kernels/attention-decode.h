// Attention of sequences with very few query rows, which is decoding from a cache: reading keys and values once is all
// the cost, so every query head of a kv head is served by one pass. Long caches are cut into pieces of fixed length that
// threads share; the pieces merge in order (Flash-Decoding), so results do not depend on the number of threads.
#pragma once

#include "attention-tile.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kNarrowRows = 8;    // query rows of one kv head up to which this kernel is the faster one
constexpr int64_t kNarrowKeys = 512;  // keys per piece

inline bool isNarrow(const AttentionShape& shape, int64_t sequence) { return shape.numRows(sequence) <= kNarrowRows; }

// Piece `piece` of the keys of one sequence and kv head.
struct KeyPiece {
  int64_t sequence, kvHead, piece;
};

// How many keys ahead to ask for: the rows of one head are spread out, and the processor's own prefetcher does not follow.
constexpr int64_t kKeysAhead = 16;

template <typename T>
inline void prefetchRow(const T* row, int64_t length) {
  for (int64_t e = 0; e < length; e += 64 / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(row + e, 0, 2);
}

// scores[r][j] = queries[r] · keys[j] for R query rows.
template <int R, typename T>
inline void narrowScores(const float* queries, int64_t queryStride, const T* keys, int64_t keyStride, int64_t numKeys,
                         int64_t headDim, float* scores) {
  for (int64_t j = 0; j < numKeys; j++) {
    prefetchRow(keys + (j + kKeysAhead) * keyStride, headDim);
    Vec sums[R];
    for (int r = 0; r < R; r++) sums[r] = Vec::zero();
    forVectors(0, headDim, [&](int64_t e, auto lanes) {
      const Vec key = loadLanes(keys + j * keyStride + e, lanes);
      for (int r = 0; r < R; r++) sums[r] = fma(Vec::load(queries + r * queryStride + e), key, sums[r]);
    });
    for (int r = 0; r < R; r++) scores[r * kNarrowKeys + j] = reduceAdd(sums[r]);
  }
}

// outputs[r][N vectors] = Σ_j weights[r][j] · values[j].
template <int R, int N, typename T, typename Lanes>
inline void narrowPanel(const float* weights, const T* values, int64_t valueStride, int64_t numKeys, float* outputs,
                        int64_t outputStride, Lanes lanes) {
  Vec sums[R][N];
  for (int r = 0; r < R; r++)
    for (int n = 0; n < N; n++) sums[r][n] = Vec::zero();
  for (int64_t j = 0; j < numKeys; j++) {
    prefetchRow(values + (j + kKeysAhead) * valueStride, N * Vec::width);
    for (int n = 0; n < N; n++) {
      const Vec value = loadLanes(values + j * valueStride + n * Vec::width, lanes);
      for (int r = 0; r < R; r++) sums[r][n] = fma(Vec::set(weights[r * kNarrowKeys + j]), value, sums[r][n]);
    }
  }
  for (int r = 0; r < R; r++)
    for (int n = 0; n < N; n++) sums[r][n].store(outputs + r * outputStride + n * Vec::width);
}

template <int R, typename T>
inline void narrowOutputs(const float* weights, const T* values, int64_t valueStride, int64_t numKeys, int64_t headDim,
                          float* outputs, int64_t outputStride) {
  int64_t e = 0;
  for (; e + kPanel * Vec::width <= headDim; e += kPanel * Vec::width)
    narrowPanel<R, kPanel>(weights, values + e, valueStride, numKeys, outputs + e, outputStride, AllLanes{});
  for (; e + Vec::width <= headDim; e += Vec::width)
    narrowPanel<R, 1>(weights, values + e, valueStride, numKeys, outputs + e, outputStride, AllLanes{});
  if (e < headDim) narrowPanel<R, 1>(weights, values + e, valueStride, numKeys, outputs + e, outputStride, headDim - e);
}

// Base-2 scores to weights; keys before `begin` and from `visible` on get weight 0. Writes maximum and sum.
inline void narrowSoftmax(float* scores, int64_t numKeys, int64_t begin, int64_t visible, float* statistics) {
  const int64_t end = (numKeys + Vec::width - 1) / Vec::width * Vec::width;  // at most kNarrowKeys
  for (int64_t j = 0; j < begin; j++) scores[j] = -__builtin_inff();
  for (int64_t j = visible; j < end; j++) scores[j] = -__builtin_inff();
  Vec most = Vec::set(-__builtin_inff());
  for (int64_t j = 0; j < end; j += Vec::width) most = max(most, Vec::load(scores + j));
  const float maximum = reduceMax(most);
  const Vec base = Vec::set(maximum > -__builtin_inff() ? maximum : 0.0f);  // a piece of which nothing is seen
  Vec sum = Vec::zero();
  for (int64_t j = 0; j < end; j += Vec::width) {
    const Vec weight = exp2Weight(Vec::load(scores + j) - base);
    weight.store(scores + j);
    sum = sum + weight;
  }
  for (int64_t j = 0; j < begin; j++) scores[j] = 0;  // exp2Weight is never quite 0
  for (int64_t j = visible; j < end; j++) scores[j] = 0;
  statistics[0] = maximum;
  statistics[1] = reduceAdd(sum);
}

// Sizes of one row's partial result: its outputs, then maximum and sum.
inline int64_t partialLength(const AttentionShape& shape) { return Carver::roundUp(shape.paddedDim() + 2); }

// The keys of a sequence that its query rows see, and so all that this kernel reads of it.
inline int64_t narrowBegin(const AttentionShape& shape, int64_t sequence) { return shape.firstKey(sequence, 0); }
inline int64_t narrowEnd(const AttentionShape& shape, int64_t sequence) {
  return shape.endKey(sequence, shape.numRows(sequence) - 1);
}

template <int R, typename T>
inline void narrowRows(const AttentionShape& shape, const T* k, const T* v, const KeyPiece& item, const float* queries,
                       int64_t firstRow, float* scores, float* partials) {
  const int64_t stride = shape.keyWidth(), firstKey = narrowBegin(shape, item.sequence) + item.piece * kNarrowKeys;
  const int64_t at = shape.keyOffset(item.sequence, item.kvHead, firstKey);
  const int64_t numKeys = smaller(kNarrowKeys, narrowEnd(shape, item.sequence) - firstKey);
  const auto inPiece = [=](int64_t key) { return smaller(numKeys, larger<int64_t>(0, key - firstKey)); };
  narrowScores<R>(queries, shape.paddedDim(), k + at, stride, numKeys, shape.headDim, scores);
  for (int r = 0; r < R; r++) {
    narrowSoftmax(scores + r * kNarrowKeys, numKeys, inPiece(shape.firstKey(item.sequence, firstRow + r)),
                  inPiece(shape.endKey(item.sequence, firstRow + r)),
                  partials + r * partialLength(shape) + shape.paddedDim());
  }
  narrowOutputs<R>(scores, v + at, stride, numKeys, shape.headDim, partials, partialLength(shape));
}

// All query rows of one piece, four at a time.
template <typename T>
inline void narrowPiece(const AttentionShape& shape, const View* views, const KeyPiece& item, float* memory,
                        float* partials) {
  const int64_t stride = shape.paddedDim(), numRows = shape.numRows(item.sequence);
  Carver carver{memory};
  float* queries = carver.take(4 * stride);
  float* scores = carver.take(4 * kNarrowKeys + Vec::width);
  const T* k = static_cast<const T*>(views[1].data);
  const T* v = static_cast<const T*>(views[2].data);
  for (int64_t first = 0; first < numRows; first += 4) {
    const int64_t count = smaller<int64_t>(4, numRows - first);
    for (int64_t r = 0; r < count; r++)
      readRow(views[0], shape.queryOffset(item.sequence, item.kvHead, first + r), queries + r * stride, shape.headDim,
              shape.scale * kLog2E);
    float* target = partials + first * partialLength(shape);
    if (count == 4) narrowRows<4>(shape, k, v, item, queries, first, scores, target);
    if (count == 3) narrowRows<3>(shape, k, v, item, queries, first, scores, target);
    if (count == 2) narrowRows<2>(shape, k, v, item, queries, first, scores, target);
    if (count == 1) narrowRows<1>(shape, k, v, item, queries, first, scores, target);
  }
}

// One query row: the partial results of its pieces become its output and logSumExp.
inline void mergePieces(const AttentionShape& shape, const View* views, int64_t sequence, int64_t kvHead, int64_t row,
                        float* partials, int64_t pieceStride, int64_t numPieces) {
  const int64_t dim = shape.paddedDim(), statistic = shape.statisticOffset(sequence, kvHead, row);
  if (shape.firstKey(sequence, row) >= shape.endKey(sequence, row))
    return writeUnattended(shape, views, statistic, partials);
  float maximum = -__builtin_inff();
  for (int64_t piece = 0; piece < numPieces; piece++) maximum = larger(maximum, partials[piece * pieceStride + dim]);
  float total = 0;
  for (int64_t piece = 0; piece < numPieces; piece++) {
    float* partial = partials + piece * pieceStride;
    const float weight = exp((partial[dim] - maximum) * kLn2);
    total += weight * partial[dim + 1];
    for (int64_t e = 0; e < dim; e += Vec::width) {
      const Vec scaled = Vec::load(partial + e) * Vec::set(weight);
      (piece == 0 ? scaled : Vec::load(partials + e) + scaled).store(partials + e);
    }
  }
  writeAttended(shape, views, statistic, partials, total, maximum * kLn2 + __builtin_logf(total));
}

// One without keys where no row sees any.
inline int64_t numPiecesOf(const AttentionShape& shape, int64_t sequence) {
  const int64_t numKeys = narrowEnd(shape, sequence) - narrowBegin(shape, sequence);
  return larger<int64_t>(1, (numKeys + kNarrowKeys - 1) / kNarrowKeys);
}

// The sequences for which isNarrow holds; views as in attention.h.
inline void decodeAttention(const AttentionShape& shape, const View* views, ThreadPool& pool) {
  int64_t numItems = 0, work = 0;
  for (int64_t b = 0; b < shape.numSequences; b++) {
    if (!isNarrow(shape, b) || shape.numRows(b) == 0) continue;
    numItems += numPiecesOf(shape, b) * shape.numKvHeads;
    work += (narrowEnd(shape, b) - narrowBegin(shape, b)) * shape.keyWidth();
  }
  if (numItems == 0) return;
  KeyPiece* items = static_cast<KeyPiece*>(pool.sharedScratch(0, static_cast<size_t>(numItems) * sizeof(KeyPiece)));
  int64_t count = 0;
  for (int64_t b = 0; b < shape.numSequences; b++)
    for (int64_t kvHead = 0; kvHead < shape.numKvHeads && isNarrow(shape, b) && shape.numRows(b) > 0; kvHead++)
      for (int64_t piece = 0; piece < numPiecesOf(shape, b); piece++) items[count++] = {b, kvHead, piece};
  const int64_t pieceStride = kNarrowRows * partialLength(shape);
  float* partials = static_cast<float*>(pool.sharedScratch(1, static_cast<size_t>(numItems * pieceStride) * sizeof(float)));
  const size_t scratchBytes = static_cast<size_t>(4 * shape.paddedDim() + 4 * kNarrowKeys + 64) * sizeof(float);
  forTasks(pool, numItems, work, [&](int64_t task, int thread) {
    float* memory = static_cast<float*>(pool.threadScratch(thread, 0, scratchBytes));
    float* target = partials + task * pieceStride;
    if (views[1].dtype == kBf16) narrowPiece<bf16>(shape, views, items[task], memory, target);
    else narrowPiece<float>(shape, views, items[task], memory, target);
  });
  for (int64_t at = 0; at < numItems; at += numPiecesOf(shape, items[at].sequence))
    for (int64_t row = 0; row < shape.numRows(items[at].sequence); row++)
      mergePieces(shape, views, items[at].sequence, items[at].kvHead, row,
                  partials + at * pieceStride + row * partialLength(shape), pieceStride,
                  numPiecesOf(shape, items[at].sequence));
}

}  // namespace selkie::SELKIE_ISA

// Attention forward on tile registers, for bf16. An item packs the keys and values that its query rows see, once, then
// takes its query rows in tiles of kForwardRows; over blocks of kForwardKeys keys, spans of 32 query rows update their
// running maximum, sum and outputs (FlashAttention-2). Weights are rounded to bf16, sums and outputs stay f32.
#pragma once

#include "attention-amx.h"

#if defined(__AMX_BF16__)

namespace selkie::SELKIE_ISA {

constexpr int64_t kForwardRows = 1024;  // packed keys and values stream from the level 2 cache once per so many query rows
constexpr int64_t kForwardKeys = 128;  // scores and weights of one span stay in the level 1 cache

// What 32 query rows carry from one block of keys to the next.
struct ForwardSpan {
  RowPlaces rows;
  float maxima[kSpan], sums[kSpan];                 // of the scores so far
  int64_t fewest, most;                             // visible keys of the first and of the last row
};

// Scratch of one item.
struct ForwardTiles {
  bf16 *keys, *values;  // left factors: [key tiles, deep]; transposed [key spans, broad]
  bf16* queries;        // right factors [spans, 2, deep]
  float* outputs;       // sums [spans, broad, 2 interleaved]
  float* scores;        // [keys, 32]
  bf16* weights;        // right factors [key spans, 2 interleaved]
  float* rows;          // [32, 16 broad]

  static int64_t length(const HeadTiles& tiles, int64_t numKeys) {
    const int64_t spans = kForwardRows / kSpan;
    return (spansOf(numKeys) + spans) * tiles.deep * kTileNumbers + spansOf(numKeys) * tiles.broad * kTileNumbers / 2 +
           spans * tiles.broad * 2 * kTileSums + kForwardKeys * kSpan * 3 / 2 + kSpan * tiles.broad * 16;
  }
  ForwardTiles(float* memory, const HeadTiles& tiles, int64_t numKeys) {
    const int64_t spans = kForwardRows / kSpan;
    Carver carver{memory};
    const auto takeTiles = [&](int64_t count) { return reinterpret_cast<bf16*>(carver.take(count * kTileNumbers / 2)); };
    keys = takeTiles(2 * spansOf(numKeys) * tiles.deep);
    values = takeTiles(spansOf(numKeys) * tiles.broad);
    queries = takeTiles(2 * spans * tiles.deep);
    outputs = carver.take(spans * tiles.broad * 2 * kTileSums);
    scores = carver.take(kForwardKeys * kSpan);
    weights = takeTiles(kForwardKeys / kSpan * 2);
    rows = carver.take(kSpan * tiles.broad * 16);
  }
};

// Scores of `numKeys` (whole spans) keys become weights; maxima and sums move on. True when a maximum grew; `decays`
// says what that leaves of everything summed so far.
template <bool kIsMasked>
inline bool softmaxSpan(const float* scores, int64_t numKeys, int64_t firstKey, float factor, ForwardSpan& span,
                        bf16* weights, Vec* decays) {
  const Vec limits[2] = {Vec::load(span.rows.limits), Vec::load(span.rows.limits + 16)};
  const auto masked = [&](Vec value, int64_t j, int half, float otherwise) {
    if constexpr (!kIsMasked) return value;
    return select(lessThan(Vec::set(static_cast<float>(firstKey + j)), limits[half]), value, Vec::set(otherwise));
  };
  const Vec before[2] = {Vec::load(span.maxima), Vec::load(span.maxima + 16)};
  Vec most[4] = {before[0], before[1], before[0], before[1]};
  for (int64_t j = 0; j < numKeys; j += 2)
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
      most[i] = max(most[i], masked(Vec::load(scores + j * kSpan + i * 16), j + i / 2, i % 2, kMasked));
  const Vec after[2] = {max(most[0], most[2]), max(most[1], most[3])};
  const Vec scale = Vec::set(factor);
  const Vec shifts[2] = {negate(scale * after[0]), negate(scale * after[1])};
  Vec sums[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
  for (int64_t j = 0; j < numKeys; j += 2) {
    Vec pair[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      const Vec weight = exp2Weight(fma(Vec::load(scores + j * kSpan + i * 16), scale, shifts[i % 2]));
      pair[i] = masked(weight, j + i / 2, i % 2, 0);
      sums[i] = sums[i] + pair[i];
    }
    bf16* target = weights + j / kSpan * 2 * kTileNumbers + j % kSpan / 2 * kSpan;
    interleaveRows(narrowPair(pair[0], pair[1]), narrowPair(pair[2], pair[3]), target, target + kTileNumbers);
  }
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    decays[half] = exp2Weight(fma(before[half], scale, shifts[half]));
    after[half].store(span.maxima + half * 16);
    fma(Vec::load(span.sums + half * 16), decays[half], sums[half] + sums[half + 2]).store(span.sums + half * 16);
  }
  return (lessThan(before[0], after[0]) | lessThan(before[1], after[1])) != 0;
}

// outputs [broad, 2 interleaved tiles] times one number per query row.
inline void scaleOutputs(float* outputs, int64_t broad, Vec low, Vec high) {
  const Vec factors[2] = {interleavedFirst(low, high), interleavedSecond(low, high)};
  for (int64_t tile = 0; tile < 2 * broad; tile++)
    for (int64_t i = 0; i < kTileSums; i += 16) {
      float* at = outputs + tile * kTileSums + i;
      (factors[tile % 2] * Vec::load(at)).store(at);
    }
}

inline void packForwardKeys(const AttentionShape& shape, const View* views, const AttentionItem& item,
                            const HeadTiles& tiles, const ForwardTiles& at) {
  for (int64_t first = 0; first < item.numKeys; first += kSpan) {
    const int64_t count = smaller(kSpan, item.numKeys - first), offset = shape.keyOffset(item.sequence, item.kvHead, first);
    const bf16* keys = static_cast<const bf16*>(views[1].data) + offset;
    const bf16* values = static_cast<const bf16*>(views[2].data) + offset;
    const int64_t stride = shape.keyWidth(), headDim = shape.headDim;
    packLeft(HeadRows(keys, stride, count, headDim), tiles, at.keys + first / kSpan * 2 * tiles.deep * kTileNumbers);
    packLeftTransposed(HeadRows(values, stride, count, headDim), tiles, at.values + first / kSpan * tiles.broad * kTileNumbers);
  }
}

// One span of query rows over one block of keys.
inline void forwardBlock(const HeadTiles& tiles, const ForwardTiles& at, int64_t index, int64_t first, float factor,
                         ForwardSpan& span) {
  const int64_t keySpans = spansOf(smaller(kForwardKeys, span.most - first)), numKeys = keySpans * kSpan;
  const TileFactor queries = {at.queries + index * 2 * tiles.deep * kTileNumbers, tiles.deep * kTileNumbers, kTileNumbers};
  const TileFactor keys = {at.keys + first / 16 * tiles.deep * kTileNumbers, tiles.deep * kTileNumbers, kTileNumbers};
  multiplyTall(keys, queries, {at.scores, 16 * kSpan, 16, kSpan}, 2 * keySpans, tiles.deep, false);
  Vec decays[2];
  const auto softmax = first + numKeys > span.fewest ? softmaxSpan<true> : softmaxSpan<false>;
  float* outputs = at.outputs + index * 2 * tiles.broad * kTileSums;
  const bool hasGrown = softmax(at.scores, numKeys, first, factor, span, at.weights, decays);
  if (hasGrown && first > 0) scaleOutputs(outputs, tiles.broad, decays[0], decays[1]);
  const TileFactor values = {at.values + first / kSpan * tiles.broad * kTileNumbers, kTileNumbers,
                             tiles.broad * kTileNumbers};
  multiplyTall(values, {at.weights, kTileNumbers, 2 * kTileNumbers}, {outputs, 2 * kTileSums, kTileSums, 16}, tiles.broad,
               keySpans, first > 0);
}

inline void openSpan(const AttentionShape& shape, const View* views, const QueryTile& rows, const HeadTiles& tiles,
                     bf16* queries, ForwardSpan& span) {
  span.rows.fill(shape, rows, kSpan);
  packRightTransposed(HeadRows(views[0], span.rows, shape.headDim), tiles, queries);
  for (int64_t i = 0; i < kSpan; i++) {
    span.maxima[i] = kMasked;
    span.sums[i] = 0;
  }
  span.fewest = static_cast<int64_t>(span.rows.limits[0]);
  span.most = static_cast<int64_t>(span.rows.limits[rows.numRows - 1]);
}

inline void closeSpan(const AttentionShape& shape, const View* views, const HeadTiles& tiles, const float* outputs,
                      float* scratch, const ForwardSpan& span) {
  const int64_t stride = tiles.broad * 16;
  untangleRows(outputs, tiles, scratch, stride);
  for (int64_t i = 0; i < span.rows.count; i++) {
    const int64_t place = span.rows.places[i];
    writeRow(views[6], place * shape.headDim, scratch + i * stride, shape.headDim, 1.0f / span.sums[i], false);
    floatsOf(views[7])[place] = span.maxima[i] * shape.scale + __builtin_logf(span.sums[i]);
  }
}

inline void forwardTiles(const AttentionShape& shape, const View* views, const AttentionItem& item, float* memory) {
  const HeadTiles tiles(shape.headDim);
  const ForwardTiles at(memory, tiles, item.numKeys);
  packForwardKeys(shape, views, item, tiles, at);
  ForwardSpan spans[kForwardRows / kSpan];
  for (int64_t row = item.firstRow; row < item.endRow; row += kForwardRows) {
    const int64_t numSpans = spansOf(smaller(kForwardRows, item.endRow - row));
    const auto rowsOf = [&](int64_t s) {
      const int64_t first = row + s * kSpan;
      return QueryTile{item.sequence, item.kvHead, first, smaller(kSpan, item.endRow - first)};
    };
    for (int64_t s = 0; s < numSpans; s++)
      openSpan(shape, views, rowsOf(s), tiles, at.queries + s * 2 * tiles.deep * kTileNumbers, spans[s]);
    for (int64_t first = 0; first < spans[numSpans - 1].most; first += kForwardKeys)
      for (int64_t s = 0; s < numSpans; s++)
        if (first < spans[s].most) forwardBlock(tiles, at, s, first, shape.scale * kLog2E, spans[s]);
    for (int64_t s = 0; s < numSpans; s++)
      closeSpan(shape, views, tiles, at.outputs + s * 2 * tiles.broad * kTileSums, at.rows, spans[s]);
  }
}

}  // namespace selkie::SELKIE_ISA

#endif

// Attention forward on tile registers, for bf16. An item packs the keys and values that its query rows see, once. Panels of
// query rows and of keys share the level 2 cache. Inside, spans of 32 query rows stay in the level 1 cache while blocks of
// kForwardKeys keys update their running maximum, sum and outputs (FlashAttention-2). Weights are rounded to bf16, sums and
// outputs stay f32.
#pragma once

#include "attention-amx.h"

#if defined(__AMX_BF16__)

namespace selkie::SELKIE_ISA {

constexpr int64_t kForwardKeys = 64;    // longer blocks were slower: they push the outputs out of the level 1 cache
constexpr int64_t kForwardPanel = 1024;  // query rows, and keys, of a panel, at most

// Query rows, and keys, of a panel: all of it fills half of the level 2 cache.
inline int64_t forwardPanel(const HeadTiles& tiles) {
  const int64_t bytes = 2 * kSpan * (2 * tiles.deep + 3 * tiles.broad / 2);  // a query row with outputs, a key with value
  const int64_t wanted = static_cast<int64_t>(cacheSizes().l2) / 2 / bytes / kForwardKeys * kForwardKeys;
  return larger(kForwardKeys, smaller(kForwardPanel, wanted));
}

// What 32 query rows carry from one block of keys to the next.
struct ForwardSpan {
  RowPlaces rows;
  float maxima[kSpan], sums[kSpan];  // of the scores so far
  int64_t fewest, most;              // visible keys of the first and of the last row
};

// Scratch of one item.
struct ForwardTiles {
  bf16 *keys, *values;  // left factors: [key tiles, deep]; transposed [key spans, broad]
  bf16* queries;        // right factors [spans, 2, deep]
  float* outputs;       // sums [spans, broad, 2 interleaved]
  float* scores;        // [keys of a block, 32]
  bf16* weights;        // right factors [key spans, 2 interleaved]
  float* rows;          // [32, 16 broad]

  static int64_t length(const HeadTiles& tiles, int64_t numKeys) {
    const int64_t spans = forwardPanel(tiles) / kSpan;
    return (spansOf(numKeys) + spans) * tiles.deep * kTileNumbers + spansOf(numKeys) * tiles.broad * kTileNumbers / 2 +
           spans * tiles.broad * 2 * kTileSums + kForwardKeys * kSpan * 3 / 2 + kSpan * tiles.broad * 16;
  }
  ForwardTiles(float* memory, const HeadTiles& tiles, int64_t numKeys) {
    const int64_t spans = forwardPanel(tiles) / kSpan;
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

// One span of query rows and the block of keys from `first` on.
struct ForwardBlock {
  ForwardSpan* span;
  int64_t index, first, keySpans;  // index of the span in the panel
};

inline void scoreBlock(const HeadTiles& tiles, const ForwardTiles& at, const ForwardBlock& block) {
  const int64_t step = tiles.deep * kTileNumbers;
  multiplyTall({at.keys + block.first / 16 * step, step, kTileNumbers},
               {at.queries + block.index * 2 * step, step, kTileNumbers}, {at.scores, 16 * kSpan, 16, kSpan},
               2 * block.keySpans, tiles.deep, false);
}

inline void weighBlock(const HeadTiles& tiles, const ForwardTiles& at, const ForwardBlock& block, float factor) {
  const int64_t numKeys = block.keySpans * kSpan;
  const auto softmax = block.first + numKeys > block.span->fewest ? softmaxSpan<true> : softmaxSpan<false>;
  Vec decays[2];
  const bool hasGrown = softmax(at.scores, numKeys, block.first, factor, *block.span, at.weights, decays);
  if (hasGrown && block.first > 0)
    scaleOutputs(at.outputs + block.index * 2 * tiles.broad * kTileSums, tiles.broad, decays[0], decays[1]);
}

inline void addOutputs(const HeadTiles& tiles, const ForwardTiles& at, const ForwardBlock& block) {
  const int64_t step = tiles.broad * kTileNumbers;
  multiplyTall({at.values + block.first / kSpan * step, kTileNumbers, step},
               {at.weights, kTileNumbers, 2 * kTileNumbers},
               {at.outputs + block.index * 2 * tiles.broad * kTileSums, 2 * kTileSums, kTileSums, 16}, tiles.broad,
               block.keySpans, block.first > 0);
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

// All blocks of a panel of query rows. The scores of a block come before the outputs of the block before it, so that
// weights just written have reached the cache when tile registers ask for them.
inline void forwardBlocks(const HeadTiles& tiles, const ForwardTiles& at, ForwardSpan* spans, int64_t numSpans,
                          float factor) {
  ForwardBlock previous = {};
  const int64_t panelKeys = forwardPanel(tiles);
  for (int64_t panel = 0; panel < spans[numSpans - 1].most; panel += panelKeys)
    for (int64_t s = 0; s < numSpans; s++)
      for (int64_t first = panel; first < smaller(panel + panelKeys, spans[s].most); first += kForwardKeys) {
        const ForwardBlock block = {&spans[s], s, first, spansOf(smaller(kForwardKeys, spans[s].most - first))};
        scoreBlock(tiles, at, block);
        if (previous.span != nullptr) addOutputs(tiles, at, previous);
        weighBlock(tiles, at, block, factor);
        previous = block;
      }
  addOutputs(tiles, at, previous);
}

inline void forwardTiles(const AttentionShape& shape, const View* views, const AttentionItem& item, float* memory) {
  const HeadTiles tiles(shape.headDim);
  const ForwardTiles at(memory, tiles, item.numKeys);
  packForwardKeys(shape, views, item, tiles, at);
  ForwardSpan spans[kForwardPanel / kSpan];
  const int64_t panelRows = forwardPanel(tiles);
  for (int64_t row = item.firstRow; row < item.endRow; row += panelRows) {
    const int64_t numSpans = spansOf(smaller(panelRows, item.endRow - row));
    const auto rowsOf = [&](int64_t s) {
      const int64_t first = row + s * kSpan;
      return QueryTile{item.sequence, item.kvHead, first, smaller(kSpan, item.endRow - first)};
    };
    for (int64_t s = 0; s < numSpans; s++)
      openSpan(shape, views, rowsOf(s), tiles, at.queries + s * 2 * tiles.deep * kTileNumbers, spans[s]);
    forwardBlocks(tiles, at, spans, numSpans, shape.scale * kLog2E);
    for (int64_t s = 0; s < numSpans; s++)
      closeSpan(shape, views, tiles, at.outputs + s * 2 * tiles.broad * kTileSums, at.rows, spans[s]);
  }
}

}  // namespace selkie::SELKIE_ISA

#endif

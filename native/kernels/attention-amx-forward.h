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
  TileKeys keys;
  int64_t firstKey;  // of its first block: `keys.begin`, in whole spans
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
template <Mask kMask>
inline bool softmaxSpan(const float* scores, int64_t numKeys, int64_t firstKey, float factor, ForwardSpan& span,
                        bf16* weights, Vec* decays) {
  const Vec begins[2] = {Vec::load(span.rows.begins), Vec::load(span.rows.begins + 16)};
  const Vec ends[2] = {Vec::load(span.rows.ends), Vec::load(span.rows.ends + 16)};
  const auto masked = [&](Vec value, int64_t j, int half, float otherwise) {
    return visible<kMask>(firstKey + j, begins[half], ends[half], value, Vec::set(otherwise));
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
    // of a row that has seen nothing so far, scale · kMasked is too large for its rounding to cancel
    if constexpr (kMask == Mask::ranges)
      decays[half] = select(lessThan(before[half], after[half]), decays[half], Vec::set(1.0f));
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
    const int64_t count = smaller(kSpan, item.numKeys - first), offset = shape.keyOffset(item.sequence, item.kvHead, item.firstKey + first);
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

inline void weighBlock(const AttentionShape& shape, const HeadTiles& tiles, const ForwardTiles& at,
                       const ForwardBlock& block, float factor) {
  const int64_t numKeys = block.keySpans * kSpan;
  const Mask mask = maskOf(shape, block.span->keys.isMasked(block.first, block.first + numKeys));
  const auto softmax = mask == Mask::none ? softmaxSpan<Mask::none>
                       : mask == Mask::ends ? softmaxSpan<Mask::ends>
                                            : softmaxSpan<Mask::ranges>;
  Vec decays[2];
  const bool hasGrown = softmax(at.scores, numKeys, block.first, factor, *block.span, at.weights, decays);
  if (hasGrown && block.first > block.span->firstKey)
    scaleOutputs(at.outputs + block.index * 2 * tiles.broad * kTileSums, tiles.broad, decays[0], decays[1]);
}

inline void addOutputs(const HeadTiles& tiles, const ForwardTiles& at, const ForwardBlock& block) {
  const int64_t step = tiles.broad * kTileNumbers;
  multiplyTall({at.values + block.first / kSpan * step, kTileNumbers, step},
               {at.weights, kTileNumbers, 2 * kTileNumbers},
               {at.outputs + block.index * 2 * tiles.broad * kTileSums, 2 * kTileSums, kTileSums, 16}, tiles.broad,
               block.keySpans, block.first > block.span->firstKey);
}

inline void openSpan(const AttentionShape& shape, const View* views, const QueryTile& rows, const HeadTiles& tiles,
                     bf16* queries, ForwardSpan& span) {
  span.rows.fill(shape, rows, kSpan);
  packRightTransposed(HeadRows(views[0], span.rows, shape.headDim), tiles, queries);
  for (int64_t i = 0; i < kSpan; i++) {
    span.maxima[i] = kMasked;
    span.sums[i] = 0;
  }
  const int64_t last = rows.numRows - 1;
  span.keys = {static_cast<int64_t>(span.rows.begins[0]), static_cast<int64_t>(span.rows.ends[last]),
               static_cast<int64_t>(span.rows.begins[last]), static_cast<int64_t>(span.rows.ends[0])};
  span.firstKey = span.keys.begin / kSpan * kSpan;
}

inline void closeSpan(const AttentionShape& shape, const View* views, const HeadTiles& tiles, const float* outputs,
                      float* scratch, const ForwardSpan& span) {
  const int64_t stride = tiles.broad * 16;
  untangleRows(outputs, tiles, scratch, stride);
  for (int64_t i = 0; i < span.rows.count; i++) {
    const int64_t place = span.rows.places[i];
    float* output = scratch + i * stride;
    if (span.rows.begins[i] < span.rows.ends[i])
      writeAttended(shape, views, place, output, span.sums[i], span.maxima[i] * shape.scale + __builtin_logf(span.sums[i]));
    else
      writeUnattended(shape, views, place, output);
  }
}

// All blocks of a panel of query rows. The scores of a block come before the outputs of the block before it, so that
// weights just written have reached the cache when tile registers ask for them.
inline void forwardBlocks(const AttentionShape& shape, const HeadTiles& tiles, const ForwardTiles& at, ForwardSpan* spans,
                          int64_t numSpans) {
  ForwardBlock previous = {};
  const int64_t panelKeys = forwardPanel(tiles);
  for (int64_t panel = spans[0].firstKey; panel < spans[numSpans - 1].keys.end; panel += panelKeys)
    for (int64_t s = 0; s < numSpans; s++) {
      const int64_t end = smaller(panel + panelKeys, spans[s].keys.end);
      for (int64_t first = larger(panel, spans[s].firstKey); first < end; first += kForwardKeys) {
        const ForwardBlock block = {&spans[s], s, first, spansOf(smaller(kForwardKeys, end - first))};
        scoreBlock(tiles, at, block);
        if (previous.span != nullptr) addOutputs(tiles, at, previous);
        weighBlock(shape, tiles, at, block, shape.scale * kLog2E);
        previous = block;
      }
    }
  if (previous.span != nullptr) addOutputs(tiles, at, previous);
}

inline void forwardTiles(const AttentionShape& shape, const View* views, const AttentionItem& item, float* memory) {
  const HeadTiles tiles(shape.headDim);
  const ForwardTiles at(memory, tiles, item.numKeys);
  packForwardKeys(shape, views, item, tiles, at);
  ForwardSpan spans[kForwardPanel / kSpan];
  const int64_t panelRows = forwardPanel(tiles);
  for (int64_t row = item.firstRow; row < item.endRow; row += panelRows) {
    const int64_t numSpans = spansOf(smaller(panelRows, item.endRow - row));
    for (int64_t s = 0; s < numSpans; s++)
      openSpan(shape, views, item.tile(row + s * kSpan, kSpan), tiles, at.queries + s * 2 * tiles.deep * kTileNumbers,
               spans[s]);
    forwardBlocks(shape, tiles, at, spans, numSpans);
    for (int64_t s = 0; s < numSpans; s++)
      closeSpan(shape, views, tiles, at.outputs + s * 2 * tiles.broad * kTileSums, at.rows, spans[s]);
  }
}

}  // namespace selkie::SELKIE_ISA

#endif

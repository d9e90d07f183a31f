// Gradients of attention on tile registers, for bf16. An item packs the keys and values that it sees, once, then takes its
// query rows in panels whose packed forms fill half of the level 2 cache: keys, dK and dV pass through it once per panel.
// Over blocks of kBackwardKeys keys, tiles of kBackwardRows rows of the panel recompute probabilities and gradients of
// scores, 32 by 32, round both to bf16, and add to dV, dK and dQ with the whole tile or block as depth.
#pragma once

#include "attention-amx.h"
#include "attention-gradients.h"

#if defined(__AMX_BF16__)

namespace selkie::SELKIE_ISA {

constexpr int64_t kBackwardRows = 128;
constexpr int64_t kBackwardKeys = 128;

constexpr int64_t kPanelTiles = 16;  // at most, in a panel

// One number per query row of a span; rows past the last one have weight 0.
struct GradStatistics {
  float begins[kSpan];  // visible keys
  float ends[kSpan];
  float shifts[kSpan];  // -logSumExp, to base 2
  float deltas[kSpan];  // rowsum(dO ⊙ O)
};

// Rows of a panel, whole tiles.
inline int64_t panelRows(const HeadTiles& tiles, int64_t numRows) {
  const int64_t rowBytes = 2 * kSpan * (2 * tiles.deep + 3 * tiles.broad);  // four packed forms and dQ
  const int64_t wanted = static_cast<int64_t>(cacheSizes().l2) / 2 / rowBytes;
  const int64_t numTiles = (smaller(wanted, numRows) + kBackwardRows - 1) / kBackwardRows;
  return larger<int64_t>(1, smaller(kPanelTiles, numTiles)) * kBackwardRows;
}

// Scratch of one item.
struct BackwardTiles {
  bf16 *keys, *values, *keysAsDepth;          // left factors: [key tiles, deep] twice, transposed [key spans, broad]
  bf16 *queries, *gradOutputs;                // right factors with rows as columns [spans, 2, deep]
  bf16 *queriesAsDepth, *gradOutputsAsDepth;  // right factors with rows as depth [spans, broad]
  float* gradQueries;                         // sums [spans, broad, 2 interleaved]
  float *scores, *gradWeights;                // [32 keys, 32 query rows]
  bf16 *weights, *gradScores;                 // left factors [key tiles of a block, spans]
  bf16* gradScoresAsDepth;                    // right factors [key spans of a block, spans, 2 interleaved]
  float* rows;                                // [32, 16 broad]
  GradStatistics* statistics;                 // [spans]

  template <typename Take>
  void layOut(const Take& take, const HeadTiles& tiles, int64_t numRows, int64_t numKeys) {
    constexpr int64_t tileSpans = kBackwardRows / kSpan, keyTiles = kBackwardKeys / 16;
    const int64_t spans = panelRows(tiles, numRows) / kSpan;
    const auto takeTiles = [&](int64_t count) { return reinterpret_cast<bf16*>(take(count * kTileNumbers / 2)); };
    keys = takeTiles(2 * spansOf(numKeys) * tiles.deep);
    values = takeTiles(2 * spansOf(numKeys) * tiles.deep);
    keysAsDepth = takeTiles(spansOf(numKeys) * tiles.broad);
    queries = takeTiles(2 * spans * tiles.deep);
    gradOutputs = takeTiles(2 * spans * tiles.deep);
    queriesAsDepth = takeTiles(spans * tiles.broad);
    gradOutputsAsDepth = takeTiles(spans * tiles.broad);
    gradQueries = take(2 * spans * tiles.broad * kTileSums);
    scores = take(kSpan * kSpan);
    gradWeights = take(kSpan * kSpan);
    weights = takeTiles(keyTiles * tileSpans);
    gradScores = takeTiles(keyTiles * tileSpans);
    gradScoresAsDepth = takeTiles(keyTiles * tileSpans);
    rows = take(kSpan * tiles.broad * 16);
    statistics = reinterpret_cast<GradStatistics*>(take(spans * static_cast<int64_t>(sizeof(GradStatistics) / sizeof(float))));
  }
  static int64_t length(const HeadTiles& tiles, int64_t numRows, int64_t numKeys) {
    int64_t total = 0;
    BackwardTiles().layOut(
        [&](int64_t length) {
          total += Carver::roundUp(length);
          return static_cast<float*>(nullptr);
        },
        tiles, numRows, numKeys);
    return total;
  }
  BackwardTiles() = default;
  BackwardTiles(float* memory, const HeadTiles& tiles, int64_t numRows, int64_t numKeys) {
    Carver carver{memory};
    layOut([&](int64_t length) { return carver.take(length); }, tiles, numRows, numKeys);
  }
};

inline void packBackwardKeys(const BackwardCall& call, const AttentionItem& item, const HeadTiles& tiles,
                             const BackwardTiles& at) {
  const AttentionShape& shape = call.shape;
  const int64_t stride = shape.keyWidth(), headDim = shape.headDim;
  for (int64_t first = 0; first < item.numKeys; first += kSpan) {
    const int64_t count = smaller(kSpan, item.numKeys - first), offset = shape.keyOffset(item.sequence, item.kvHead, item.firstKey + first);
    const bf16* k = static_cast<const bf16*>(call.k().data) + offset;
    const bf16* v = static_cast<const bf16*>(call.v().data) + offset;
    const HeadRows keys(k, stride, count, headDim), values(v, stride, count, headDim);
    packLeft(keys, tiles, at.keys + first / 16 * tiles.deep * kTileNumbers);
    packLeft(values, tiles, at.values + first / 16 * tiles.deep * kTileNumbers);
    packLeftTransposed(keys, tiles, at.keysAsDepth + first / kSpan * tiles.broad * kTileNumbers);
  }
}

// Packs 32 query rows and forms their statistics.
inline void openSpan(const BackwardCall& call, const QueryTile& rows, int64_t index, const HeadTiles& tiles,
                     const BackwardTiles& at) {
  const AttentionShape& shape = call.shape;
  const int64_t headDim = shape.headDim;
  RowPlaces places;
  places.fill(shape, rows, kSpan);
  const HeadRows queries(call.q(), places, headDim), gradOutputs(call.gradO(), places, headDim);
  const HeadRows outputs(call.o(), places, headDim);
  packRightTransposed(queries, tiles, at.queries + index * 2 * tiles.deep * kTileNumbers);
  packRightTransposed(gradOutputs, tiles, at.gradOutputs + index * 2 * tiles.deep * kTileNumbers);
  packRight(queries, tiles, at.queriesAsDepth + index * tiles.broad * kTileNumbers);
  packRight(gradOutputs, tiles, at.gradOutputsAsDepth + index * tiles.broad * kTileNumbers);
  GradStatistics& statistics = at.statistics[index];
  for (int64_t i = 0; i < kSpan; i++) {
    statistics.begins[i] = places.begins[i];
    statistics.ends[i] = places.ends[i];
    statistics.shifts[i] = kMasked;
    statistics.deltas[i] = 0;
    if (i >= rows.numRows) continue;
    statistics.shifts[i] = -kLog2E * call.logSumExp()[places.places[i]];
    statistics.deltas[i] = sumVectors(headDim, [=, &outputs, &gradOutputs](int64_t e, auto lanes) {
      return loadLanes(outputs.rows[i] + e, lanes) * loadLanes(gradOutputs.rows[i] + e, lanes);
    });
  }
}

// 32 by 32 scores and dO Vᵀ become probabilities and gradients of scores, in the forms that products need.
template <Mask kMask>
inline void gradBlock(const BackwardTiles& at, const GradStatistics& statistics, int64_t firstKey, float factor,
                      bf16* weights, bf16* gradScores, int64_t nextKeyTile, bf16* gradScoresAsDepth) {
  const Vec scale = Vec::set(factor);
  Vec begins[2], ends[2], shifts[2], deltas[2];
  for (int half = 0; half < 2; half++) {
    begins[half] = Vec::load(statistics.begins + half * 16);
    ends[half] = Vec::load(statistics.ends + half * 16);
    shifts[half] = Vec::load(statistics.shifts + half * 16);
    deltas[half] = Vec::load(statistics.deltas + half * 16);
  }
  for (int64_t j = 0; j < kSpan; j += 2) {
    __m512i gradPairs[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
      const int64_t key = j + i;
      Vec probabilities[2], grads[2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; half++) {
        const Vec weight = exp2Weight(fma(Vec::load(at.scores + key * kSpan + half * 16), scale, shifts[half]));
        const Vec p = visible<kMask>(firstKey + key, begins[half], ends[half], weight, Vec::zero());
        probabilities[half] = p;
        grads[half] = p * (Vec::load(at.gradWeights + key * kSpan + half * 16) - deltas[half]);
      }
      const int64_t place = key / 16 * nextKeyTile + key % 16 * kSpan;
      gradPairs[i] = narrowPair(grads[0], grads[1]);
      _mm512_store_si512(weights + place, narrowPair(probabilities[0], probabilities[1]));
      _mm512_store_si512(gradScores + place, gradPairs[i]);
    }
    bf16* pairs = gradScoresAsDepth + j / 2 * kSpan;
    interleaveRows(gradPairs[0], gradPairs[1], pairs, pairs + kTileNumbers);
  }
}

// A tile of query rows as spans: which rows, and which keys each span sees.
struct SpanTable {
  int64_t index;  // of its first span in the panel
  int64_t count;
  int64_t newKeys;  // sums of keys from here on are overwritten: the item's earlier rows saw none of them
  QueryTile rows[kBackwardRows / kSpan];
  TileKeys keys[kBackwardRows / kSpan];
  int64_t firstKeys[kBackwardRows / kSpan];  // `keys[s].begin`, in whole spans

  void fill(const AttentionShape& shape, const AttentionItem& item, int64_t row, int64_t firstSpan) {
    index = firstSpan;
    count = spansOf(smaller(kBackwardRows, item.endRow - row));
    newKeys = row == item.firstRow ? 0 : spansOf(shape.endKey(item.sequence, row - 1)) * kSpan;
    if (shape.hasRanges()) newKeys = item.numKeys + kSpan;  // sums start from zeros: some keys may be seen by no row
    for (int64_t s = 0; s < count; s++) {
      rows[s] = item.tile(row + s * kSpan, kSpan);
      keys[s] = tileKeys(shape, rows[s]);
      firstKeys[s] = keys[s].begin / kSpan * kSpan;
    }
  }
  int64_t firstKey() const { return firstKeys[0]; }
  int64_t endKey() const { return keys[count - 1].end; }
  // The spans that see keys of the 32 from `key` on, which lie before endKey(): the first of them, and where they end.
  int64_t firstThatSees(int64_t key) const {
    int64_t s = 0;
    while (keys[s].end <= key) s++;
    return s;
  }
  int64_t endOfThoseThatSee(int64_t key) const {
    int64_t s = count;
    while (s > 0 && firstKeys[s - 1] > key) s--;
    return s;
  }
};

// Probabilities and gradients of scores of a tile of query rows and 32 keys, `keySpan` of the block.
inline void gradKeySpan(const AttentionShape& shape, const BackwardTiles& at, const HeadTiles& tiles,
                        const SpanTable& spans, int64_t firstKey, int64_t keySpan) {
  constexpr int64_t numSpans = kBackwardRows / kSpan;
  const int64_t deepStep = tiles.deep * kTileNumbers;
  const TileFactor keys = {at.keys + firstKey / 16 * deepStep, deepStep, kTileNumbers};
  const TileFactor values = {at.values + firstKey / 16 * deepStep, deepStep, kTileNumbers};
  const TileSums scores = {at.scores, 16 * kSpan, 16, kSpan}, gradWeights = {at.gradWeights, 16 * kSpan, 16, kSpan};
  const int64_t end = spans.endOfThoseThatSee(firstKey);
  for (int64_t s = spans.firstThatSees(firstKey); s < end; s++) {
    const int64_t rows = 2 * (spans.index + s) * deepStep;
    multiplyBlock<2, 2>(keys, {at.queries + rows, deepStep, kTileNumbers}, scores, tiles.deep, false);
    multiplyBlock<2, 2>(values, {at.gradOutputs + rows, deepStep, kTileNumbers}, gradWeights, tiles.deep, false);
    const Mask mask = maskOf(shape, spans.keys[s].isMasked(firstKey, firstKey + kSpan));
    const auto grad = mask == Mask::none ? gradBlock<Mask::none>
                      : mask == Mask::ends ? gradBlock<Mask::ends>
                                           : gradBlock<Mask::ranges>;
    const int64_t left = (keySpan * 2 * numSpans + s) * kTileNumbers;
    grad(at, at.statistics[spans.index + s], firstKey, shape.scale * kLog2E, at.weights + left, at.gradScores + left,
         numSpans * kTileNumbers, at.gradScoresAsDepth + (keySpan * numSpans + s) * 2 * kTileNumbers);
  }
}

// A tile of query rows and the block of keys from `first` on: adds to dK, dV and dQ.
inline void backwardBlock(const AttentionShape& shape, const BackwardTiles& at, const HeadTiles& tiles,
                          const SpanTable& spans, const KeySums& sums, int64_t first) {
  constexpr int64_t numSpans = kBackwardRows / kSpan;
  const int64_t broadStep = tiles.broad * kTileNumbers, keySpans = spansOf(smaller(kBackwardKeys, spans.endKey() - first));
  for (int64_t c = 0; c < keySpans; c++) {
    const int64_t key = first + c * kSpan, s = spans.firstThatSees(key), depth = spans.endOfThoseThatSee(key) - s;
    if (depth <= 0) continue;
    gradKeySpan(shape, at, tiles, spans, key, c);
    const int64_t left = (c * 2 * numSpans + s) * kTileNumbers, place = key / 16 * tiles.broad * kTileSums;
    const auto addTo = [&](float* target, const bf16* scores, const bf16* rows) {
      multiplyWide({scores + left, numSpans * kTileNumbers, kTileNumbers},
                   {rows + (spans.index + s) * broadStep, kTileNumbers, broadStep},
                   {target + place, tiles.broad * kTileSums, kTileSums, 16}, tiles.broad, depth, key < spans.newKeys);
    };
    addTo(sums.values, at.weights, at.gradOutputsAsDepth);
    addTo(sums.keys, at.gradScores, at.queriesAsDepth);
  }
  for (int64_t s = 0; s < spans.count; s++) {
    const int64_t begin = larger(first, spans.firstKeys[s]), end = smaller(first + kBackwardKeys, spans.keys[s].end);
    if (begin >= end) continue;
    const int64_t place = ((begin - first) / kSpan * numSpans + s) * 2 * kTileNumbers;
    multiplyTall({at.keysAsDepth + begin / kSpan * broadStep, kTileNumbers, broadStep},
                 {at.gradScoresAsDepth + place, kTileNumbers, numSpans * 2 * kTileNumbers},
                 {at.gradQueries + (spans.index + s) * tiles.broad * 2 * kTileSums, 2 * kTileSums, kTileSums, 16},
                 tiles.broad, spansOf(end - begin), begin > spans.firstKeys[s]);
  }
}

// Of a span that sees no key.
inline void clearGradQueries(const BackwardTiles& at, const HeadTiles& tiles, int64_t index) {
  const int64_t length = tiles.broad * 2 * kTileSums;
  __builtin_memset(at.gradQueries + index * length, 0, static_cast<size_t>(length) * sizeof(float));
}

// Writes dQ of the rows of one span.
inline void closeSpan(const BackwardCall& call, const QueryTile& rows, int64_t index, const HeadTiles& tiles,
                      const BackwardTiles& at) {
  const int64_t stride = tiles.broad * 16;
  RowPlaces places;
  places.fill(call.shape, rows, kSpan);
  untangleRows(at.gradQueries + index * tiles.broad * 2 * kTileSums, tiles, at.rows, stride);
  for (int64_t i = 0; i < rows.numRows; i++)
    writeRow(call.gradQ(), places.places[i] * call.shape.headDim, at.rows + i * stride, call.shape.headDim,
             call.shape.scale, call.accumulateQ);
}

// Sums of one item: dK and dV into `sums`, in tiles; dQ to the gradient.
inline void backwardTiles(const BackwardCall& call, const AttentionItem& item, const KeySums& sums, float* memory) {
  const HeadTiles tiles(call.shape.headDim);
  const int64_t numRows = item.endRow - item.firstRow, rowsPerPanel = panelRows(tiles, numRows);
  const BackwardTiles at(memory, tiles, numRows, item.numKeys);
  packBackwardKeys(call, item, tiles, at);
  if (call.shape.hasRanges())
    __builtin_memset(sums.keys, 0, static_cast<size_t>(KeySums::length(call.shape, item.numKeys)) * sizeof(float));
  SpanTable table[kPanelTiles];
  for (int64_t panel = item.firstRow; panel < item.endRow; panel += rowsPerPanel) {
    const int64_t endRow = smaller(panel + rowsPerPanel, item.endRow);
    int64_t numTiles = 0;
    for (int64_t row = panel; row < endRow; row += kBackwardRows) {
      SpanTable& spans = table[numTiles++];
      spans.fill(call.shape, item, row, (row - panel) / kSpan);
      for (int64_t s = 0; s < spans.count; s++) {
        openSpan(call, spans.rows[s], spans.index + s, tiles, at);
        if (spans.firstKeys[s] >= spans.keys[s].end) clearGradQueries(at, tiles, spans.index + s);
      }
    }
    for (int64_t first = table[0].firstKey(); first < table[numTiles - 1].endKey(); first += kBackwardKeys)
      for (int64_t t = 0; t < numTiles; t++)
        if (first < table[t].endKey() && first + kBackwardKeys > table[t].firstKey())
          backwardBlock(call.shape, at, tiles, table[t], sums, first);
    for (int64_t t = 0; t < numTiles; t++)
      for (int64_t s = 0; s < table[t].count; s++) closeSpan(call, table[t].rows[s], table[t].index + s, tiles, at);
  }
}

}  // namespace selkie::SELKIE_ISA

#endif

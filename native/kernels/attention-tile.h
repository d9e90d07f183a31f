// What tiled attention, forward and backward, is made of (Dao 2023, arXiv 2307.08691). Scores are kept transposed: a tile
// is [keys, query rows] with query rows along the vector, so that maxima, sums and masks need no reductions across lanes
// and no shuffles, and keys and values are read in place, one number broadcast at a time.
//
// The query rows of one kv head are numbered query · group + head in group: all query heads that read the same keys
// share a tile.
//
// Which keys a row sees is a range of its sequence, and neither end of it falls from row to row: so the keys that a tile
// of rows sees, and the rows that see a tile of keys, are ranges too, and both passes go over these alone.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kTileRows = 64;  // query rows
constexpr int64_t kTileKeys = 64;
constexpr float kMasked = -1e30f;  // as a score: lower than any, without the ∞ - ∞ of an infinite one

// The layout of a call, as its arguments give it.
struct AttentionShape {
  int64_t numHeads, numKvHeads, headDim;
  float scale;
  const int32_t* qOffsets;
  const int32_t* kStarts;
  const int32_t* kLengths;
  const int32_t *begins, *ends;  // visible keys of each query, or null: causal, aligned at the end
  int64_t numSequences;

  int64_t group() const { return numHeads / numKvHeads; }
  int64_t keyWidth() const { return numKvHeads * headDim; }
  // Head width in whole vectors: the row length of private copies.
  int64_t paddedDim() const { return (headDim + Vec::width - 1) / Vec::width * Vec::width; }
  int64_t numQueries(int64_t sequence) const { return qOffsets[sequence + 1] - qOffsets[sequence]; }
  int64_t numRows(int64_t sequence) const { return numQueries(sequence) * group(); }
  int64_t numTiles(int64_t sequence) const { return (numRows(sequence) + kTileRows - 1) / kTileRows; }

  bool hasRanges() const { return begins != nullptr; }

  // Of query row `row`: its head's first element in `q` and `o`, its place in `logSumExp`, the first key of its sequence
  // that it sees, and where those end.
  int64_t queryOffset(int64_t sequence, int64_t kvHead, int64_t row) const {
    return statisticOffset(sequence, kvHead, row) * headDim;
  }
  int64_t statisticOffset(int64_t sequence, int64_t kvHead, int64_t row) const {
    return (qOffsets[sequence] + row / group()) * numHeads + kvHead * group() + row % group();
  }
  int64_t firstKey(int64_t sequence, int64_t row) const {
    return hasRanges() ? begins[qOffsets[sequence] + row / group()] : 0;
  }
  int64_t endKey(int64_t sequence, int64_t row) const {
    if (hasRanges()) return ends[qOffsets[sequence] + row / group()];
    return larger<int64_t>(0, kLengths[sequence] - numQueries(sequence) + row / group() + 1);
  }
  int64_t keyOffset(int64_t sequence, int64_t kvHead, int64_t key) const {
    return (kStarts[sequence] + key) * keyWidth() + kvHead * headDim;
  }
};

// Views q, k, v, qOffsets, kStarts, kLengths, begins, ends come first in both kernels, the last two perhaps null; numbers
// numHeads, numKvHeads, headDim, scale.
inline AttentionShape attentionShape(const View* views, const double* numbers) {
  return {static_cast<int64_t>(numbers[0]),
          static_cast<int64_t>(numbers[1]),
          static_cast<int64_t>(numbers[2]),
          static_cast<float>(numbers[3]),
          intsOf(views[3]),
          intsOf(views[4]),
          intsOf(views[5]),
          intsOf(views[6]),
          intsOf(views[7]),
          views[5].length};
}

// Consecutive query rows of one sequence and kv head. Their keys are counted from `keyBase`, the first that their work
// item copies.
struct QueryTile {
  int64_t sequence, kvHead, firstRow, numRows, keyBase;
};

// Of the rows of a tile: the keys begin .. end that one or another sees, and those that all of them see.
struct TileKeys {
  int64_t begin, end, commonBegin, commonEnd;
  // Whether some row does not see all keys from `first` up to `stop`.
  bool isMasked(int64_t first, int64_t stop) const { return first < commonBegin || stop > commonEnd; }
};

inline TileKeys tileKeys(const AttentionShape& shape, const QueryTile& tile) {
  const int64_t last = tile.firstRow + tile.numRows - 1;
  return {shape.firstKey(tile.sequence, tile.firstRow) - tile.keyBase, shape.endKey(tile.sequence, last) - tile.keyBase,
          shape.firstKey(tile.sequence, last) - tile.keyBase, shape.endKey(tile.sequence, tile.firstRow) - tile.keyBase};
}

// What of a block of scores is hidden: nothing, keys from each row's end on, or those before its begin as well.
enum class Mask { none, ends, ranges };

inline Mask maskOf(const AttentionShape& shape, bool isMasked) {
  if (!isMasked) return Mask::none;
  return shape.hasRanges() ? Mask::ranges : Mask::ends;
}

// `value` where rows with these ranges see key `key`, else `hidden`.
template <Mask kMask>
inline Vec visible(int64_t key, Vec begins, Vec ends, Vec value, Vec hidden) {
  if constexpr (kMask == Mask::none) return value;
  const Vec at = Vec::set(static_cast<float>(key));
  const Vec inside = select(lessThan(at, ends), value, hidden);
  if constexpr (kMask == Mask::ranges) return select(lessThan(at, begins), hidden, inside);
  return inside;
}

// Whether views first .. end all hold bf16.
inline bool areBf16(const View* views, int first, int end) {
  for (int i = first; i < end; i++)
    if (views[i].dtype != kBf16) return false;
  return true;
}

// Where up to kTileRows query rows are, found without a division each.
struct RowPlaces {
  int64_t count;
  int64_t places[kTileRows];  // in `logSumExp`; times headDim, in `q` and `o`
  float begins[kTileRows];    // visible keys, counted from the tile's `keyBase`; those of the last row past it
  float ends[kTileRows];

  // `size` says how many begins and ends to fill.
  void fill(const AttentionShape& shape, const QueryTile& rows, int64_t size) {
    const int64_t group = shape.group();
    const int64_t query = rows.firstRow / group;
    int64_t head = rows.firstRow - query * group;
    int64_t place = (shape.qOffsets[rows.sequence] + query) * shape.numHeads + rows.kvHead * group;
    int64_t at = shape.qOffsets[rows.sequence] + query;
    int64_t end = shape.kLengths[rows.sequence] - shape.numQueries(rows.sequence) + query + 1 - rows.keyBase;
    count = rows.numRows;
    for (int64_t i = 0; i < count; i++) {
      places[i] = place + head;
      begins[i] = shape.hasRanges() ? static_cast<float>(shape.begins[at] - rows.keyBase) : 0;
      ends[i] = static_cast<float>(shape.hasRanges() ? shape.ends[at] - rows.keyBase : end);
      if (++head < group) continue;
      head = 0;
      place += shape.numHeads;
      at++;
      end++;
    }
    for (int64_t i = count; i < size; i++) {
      begins[i] = begins[count - 1];
      ends[i] = ends[count - 1];
    }
  }
};

// ---- Scratch memory ----

// Hands out pieces of one block, each a whole number of cache lines.
struct Carver {
  float* next;
  float* take(int64_t length) {
    float* piece = next;
    next += roundUp(length);
    return piece;
  }
  static int64_t roundUp(int64_t length) { return (length + 15) / 16 * 16; }
};

// ---- Rows in and out of tiles ----

// Private rows are whole vectors long: `target` gets zeros beyond `length`.
inline void readRow(const View& view, int64_t at, float* target, int64_t length, float factor) {
  const Vec scale = Vec::set(factor);
  withType(view, [&](const auto* data) {
    forVectors(0, length, [=](int64_t i, auto lanes) { (scale * loadLanes(data + at + i, lanes)).store(target + i); });
  });
}

inline void writeRow(const View& view, int64_t at, const float* source, int64_t length, float factor, bool accumulate) {
  const Vec scale = Vec::set(factor);
  withType(view, [&](auto* data) {
    forVectors(0, length, [=](int64_t i, auto lanes) {
      storeGrad(data + at + i, lanes, scale * loadLanes(source + i, lanes), accumulate);
    });
  });
}

// The output of one query row of the forward pass, which comes before the division by the sum of its weights; `statistic` is
// its place in `logSumExp`. Views as in attention.h.
inline void writeAttended(const AttentionShape& shape, const View* views, int64_t statistic, const float* output, float sum,
                          float logSumExp) {
  writeRow(views[8], statistic * shape.headDim, output, shape.headDim, 1.0f / sum, false);
  floatsOf(views[9])[statistic] = logSumExp;
}

// The same of a row that sees no key: zeros, and the logarithm of an empty sum. `scratch` holds paddedDim() numbers.
inline void writeUnattended(const AttentionShape& shape, const View* views, int64_t statistic, float* scratch) {
  __builtin_memset(scratch, 0, static_cast<size_t>(shape.headDim) * sizeof(float));
  writeRow(views[8], statistic * shape.headDim, scratch, shape.headDim, 1.0f, false);
  floatsOf(views[9])[statistic] = -__builtin_inff();
}

// `count` keys (or values) of one kv head from `first` on as f32 rows of whole vectors. A copy even of f32: rows of one
// head lie far apart in memory, and far apart in the cache as well.
inline void packKeyRows(const AttentionShape& shape, const View& view, int64_t sequence, int64_t kvHead, int64_t first,
                        int64_t count, float* target) {
  const int64_t stride = shape.paddedDim(), at = shape.keyOffset(sequence, kvHead, first);
  for (int64_t i = 0; i < count; i++) readRow(view, at + i * shape.keyWidth(), target + i * stride, shape.headDim, 1.0f);
}

// The tile's rows of a `[N, heads · E]` view, times `factor`, into `target [kTileRows, paddedDim]`.
inline void readTile(const AttentionShape& shape, const View& view, const QueryTile& tile, float* target, float factor) {
  for (int64_t i = 0; i < tile.numRows; i++)
    readRow(view, shape.queryOffset(tile.sequence, tile.kvHead, tile.firstRow + i), target + i * shape.paddedDim(),
            shape.headDim, factor);
}

// One 8 by 8 square of `transpose`: pairs of rows, pairs of pairs, then halves change places.
inline void transposeSquare(const float* source, int64_t sourceStride, float* target, int64_t targetStride) {
  typedef float Oct __attribute__((vector_size(32)));
  Oct rows[8], pairs[8], quads[8];
  for (int i = 0; i < 8; i++) __builtin_memcpy(&rows[i], source + i * sourceStride, 32);
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = __builtin_shufflevector(rows[i], rows[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(rows[i], rows[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; j++) {
      quads[i + 2 * j] = __builtin_shufflevector(pairs[i + j], pairs[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      quads[i + 2 * j + 1] = __builtin_shufflevector(pairs[i + j], pairs[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    const Oct low = __builtin_shufflevector(quads[i], quads[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    const Oct high = __builtin_shufflevector(quads[i], quads[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    __builtin_memcpy(target + i * targetStride, &low, 32);
    __builtin_memcpy(target + (i + 4) * targetStride, &high, 32);
  }
}

// target [numColumns, kTileRows] = the transpose of source [numRows, stride]. Lanes past numRows are set to zero, so
// that nothing computed there is slow or strange; nobody reads the results.
inline void transposeTile(const float* source, int64_t stride, float* target, int64_t numRows, int64_t numColumns) {
  const int64_t fullRows = numRows / 8 * 8, fullColumns = numColumns / 8 * 8;
  const int64_t end = (numRows + Vec::width - 1) / Vec::width * Vec::width;
  for (int64_t r = 0; r < fullRows; r += 8)
    for (int64_t c = 0; c < fullColumns; c += 8)
      transposeSquare(source + r * stride + c, stride, target + c * kTileRows + r, kTileRows);
  for (int64_t c = 0; c < numColumns; c++) {
    float* lanes = target + c * kTileRows;
    for (int64_t r = c < fullColumns ? fullRows : 0; r < numRows; r++) lanes[r] = source[r * stride + c];
    for (int64_t r = numRows; r < end; r++) lanes[r] = 0;
  }
}

// ---- Small products ----

// The left factor of a product, read one number at a time: element (m, k) is data[m · stride + k] when `kAlongDepth`,
// else data[k · stride + m].
template <bool kAlongDepth>
struct Factor {
  const float* data;
  int64_t stride;
  Factor from(int64_t m) const { return {data + (kAlongDepth ? m * stride : m), stride}; }
  float at(int64_t m, int64_t k) const { return kAlongDepth ? data[m * stride + k] : data[k * stride + m]; }
};

// The right factor and the result: rows of whole vectors.
struct Block {
  const float* b;
  int64_t bStride;
  float* c;
  int64_t cStride;
  Block rows(int64_t first) const { return {b, bStride, c + first * cStride, cStride}; }
  Block vectors(int64_t first) const { return {b + first * Vec::width, bStride, c + first * Vec::width, cStride}; }
};

// What becomes of the old result: nothing, kept, or kept after row m is multiplied by scales[m].
struct Before {
  bool isKept;
  const float* scales;
  Before rows(int64_t first) const { return {isKept, scales == nullptr ? nullptr : scales + first}; }
};
constexpr Before kOverwrite = {false, nullptr}, kAdd = {true, nullptr};

// c [M, N vectors] = a [M, depth] · b [depth, N vectors] (+ c), held in registers.
template <int M, int N, bool kAlongDepth>
inline void registerBlock(Factor<kAlongDepth> a, Block at, int64_t depth, Before before) {
  Vec sums[M][N];
  if (!before.isKept) {
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) sums[m][n] = Vec::zero();
  } else {
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) sums[m][n] = Vec::load(at.c + m * at.cStride + n * Vec::width);
    if (before.scales != nullptr) {
#pragma GCC unroll 16
      for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) sums[m][n] = Vec::set(before.scales[m]) * sums[m][n];
    }
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; k++) {
    Vec right[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) right[n] = Vec::load(at.b + k * at.bStride + n * Vec::width);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      const Vec left = Vec::set(a.at(m, k));
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) sums[m][n] = fma(left, right[n], sums[m][n]);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) sums[m][n].store(at.c + m * at.cStride + n * Vec::width);
}

// All rows of a panel N vectors wide: blocks of M rows, then smaller ones for what is left.
template <int M, int N, bool kAlongDepth>
inline void panelProduct(int64_t first, int64_t numRows, Factor<kAlongDepth> a, Block at, int64_t depth, Before before) {
  for (; first + M <= numRows; first += M) registerBlock<M, N>(a.from(first), at.rows(first), depth, before.rows(first));
  if constexpr (M > 1)
    if (first < numRows) panelProduct<(M > 4 ? 4 : M / 2), N>(first, numRows, a, at, depth, before);
}

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kPanel = 4;  // vectors per panel, so that sums and operands fill 32 registers
#else
constexpr int kPanel = 2;
#endif

// c [numRows, numVectors vectors] = a · b (+ c).
template <bool kAlongDepth>
inline void tileProduct(Factor<kAlongDepth> a, Block at, int64_t numRows, int64_t numVectors, int64_t depth,
                        Before before) {
  int64_t n = 0;
  for (; n + kPanel <= numVectors; n += kPanel) panelProduct<6, kPanel>(0, numRows, a, at.vectors(n), depth, before);
  if constexpr (kPanel == 4) {
    if (numVectors - n == 3) return panelProduct<6, 3>(0, numRows, a, at.vectors(n), depth, before);
    if (numVectors - n == 2) return panelProduct<8, 2>(0, numRows, a, at.vectors(n), depth, before);
  }
  if (numVectors - n == 1) panelProduct<8, 1>(0, numRows, a, at.vectors(n), depth, before);
}

}  // namespace selkie::SELKIE_ISA

// What tiled attention, forward and backward, is made of (Dao 2023, arXiv 2307.08691). Scores are kept transposed: a tile
// is [keys, query rows] with query rows along the vector, so that maxima, sums and masks need no reductions across lanes
// and no shuffles, and keys and values are read in place, one number broadcast at a time.
//
// The query rows of one kv head are numbered query · group + head in group: all query heads that read the same keys
// share a tile.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kTileRows = 64;  // query rows
constexpr int64_t kTileKeys = 64;

// The layout of a call, as its arguments give it.
struct AttentionShape {
  int64_t numHeads, numKvHeads, headDim;
  float scale;
  const int32_t* qOffsets;
  const int32_t* kStarts;
  const int32_t* kLengths;
  int64_t numSequences;

  int64_t group() const { return numHeads / numKvHeads; }
  int64_t keyWidth() const { return numKvHeads * headDim; }
  // Head width in whole vectors: the row length of private copies.
  int64_t paddedDim() const { return (headDim + Vec::width - 1) / Vec::width * Vec::width; }
  int64_t numQueries(int64_t sequence) const { return qOffsets[sequence + 1] - qOffsets[sequence]; }
  int64_t numRows(int64_t sequence) const { return numQueries(sequence) * group(); }
  int64_t numTiles(int64_t sequence) const { return (numRows(sequence) + kTileRows - 1) / kTileRows; }

  // Of query row `row`: its head's first element in `q` and `o`, its place in `logSumExp`, and how many keys it sees.
  int64_t queryOffset(int64_t sequence, int64_t kvHead, int64_t row) const {
    return statisticOffset(sequence, kvHead, row) * headDim;
  }
  int64_t statisticOffset(int64_t sequence, int64_t kvHead, int64_t row) const {
    return (qOffsets[sequence] + row / group()) * numHeads + kvHead * group() + row % group();
  }
  int64_t visibleKeys(int64_t sequence, int64_t row) const {
    return larger<int64_t>(0, kLengths[sequence] - numQueries(sequence) + row / group() + 1);
  }
  int64_t keyOffset(int64_t sequence, int64_t kvHead, int64_t key) const {
    return (kStarts[sequence] + key) * keyWidth() + kvHead * headDim;
  }
};

// Views q, k, v, qOffsets, kStarts, kLengths come first in both kernels; numbers numHeads, numKvHeads, headDim, scale.
inline AttentionShape attentionShape(const View* views, const double* numbers) {
  return {static_cast<int64_t>(numbers[0]), static_cast<int64_t>(numbers[1]), static_cast<int64_t>(numbers[2]),
          static_cast<float>(numbers[3]),   intsOf(views[3]),                 intsOf(views[4]),
          intsOf(views[5]),                 views[5].length};
}

// Consecutive query rows of one sequence and kv head.
struct QueryTile {
  int64_t sequence, kvHead, firstRow, numRows;
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

inline void readRow(const View& view, int64_t at, float* target, int64_t length) {
  withType(view, [&](const auto* data) { convertRow(data + at, target, length); });
}

inline void writeRow(const View& view, int64_t at, const float* source, int64_t length, bool accumulate) {
  withType(view, [&](auto* data) {
    forVectors(0, length, [=](int64_t i, auto lanes) {
      storeGrad(data + at + i, lanes, loadLanes(source + i, lanes), accumulate);
    });
  });
}

// Rows of f32 somewhere in memory.
struct Rows {
  const float* data;
  int64_t stride;
};

// `count` keys (or values) of one kv head as f32: in place, or widened into `copy`.
inline Rows keyRows(const AttentionShape& shape, const View& view, int64_t sequence, int64_t kvHead, int64_t first, int64_t count,
                    float* copy) {
  if (view.dtype != kBf16) return {floatsOf(view) + shape.keyOffset(sequence, kvHead, first), shape.keyWidth()};
  const int64_t stride = shape.paddedDim();
  for (int64_t i = 0; i < count; i++)
    readRow(view, shape.keyOffset(sequence, kvHead, first + i), copy + i * stride, shape.headDim);
  return {copy, stride};
}

// The tile's rows of a `[N, heads · E]` view into `target [kTileRows, paddedDim]`; zero beyond what exists.
inline void readTile(const AttentionShape& shape, const View& view, const QueryTile& tile, float* target) {
  const int64_t stride = shape.paddedDim();
  for (int64_t i = 0; i < kTileRows; i++) {
    float* row = target + i * stride;
    const int64_t filled = i < tile.numRows ? shape.headDim : 0;
    for (int64_t e = filled; e < stride; e++) row[e] = 0;
    if (filled > 0) readRow(view, shape.queryOffset(tile.sequence, tile.kvHead, tile.firstRow + i), row, filled);
  }
}

// target[c][r] = source[r][c], four by four where whole squares fit.
inline void transpose(const float* source, int64_t sourceStride, float* target, int64_t targetStride, int64_t numRows,
                      int64_t numColumns) {
  typedef float Quad __attribute__((vector_size(16)));
  const int64_t fullRows = numRows / 4 * 4, fullColumns = numColumns / 4 * 4;
  for (int64_t r = 0; r < fullRows; r += 4)
    for (int64_t c = 0; c < fullColumns; c += 4) {
      Quad rows[4];
      for (int i = 0; i < 4; i++) __builtin_memcpy(&rows[i], source + (r + i) * sourceStride + c, 16);
      const Quad low01 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
      const Quad high01 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
      const Quad low23 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
      const Quad high23 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
      const Quad columns[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                               __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
      for (int i = 0; i < 4; i++) __builtin_memcpy(target + (c + i) * targetStride + r, &columns[i], 16);
    }
  for (int64_t r = 0; r < numRows; r++)
    for (int64_t c = r < fullRows ? fullColumns : 0; c < numColumns; c++) target[c * targetStride + r] = source[r * sourceStride + c];
}

// Writes the columns of `transposed [E, kTileRows]` to the tile's rows of a `[N, heads · E]` view.
inline void writeTile(const AttentionShape& shape, const View& view, const QueryTile& tile, const float* transposed, float* rows,
                      bool accumulate) {
  const int64_t stride = shape.paddedDim();
  transpose(transposed, kTileRows, rows, stride, shape.headDim, tile.numRows);
  for (int64_t i = 0; i < tile.numRows; i++)
    writeRow(view, shape.queryOffset(tile.sequence, tile.kvHead, tile.firstRow + i), rows + i * stride, shape.headDim, accumulate);
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

// c [M, N vectors] (+)= a [M, depth] · b [depth, N vectors], held in registers.
template <int M, int N, bool kAlongDepth>
inline void registerBlock(Factor<kAlongDepth> a, const float* b, int64_t bStride, float* c, int64_t cStride, int64_t depth,
                          bool accumulate) {
  Vec sums[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) sums[m][n] = accumulate ? Vec::load(c + m * cStride + n * Vec::width) : Vec::zero();
  for (int64_t k = 0; k < depth; k++) {
    Vec right[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) right[n] = Vec::load(b + k * bStride + n * Vec::width);
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
    for (int n = 0; n < N; n++) sums[m][n].store(c + m * cStride + n * Vec::width);
}

// All rows of a panel N vectors wide: blocks of M rows, then halves for what is left.
template <int M, int N, bool kAlongDepth>
inline void panelProduct(int64_t first, int64_t numRows, Factor<kAlongDepth> a, const float* b, int64_t bStride, float* c,
                         int64_t cStride, int64_t depth, bool accumulate) {
  for (; first + M <= numRows; first += M)
    registerBlock<M, N, kAlongDepth>(a.from(first), b, bStride, c + first * cStride, cStride, depth, accumulate);
  if constexpr (M > 1)
    if (first < numRows) panelProduct<(M > 4 ? 4 : M / 2), N>(first, numRows, a, b, bStride, c, cStride, depth, accumulate);
}

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kPanel = 4;  // vectors per panel, so that sums and operands fill 32 registers
#else
constexpr int kPanel = 2;
#endif

// c [numRows, numVectors vectors] (+)= a · b.
template <bool kAlongDepth>
inline void product(Factor<kAlongDepth> a, const float* b, int64_t bStride, float* c, int64_t cStride, int64_t numRows,
                    int64_t numVectors, int64_t depth, bool accumulate) {
  int64_t n = 0;
  for (; n + kPanel <= numVectors; n += kPanel)
    panelProduct<6, kPanel>(0, numRows, a, b + n * Vec::width, bStride, c + n * Vec::width, cStride, depth, accumulate);
  const float* right = b + n * Vec::width;
  float* target = c + n * Vec::width;
  if constexpr (kPanel == 4) {
    if (numVectors - n == 3) return panelProduct<6, 3>(0, numRows, a, right, bStride, target, cStride, depth, accumulate);
    if (numVectors - n == 2) return panelProduct<8, 2>(0, numRows, a, right, bStride, target, cStride, depth, accumulate);
  }
  if (numVectors - n == 1) panelProduct<8, 1>(0, numRows, a, right, bStride, target, cStride, depth, accumulate);
}

}  // namespace selkie::SELKIE_ISA

// What attention of bf16 tensors on tile registers (AMX) is made of: operands packed into tiles, products of packed
// operands, transposes. A tile is 16 rows of 64 bytes. As the left factor it holds 16 rows × 32 numbers of the depth, as
// the right factor 16 pairs of the depth × 16 columns, as sums 16 × 16 f32; tdpbf16ps adds one product to a tile of sums.
//
// Everything is cut into blocks of 32 by 32 (kSpan), two tiles by two: a packed operand has zeros up to whole blocks.
// Scores stay transposed, [keys, query rows], as in attention-tile.h: then both factors of every product of the forward and
// backward passes can be written straight from the vectors that the softmax works on, without a transpose of scores:
//   Sᵀ = K · Qᵀ     dPᵀ = V · dOᵀ    left factors as stored, right factors from 32-bit transposes of Q and dO
//   Oᵀ += Vᵀ · Pᵀ   dQᵀ += Kᵀ · dSᵀ  right factors are pairs of score rows interleaved, see `interleaveRows`
//   dV += Pᵀ · dO   dK += dSᵀ · Q    left factors are rows of scores rounded to bf16
#pragma once

#include "amx.h"
#include "attention-items.h"

namespace selkie::SELKIE_ISA {

#if defined(__AMX_BF16__)

// Configures the tile registers for the time of a task; every tile is full.
class TileRegisters {
 public:
  TileRegisters() { beginTiles(32); }
  ~TileRegisters() { endTiles(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

constexpr int64_t kSpan = 32;            // rows and columns of a block, and numbers of depth of one tile
constexpr int64_t kTileNumbers = 512;    // bf16 numbers of a tile of factors
constexpr int64_t kTileSums = 256;       // f32 numbers of a tile of sums

inline int64_t spansOf(int64_t length) { return (length + kSpan - 1) / kSpan; }

// ---- Products ----

// A packed factor: `across` numbers from one tile to the next row (left factor) or column (right factor) of tiles,
// `along` to the next tile of the depth.
struct TileFactor {
  const bf16* data;
  int64_t across, along;
};

// Tiles of sums: f32 numbers to the tile below, to the tile on the right, and from row to row within a tile.
struct TileSums {
  float* data;
  int64_t down, right, row;
};

// sums [H, W tiles] (+)= a · b over `depth` tiles.
template <int H, int W>
inline void multiplyBlock(TileFactor a, TileFactor b, TileSums sums, int64_t depth, bool isKept) {
  const int64_t rowBytes = sums.row * 4;
  compilerBarrier();
  if (isKept) {
    _tile_loadd(0, sums.data, rowBytes);
    if constexpr (W == 2) _tile_loadd(1, sums.data + sums.right, rowBytes);
    if constexpr (H == 2) _tile_loadd(2, sums.data + sums.down, rowBytes);
    if constexpr (H == 2 && W == 2) _tile_loadd(3, sums.data + sums.down + sums.right, rowBytes);
  } else {
    _tile_zero(0);
    if constexpr (W == 2) _tile_zero(1);
    if constexpr (H == 2) _tile_zero(2);
    if constexpr (H == 2 && W == 2) _tile_zero(3);
  }
  for (int64_t d = 0; d < depth; d++) {
    const bf16* left = a.data + d * a.along;
    const bf16* right = b.data + d * b.along;
    _tile_loadd(6, right, 64);
    _tile_loadd(4, left, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (W == 2) {
      _tile_loadd(7, right + b.across, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (H == 2) {
      _tile_loadd(5, left + a.across, 64);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (W == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums.data, rowBytes);
  if constexpr (W == 2) _tile_stored(1, sums.data + sums.right, rowBytes);
  if constexpr (H == 2) _tile_stored(2, sums.data + sums.down, rowBytes);
  if constexpr (H == 2 && W == 2) _tile_stored(3, sums.data + sums.down + sums.right, rowBytes);
  compilerBarrier();
}

// sums [numRows, 2 tiles] (+)= a · b, `numRows` in tiles.
inline void multiplyTall(TileFactor a, TileFactor b, TileSums sums, int64_t numRows, int64_t depth, bool isKept) {
  int64_t row = 0;
  for (; row + 2 <= numRows; row += 2)
    multiplyBlock<2, 2>({a.data + row * a.across, a.across, a.along}, b,
                        {sums.data + row * sums.down, sums.down, sums.right, sums.row}, depth, isKept);
  if (row < numRows)
    multiplyBlock<1, 2>({a.data + row * a.across, a.across, a.along}, b,
                        {sums.data + row * sums.down, sums.down, sums.right, sums.row}, depth, isKept);
}

// sums [2, numColumns tiles] (+)= a · b, `numColumns` in tiles.
inline void multiplyWide(TileFactor a, TileFactor b, TileSums sums, int64_t numColumns, int64_t depth, bool isKept) {
  int64_t column = 0;
  for (; column + 2 <= numColumns; column += 2)
    multiplyBlock<2, 2>(a, {b.data + column * b.across, b.across, b.along},
                        {sums.data + column * sums.right, sums.down, sums.right, sums.row}, depth, isKept);
  if (column < numColumns)
    multiplyBlock<2, 1>(a, {b.data + column * b.across, b.across, b.along},
                        {sums.data + column * sums.right, sums.down, sums.right, sums.row}, depth, isKept);
}

// ---- Tiles from vectors ----

// Two vectors of f32 as one of bf16, `low` first.
inline __m512i narrowPair(Vec low, Vec high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.v, low.v));
}

// Two rows of 32 numbers become a row of pairs of each of two tiles. Within 128 bits: the first tile gets columns 0-3,
// 8-11, 16-19, 24-27, the second the others; `interleavedColumn` says where column c of 32 went.
inline void interleaveRows(__m512i even, __m512i odd, bf16* first, bf16* second) {
  _mm512_store_si512(first, _mm512_unpacklo_epi16(even, odd));
  _mm512_store_si512(second, _mm512_unpackhi_epi16(even, odd));
}
inline int64_t interleavedColumn(int64_t c) { return c / 8 * 4 + c % 4; }
inline int64_t interleavedTile(int64_t c) { return c / 4 % 2; }

// One number per column in their order to the order of the two interleaved tiles.
inline Vec interleavedFirst(Vec low, Vec high) { return {_mm512_shuffle_f32x4(low.v, high.v, 0x88)}; }
inline Vec interleavedSecond(Vec low, Vec high) { return {_mm512_shuffle_f32x4(low.v, high.v, 0xdd)}; }

// target = sourceᵀ for 16 by 16 numbers of 32 bits; rows of target are 64 bytes apart.
inline void transposeWords(const __m512i* source, void* target) {
  __m512i pairs[16], quads[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_epi32(source[i], source[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi32(source[i], source[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      quads[i + 2 * j] = _mm512_unpacklo_epi64(pairs[i + j], pairs[i + j + 2]);
      quads[i + 2 * j + 1] = _mm512_unpackhi_epi64(pairs[i + j], pairs[i + j + 2]);
    }
  char* rows = static_cast<char*>(target);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    // quads[i + 4 g] holds columns i, i + 4, i + 8, i + 12 of rows 4 g .. 4 g + 3
    const __m512i front = _mm512_shuffle_i32x4(quads[i], quads[i + 4], 0x88);
    const __m512i back = _mm512_shuffle_i32x4(quads[i + 8], quads[i + 12], 0x88);
    const __m512i frontOdd = _mm512_shuffle_i32x4(quads[i], quads[i + 4], 0xdd);
    const __m512i backOdd = _mm512_shuffle_i32x4(quads[i + 8], quads[i + 12], 0xdd);
    _mm512_store_si512(rows + 64 * i, _mm512_shuffle_i32x4(front, back, 0x88));
    _mm512_store_si512(rows + 64 * (i + 8), _mm512_shuffle_i32x4(front, back, 0xdd));
    _mm512_store_si512(rows + 64 * (i + 4), _mm512_shuffle_i32x4(frontOdd, backOdd, 0x88));
    _mm512_store_si512(rows + 64 * (i + 12), _mm512_shuffle_i32x4(frontOdd, backOdd, 0xdd));
  }
}

// ---- Packing ----

// Sizes in tiles of the operands of one head.
struct HeadTiles {
  int64_t deep;   // tiles along the head when it is the depth of a product
  int64_t broad;  // tiles along the head when it is rows or columns
  explicit HeadTiles(int64_t headDim) : deep(spansOf(headDim)), broad((headDim + 15) / 16) {}
};

// Up to 32 rows of one head; those from `count` on are zero.
struct HeadRows {
  const bf16* rows[kSpan];
  int64_t count, headDim;

  // Consecutive rows `stride` numbers apart.
  HeadRows(const bf16* first, int64_t stride, int64_t count, int64_t headDim) : count(count), headDim(headDim) {
    for (int64_t i = 0; i < count; i++) rows[i] = first + i * stride;
  }
  HeadRows(const View& view, const RowPlaces& places, int64_t headDim) : count(places.count), headDim(headDim) {
    for (int64_t i = 0; i < count; i++) rows[i] = static_cast<const bf16*>(view.data) + places.places[i] * headDim;
  }

  // Numbers 32 d .. 32 d + 31 of row i.
  __m512i span(int64_t i, int64_t d) const {
    if (i >= count) return _mm512_setzero_si512();
    const int64_t length = smaller<int64_t>(kSpan, headDim - d * kSpan);
    if (length == kSpan) return _mm512_loadu_si512(rows[i] + d * kSpan);
    return _mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << length) - 1), rows[i] + d * kSpan);
  }
  // Numbers 16 e .. 16 e + 15 of rows 2 p and 2 p + 1, in pairs.
  __m512i pairs(int64_t p, int64_t e) const {
    return _mm512_or_si512(half(2 * p, e), _mm512_slli_epi32(half(2 * p + 1, e), 16));
  }

 private:
  __m512i half(int64_t i, int64_t e) const {
    if (i >= count) return _mm512_setzero_si512();
    const int64_t length = smaller<int64_t>(16, headDim - e * 16);
    if (length == 16) return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[i] + e * 16)));
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(Vec::firstLanes(length), rows[i] + e * 16));
  }
};

// Left factor with these rows: tiles [2, deep].
inline void packLeft(const HeadRows& rows, const HeadTiles& tiles, bf16* target) {
  for (int64_t d = 0; d < tiles.deep; d++)
    for (int64_t i = 0; i < kSpan; i++)
      _mm512_store_si512(target + ((i / 16) * tiles.deep + d) * kTileNumbers + i % 16 * kSpan, rows.span(i, d));
}

// Right factor with these rows as columns: tiles [2, deep].
inline void packRightTransposed(const HeadRows& rows, const HeadTiles& tiles, bf16* target) {
  for (int64_t tile = 0; tile < 2; tile++)
    for (int64_t d = 0; d < tiles.deep; d++) {
      __m512i words[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++) words[i] = rows.span(tile * 16 + i, d);
      transposeWords(words, target + (tile * tiles.deep + d) * kTileNumbers);
    }
}

// Right factor with these rows as depth: tiles [broad].
inline void packRight(const HeadRows& rows, const HeadTiles& tiles, bf16* target) {
  for (int64_t e = 0; e < tiles.broad; e++)
    for (int64_t p = 0; p < 16; p++)
      _mm512_store_si512(target + e * kTileNumbers + p * kSpan, rows.pairs(p, e));
}

// Left factor with these rows as depth, the head along its rows: tiles [broad].
inline void packLeftTransposed(const HeadRows& rows, const HeadTiles& tiles, bf16* target) {
  for (int64_t e = 0; e < tiles.broad; e++) {
    __m512i words[16];
#pragma GCC unroll 16
    for (int p = 0; p < 16; p++) words[p] = rows.pairs(p, e);
    transposeWords(words, target + e * kTileNumbers);
  }
}

// ---- Sums back to rows ----

// Sums [broad, 2 interleaved tiles] with 32 rows of a head as columns become rows of f32, `stride` numbers apart.
inline void untangleRows(const float* sums, const HeadTiles& tiles, float* target, int64_t stride) {
  alignas(64) float words[kTileSums];
  for (int64_t e = 0; e < tiles.broad; e++)
    for (int64_t tile = 0; tile < 2; tile++) {
      __m512i rows[16];
      for (int i = 0; i < 16; i++) rows[i] = _mm512_load_si512(sums + (e * 2 + tile) * kTileSums + i * 16);
      transposeWords(rows, words);
      for (int64_t c = 0; c < 16; c++)
        Vec::load(words + c * 16).store(target + (c / 4 * 8 + tile * 4 + c % 4) * stride + e * 16);
    }
}

#else

struct TileRegisters {};

#endif

}  // namespace selkie::SELKIE_ISA

// The micro-kernel on tile registers (AMX): a tile is 16 rows of 64 bytes; tdpbf16ps multiplies 16 × 32 by 32 × 16 bf16
// and adds to 16 × 16 f32. A panel of a is one or two tiles high, a panel of b one or two tiles wide:
//   tiles 0 1 / 2 3  sums       4 5  a, upper and lower       6 7  b, left and right
// Fetching ahead in software was measured to cost a quarter of the speed here, since loads are the bottleneck.
// The intrinsics do not tell the compiler that they touch memory, hence the barriers.
#pragma once

#if defined(__AMX_BF16__)

#include "micro-kernel.h"

namespace selkie::SELKIE_ISA {

inline void compilerBarrier() { asm volatile("" ::: "memory"); }

// Shapes of the tile registers for panels of `height` (1 to 32) vectors; rows past it are not computed.
inline void beginTiles(int height) {
  struct alignas(64) {
    uint8_t palette;
    uint8_t startRow;
    uint8_t reserved[14];
    uint16_t bytesPerRow[16];
    uint8_t rows[16];
  } shape = {};
  const int upper = height < 16 ? height : 16;
  const int lower = height < 16 ? 1 : larger(height - 16, 1);
  const int rows[8] = {upper, upper, lower, lower, upper, lower, 16, 16};
  shape.palette = 1;
  for (int tile = 0; tile < 8; tile++) {
    shape.rows[tile] = static_cast<uint8_t>(rows[tile]);
    shape.bytesPerRow[tile] = 64;
  }
  compilerBarrier();
  _tile_loadconfig(&shape);
  compilerBarrier();
}

inline void endTiles() { _tile_release(); }

constexpr int64_t kTileUnits = 16 * 16;

template <bool hasLower, bool hasRight>
inline void multiplyTiles(int64_t numUnits, const RowPanel& rows, const float* b, float* sums, bool isFirst) {
  constexpr int64_t columns = hasRight ? 32 : 16;
  constexpr int64_t sumsStride = columns * 4;
  const int64_t stepA = rows.stepBytes / 4, strideA = rows.rowBytes;
  const float* upper = rows.data;
  const float* lower = upper + 4 * strideA;
  constexpr int64_t stepB = (hasRight ? 2 : 1) * kTileUnits;
  compilerBarrier();
  if (isFirst) {
    _tile_zero(0);
    if constexpr (hasRight) _tile_zero(1);
    if constexpr (hasLower) _tile_zero(2);
    if constexpr (hasLower && hasRight) _tile_zero(3);
  } else {
    _tile_loadd(0, sums, sumsStride);
    if constexpr (hasRight) _tile_loadd(1, sums + 16, sumsStride);
    if constexpr (hasLower) _tile_loadd(2, sums + 16 * columns, sumsStride);
    if constexpr (hasLower && hasRight) _tile_loadd(3, sums + 16 * columns + 16, sumsStride);
  }
  for (int64_t u = 0; u < numUnits; u += 16, upper += stepA, lower += stepA, b += stepB) {
    // With few rows the product is as fast as b can be read from memory.
    if constexpr (!hasLower)
      for (int64_t line = 0; line < stepB; line += 16) prefetch(b + kPrefetchDistance + line);
    // Rows of a b tile (two k each) are all columns of the panel; rows of an a tile are 16 units of one vector.
    _tile_loadd(6, b, 64);
    _tile_loadd(4, upper, strideA);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (hasRight) {
      _tile_loadd(7, b + kTileUnits, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (hasLower) {
      _tile_loadd(5, lower, strideA);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (hasRight) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums, sumsStride);
  if constexpr (hasRight) _tile_stored(1, sums + 16, sumsStride);
  if constexpr (hasLower) _tile_stored(2, sums + 16 * columns, sumsStride);
  if constexpr (hasLower && hasRight) _tile_stored(3, sums + 16 * columns + 16, sumsStride);
  compilerBarrier();
}

template <bool hasRight>
void multiplyTilesOfHeight(int height, int64_t numUnits, const RowPanel& a, const float* b, float* sums, bool isFirst) {
  if (height > 16) multiplyTiles<true, hasRight>(numUnits, a, b, sums, isFirst);
  else multiplyTiles<false, hasRight>(numUnits, a, b, sums, isFirst);
}

constexpr Engine tileEngine() {
  return {
      .maxHeight = 32,
      .heightStep = 1,
      .storageMultiple = 16,
      .columns = 32,
      .narrowColumns = 16,
      .kPerUnit = 2,
      .unitMultiple = 16,
      .maxStepUnits = 1024,
      .stepUnits = 256,
      .readsRows = true,
      .packA = packTilePanel<PairUnits, false>,
      .packB = packTilePanel<PairUnits, true>,
      .begin = beginTiles,
      .end = endTiles,
      .run = multiplyTilesOfHeight<true>,
      .runNarrow = multiplyTilesOfHeight<false>,
  };
}

}  // namespace selkie::SELKIE_ISA

#endif

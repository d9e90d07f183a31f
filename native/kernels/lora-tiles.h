// The three thin products of LoRA (lora.h) on tile registers (amx.h): the large operand of `narrow` is read where it
// lies, 16 rows of 32 elements a tile; that of `outer` is packed in pairs of rows on the way. Registers:
//   0 .. 3  sums, 16 × 16      4  16 vectors × 32 terms      5  16 pairs of terms × 16
//   6, 7    the same two of `wide`, whose terms are the ranks: 16 are half a tile
#pragma once

#if defined(__AMX_BF16__)

#include "amx.h"
#include "lora-registers.h"

namespace selkie::SELKIE_ISA {

struct TileThinProducts {
  using Units = PairUnits;
  using Low = bf16;
  static constexpr int kUnitMultiple = 16;
  static constexpr int64_t kRankPanel = 16;
  static constexpr int64_t kWidePanel = 16;
  static constexpr int64_t kTermsPerTile = 32;
  static constexpr int64_t kTilesAtOnce = 4;

  static int64_t paddedRank(int64_t rank) { return rank <= 16 ? 16 : roundUp(rank, kTermsPerTile); }

  static void begin(int64_t padded) {
    struct alignas(64) {
      uint8_t palette;
      uint8_t startRow;
      uint8_t reserved[14];
      uint16_t bytesPerRow[16];
      uint8_t rows[16];
    } shape = {};
    shape.palette = 1;
    for (int tile = 0; tile < 8; tile++) {
      shape.rows[tile] = 16;
      shape.bytesPerRow[tile] = 64;
    }
    const int64_t terms = smaller(padded, kTermsPerTile);
    shape.bytesPerRow[6] = static_cast<uint16_t>(terms * 2);
    shape.rows[7] = static_cast<uint8_t>(terms / 2);
    compilerBarrier();
    _tile_loadconfig(&shape);
    compilerBarrier();
  }
  static void end() { endTiles(); }

  // One row, of which the first `count` elements exist.
  template <typename T>
  static void toLow(const T* source, int64_t count, bf16* target, int64_t padded) {
    for (int64_t i = 0; i < padded; i += Vec::width)
      (i < count ? PlainUnits::alongK(source + i, count - i) : Vec::zero()).store(target + i);
  }

  static int64_t narrowScratch(int64_t length) { return kTilesAtOnce * 16 * roundUp(length, kTermsPerTile) / 2; }

  // sums [numRows rounded up to 16, padded] = rows · factor, which packUnitMajor left in panels of 16 ranks.
  static void narrow(const MatrixRows& rows, int64_t numRows, const float* packed, int64_t padded, float* sums, float* scratch) {
    const int64_t length = roundUp(rows.width, kTermsPerTile);
    for (int64_t first = 0; first < numRows;) {
      const int64_t tiles = smaller(kTilesAtOnce, ceilDivide(numRows - first, 16));
      // Rows past the last one are other rows of the matrix or none, and their sums are not used.
      const bool isReady = rows.isBf16 && rows.width == length && first + tiles * 16 <= rows.readable;
      if (!isReady) copyPadded(rows, first, smaller(tiles * 16, numRows - first), length, reinterpret_cast<bf16*>(scratch));
      const bf16* ready = isReady ? static_cast<const bf16*>(rows.data) + first * rows.width : reinterpret_cast<const bf16*>(scratch);
      for (int64_t j = 0; j < padded; j += kRankPanel) {
        const float* panel = packed + j * length / 2;
        float* target = sums + first * padded + j;
        if (tiles == 4) narrowTiles<4>(ready, length, panel, target, padded);
        else if (tiles == 3) narrowTiles<3>(ready, length, panel, target, padded);
        else if (tiles == 2) narrowTiles<2>(ready, length, panel, target, padded);
        else narrowTiles<1>(ready, length, panel, target, padded);
      }
      first += tiles * 16;
    }
  }

  static void copyPadded(const MatrixRows& rows, int64_t first, int64_t count, int64_t length, bf16* target) {
    withRows(rows, [&](const auto* data) {
      for (int64_t i = 0; i < count; i++) toLow(data + (first + i) * rows.width, rows.width, target + i * length, length);
    });
  }

  template <int tiles>
  static void narrowTiles(const bf16* rows, int64_t length, const float* panel, float* sums, int64_t padded) {
    compilerBarrier();
    _tile_zero(0);
    if constexpr (tiles > 1) _tile_zero(1);
    if constexpr (tiles > 2) _tile_zero(2);
    if constexpr (tiles > 3) _tile_zero(3);
    for (int64_t k = 0; k < length; k += kTermsPerTile) {
      _tile_loadd(5, panel + k * 8, 64);
      _tile_loadd(4, rows + k, length * 2);
      _tile_dpbf16ps(0, 4, 5);
      if constexpr (tiles > 1) {
        _tile_loadd(4, rows + k + 16 * length, length * 2);
        _tile_dpbf16ps(1, 4, 5);
      }
      if constexpr (tiles > 2) {
        _tile_loadd(4, rows + k + 32 * length, length * 2);
        _tile_dpbf16ps(2, 4, 5);
      }
      if constexpr (tiles > 3) {
        _tile_loadd(4, rows + k + 48 * length, length * 2);
        _tile_dpbf16ps(3, 4, 5);
      }
    }
    _tile_stored(0, sums, padded * 4);
    if constexpr (tiles > 1) _tile_stored(1, sums + 16 * padded, padded * 4);
    if constexpr (tiles > 2) _tile_stored(2, sums + 32 * padded, padded * 4);
    if constexpr (tiles > 3) _tile_stored(3, sums + 48 * padded, padded * 4);
    compilerBarrier();
  }

  // rows += alpha · low · factor, which packUnitMajor left in panels of 16 columns.
  static void wide(const bf16* low, int64_t padded, int64_t, const float* packed, const MatrixRows& rows, int64_t numRows, float alpha) {
    constexpr int64_t stride = kTilesAtOnce * kWidePanel;
    alignas(64) float sums[16 * stride];
    withRows(rows, [&](auto* data) {
      for (int64_t first = 0; first < numRows; first += 16)
        for (int64_t column = 0; column < rows.width; column += stride) {
          const int64_t count = smaller(stride, rows.width - column);
          if (column + 2 * stride < rows.width)  // the processor does not foresee steps from row to row
            for (int64_t i = 0; i < smaller<int64_t>(16, numRows - first); i++) {
              const auto* ahead = data + (first + i) * rows.width + column + 2 * stride;
              __builtin_prefetch(ahead, 1);
              __builtin_prefetch(ahead + stride / 2, 1);
            }
          wideTiles(low + first * padded, padded, packed + column * padded / 2, ceilDivide(count, kWidePanel), sums);
          for (int64_t i = 0; i < smaller<int64_t>(16, numRows - first); i++)
            addScaled(sums + i * stride, Vec::set(alpha), data + (first + i) * rows.width + column, count);
        }
    });
  }

  // sums [16, 64] = 16 rows · `tiles` panels of 16 columns.
  static void wideTiles(const bf16* low, int64_t padded, const float* packed, int64_t tiles, float* sums) {
    constexpr int64_t stride = kTilesAtOnce * kWidePanel * 4;
    const int64_t panelUnits = padded / 2 * kWidePanel;
    compilerBarrier();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t j = 0; j < padded; j += kTermsPerTile) {
      const float* panel = packed + j / 2 * kWidePanel;
      _tile_loadd(6, low + j, padded * 2);
      _tile_loadd(7, panel, 64);
      _tile_dpbf16ps(0, 6, 7);
      if (tiles > 1) {
        _tile_loadd(7, panel + panelUnits, 64);
        _tile_dpbf16ps(1, 6, 7);
      }
      if (tiles > 2) {
        _tile_loadd(7, panel + 2 * panelUnits, 64);
        _tile_dpbf16ps(2, 6, 7);
      }
      if (tiles > 3) {
        _tile_loadd(7, panel + 3 * panelUnits, 64);
        _tile_dpbf16ps(3, 6, 7);
      }
    }
    _tile_stored(0, sums, stride);
    _tile_stored(1, sums + 16, stride);
    _tile_stored(2, sums + 32, stride);
    _tile_stored(3, sums + 48, stride);
    compilerBarrier();
  }

  static __m512i load32(const bf16* p, int64_t count) {
    if (count >= 32) return _mm512_loadu_si512(p);
    return _mm512_maskz_loadu_epi16(count <= 0 ? 0 : static_cast<__mmask32>((1u << count) - 1), p);
  }
  static __m512i load32(const float* p, int64_t count) {
    return count <= 0 ? _mm512_setzero_si512() : _mm512_castps_si512(PairUnits::alongK(p, count).v);
  }

  // Panel of pairs of rows: units [pair][stride]. Of 32 columns the first 16 units hold those numbered 0 to 3 of every
  // 8, the other 16 those numbered 4 to 7: what the processor's interleaving gives; loadOuter puts sums in order again.
  template <typename T>
  static void packOuter(const T* rows, int64_t width, int64_t count, int64_t numRows, int64_t stride, float* panel) {
    const int64_t numPairs = roundUp(ceilDivide(numRows, 2), 16);
    for (int64_t pair = 0; pair < numPairs; pair++) {
      const T* row = rows + 2 * pair * width;
      const int64_t even = 2 * pair < numRows ? count : 0, odd = 2 * pair + 1 < numRows ? count : 0;
      for (int64_t j = 0; j < stride; j += 32) {
        const __m512i a = load32(row + j, even - j), b = load32(row + width + j, odd - j);
        _mm512_storeu_si512(panel + pair * stride + j, _mm512_unpacklo_epi16(a, b));
        _mm512_storeu_si512(panel + pair * stride + j + 16, _mm512_unpackhi_epi16(a, b));
      }
    }
  }

  static void loadOuter(const float* sums, Vec* columns) {
    const __m512 low = _mm512_loadu_ps(sums), high = _mm512_loadu_ps(sums + 16);
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    columns[0] = {_mm512_permutex2var_ps(low, first, high)};
    columns[1] = {_mm512_permutex2var_ps(low, second, high)};
  }

  static int64_t outerLowUnits(int64_t numRows, int64_t padded) { return roundUp(ceilDivide(numRows, 2), 16) * padded; }

  // What `outer` reads of numRows low-rank rows: tiles of 16 ranks × 32 rows.
  static const float* outerLow(const bf16* low, int64_t numRows, int64_t padded, float* target) {
    const Operand source = {.data = low, .isBf16 = true, .isKContiguous = false, .stride = padded};
    packTiles<PairUnits, bf16>(source, padded, padded, numRows, roundUp(ceilDivide(numRows, 2), 16), target);
    return target;
  }

  // sums [padded, stride] (+)= lowᵀ · rows, of which packOuter left a panel of `stride` columns.
  static void outer(const float* low, int64_t padded, const float* panel, int64_t numUnits, int64_t stride, float* sums, bool isFirst) {
    compilerBarrier();
    for (int64_t j = 0; j < padded; j += 16)
      for (int64_t column = 0; column < stride; column += 32) {
        float* target = sums + j * stride + column;
        if (isFirst) {
          _tile_zero(0);
          _tile_zero(1);
        } else {
          _tile_loadd(0, target, stride * 4);
          _tile_loadd(1, target + 16, stride * 4);
        }
        for (int64_t unit = 0; unit < numUnits; unit += 16) {
          const float* pairs = panel + unit * stride + column;
          _tile_loadd(4, low + unit * padded + j * 16, 64);
          _tile_loadd(5, pairs, stride * 4);
          _tile_dpbf16ps(0, 4, 5);
          _tile_loadd(5, pairs + 16, stride * 4);
          _tile_dpbf16ps(1, 4, 5);
        }
        _tile_stored(0, target, stride * 4);
        _tile_stored(1, target + 16, stride * 4);
      }
    compilerBarrier();
  }
};

}  // namespace selkie::SELKIE_ISA

#endif

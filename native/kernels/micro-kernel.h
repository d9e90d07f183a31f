// Micro-kernels: the innermost product of one packed panel of a (height vectors) with one packed panel of b
// (columns vectors), with all sums in registers. An engine is a micro-kernel with the packing that feeds it.
//
//   registers  one row of sums per vector of a: broadcast a unit of a, multiply with one or two registers of b.
//              The arithmetic is a fused multiply-add of f32, or the dot product of bf16 pairs (vdpbf16ps).
//   tiles      amx.h
//
// Panel heights are balanced over a product (16 rows are two panels of 8, not 14 + 2), so the register kernel is
// compiled for every even height.
#pragma once

#include "pack.h"

namespace selkie::SELKIE_ISA {

// A panel of a as a micro-kernel reads it. The tile kernel takes rows at any distance: packed ones, or the rows of a
// matrix of bf16 as they lie in memory.
struct RowPanel {
  const float* data;
  int64_t rowBytes;   // from one vector to the next
  int64_t stepBytes;  // from 16 units to the next 16
};

// Multiplies `numUnits` units of both panels and stores (or adds to) `sums` [storageHeight][columns].
using MicroKernel = void (*)(int height, int64_t numUnits, const RowPanel& a, const float* b, float* sums, bool isFirst);

// A hint: brings a cache line closer. Any address will do.
inline void prefetch(const float* p) { __builtin_prefetch(p, 0, 3); }

// How far ahead panels of b are fetched, in floats: measured to give memory a quarter more throughput.
constexpr int64_t kPrefetchDistance = 512;

struct Engine {
  int maxHeight;
  // Heights are multiples of this ...
  int heightStep;
  // ... and panels of a are stored with a multiple of this many vectors.
  int storageMultiple;
  // Columns of a panel of b: `narrow` for products with few columns.
  int columns;
  int narrowColumns;
  int kPerUnit;
  // Units are padded to a multiple of this.
  int unitMultiple;
  // Up to this many units are one step of k; more are cut into steps of `stepUnits`.
  int64_t maxStepUnits;
  int64_t stepUnits;
  // Whether rows of bf16 need no packing.
  bool readsRows;
  PackPanel packA;
  PackPanel packB;
  // Run around the micro-kernels of a task (tile registers); may be null.
  void (*begin)(int height);
  void (*end)();
  MicroKernel run;
  MicroKernel runNarrow;
};

struct MultiplyAdd {
  static Vec apply(Vec a, Vec b, Vec sum) { return fma(a, b, sum); }
};

#if defined(__AVX512BF16__)
struct DotPairs {
  static Vec apply(Vec a, Vec b, Vec sum) {
    return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
  }
};
#endif

#if defined(__AVX512F__)
constexpr int kMaxRegisterHeight = 14;  // 14 × 2 sums, 2 of b and 1 of a: 31 of 32 registers
#else
constexpr int kMaxRegisterHeight = 6;  // 6 × 2 sums, 2 of b and 1 of a: 15 of 16 registers
#endif

template <typename Arithmetic, int height, int vectors>
[[gnu::noinline]] void multiplyInRegisters(int64_t numUnits, const float* __restrict a, const float* __restrict b, float* __restrict sums, bool isFirst) {
  constexpr int width = Vec::width;
  constexpr int64_t storage = (height + width - 1) / width * width;
  Vec sum[height][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < height; i++)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++) sum[i][j] = isFirst ? Vec::zero() : Vec::load(sums + (i * vectors + j) * width);
  for (int64_t u = 0; u < numUnits; u++) {
    Vec column[vectors];
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++) {
      prefetch(b + (u * vectors + j) * width + kPrefetchDistance);
      column[j] = Vec::load(b + (u * vectors + j) * width);
    }
#pragma GCC unroll 16
    for (int i = 0; i < height; i++) {
      const Vec row = Vec::set(a[u * storage + i]);
#pragma GCC unroll 2
      for (int j = 0; j < vectors; j++) sum[i][j] = Arithmetic::apply(row, column[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < height; i++)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++) sum[i][j].store(sums + (i * vectors + j) * width);
}

// Calls the kernel compiled for `height`.
template <typename Arithmetic, int vectors, int candidate = kMaxRegisterHeight>
void multiplyOfHeight(int height, int64_t numUnits, const RowPanel& a, const float* b, float* sums, bool isFirst) {
  if constexpr (candidate > 2)
    if (height != candidate) return multiplyOfHeight<Arithmetic, vectors, candidate - 2>(height, numUnits, a, b, sums, isFirst);
  multiplyInRegisters<Arithmetic, candidate, vectors>(numUnits, a.data, b, sums, isFirst);
}

template <typename Arithmetic, typename Units>
constexpr Engine registerEngine() {
  return {
      .maxHeight = kMaxRegisterHeight,
      .heightStep = 2,
      .storageMultiple = Vec::width,
      .columns = 2 * Vec::width,
      .narrowColumns = Vec::width,
      .kPerUnit = Units::kPerUnit,
      .unitMultiple = 1,
      .maxStepUnits = 1024,
      .stepUnits = 256,
      .readsRows = false,
      .packA = packUnitMajorPanel<Units>,
      .packB = packUnitMajorPanel<Units>,
      .begin = nullptr,
      .end = nullptr,
      .run = multiplyOfHeight<Arithmetic, 2>,
      .runNarrow = multiplyOfHeight<Arithmetic, 1>,
  };
}

}  // namespace selkie::SELKIE_ISA

// Kernel `probe`: what this processor can do at best, for the roofline (Williams, Waterman & Patterson 2009).
//   0  f32 multiply-adds on registers      1  bf16 products on registers or tiles      2  reading memory
// Nothing but the arithmetic or the loads is in the loops, so no real kernel can be faster than the rate found here.
// Views: work [1] f64 (out: floating point operations or bytes), sink [16 · tasks] f32, memory (kind 2). Numbers: kind, tasks.
#pragma once

#include "amx.h"
#include "parallel.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kProbeRounds = 1 << 16;
constexpr int kProbeChains = 12;  // enough independent sums to hide the latency of two multiply-add units

template <typename Arithmetic>
[[gnu::noinline]] Vec probeRegisters(const float* start) {
  const Vec factor = Vec::load(start);
  Vec sum[kProbeChains];
  for (int i = 0; i < kProbeChains; i++) sum[i] = Vec::set(static_cast<float>(i));
  for (int64_t round = 0; round < kProbeRounds; round++) {
#pragma GCC unroll 12
    for (int i = 0; i < kProbeChains; i++) sum[i] = Arithmetic::apply(factor, factor, sum[i]);
  }
  Vec total = Vec::zero();
  for (int i = 0; i < kProbeChains; i++) total = total + sum[i];
  return total;
}

#if defined(__AMX_BF16__)
// The pattern of the tile kernel, four sums from two tiles of each factor, without its loads.
inline void probeTiles() {
  beginTiles(32);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t round = 0; round < kProbeRounds; round++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    compilerBarrier();
  }
  endTiles();
}
#endif

inline double probeArithmetic(bool useBf16, float* sink) {
  constexpr double perVector = 2.0 * Vec::width * kProbeChains * kProbeRounds;
#if defined(__AMX_BF16__)
  if (useBf16) {
    probeTiles();
    return 4.0 * 2 * 16 * 16 * 32 * kProbeRounds;
  }
#elif defined(__AVX512BF16__)
  if (useBf16) {
    probeRegisters<DotPairs>(sink).store(sink);
    return 2 * perVector;
  }
#endif
  probeRegisters<MultiplyAdd>(sink).store(sink);
  return perVector;
}

inline void probeMemory(const float* memory, int64_t length, float* sink) {
  Vec sum[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
  for (int64_t i = 0; i + 4 * Vec::width <= length; i += 4 * Vec::width)
    for (int j = 0; j < 4; j++) sum[j] = sum[j] + Vec::load(memory + i + j * Vec::width);
  (sum[0] + sum[1] + sum[2] + sum[3]).store(sink);
}

inline void probe(const View* views, const double* numbers, ThreadPool& pool) {
  const auto kind = static_cast<int>(numbers[0]);
  const auto numTasks = static_cast<int64_t>(numbers[1]);
  auto* sink = static_cast<float*>(views[1].data);
  double work = 0;
  if (kind == 2) {
    const auto* memory = static_cast<const float*>(views[2].data);
    const int64_t share = views[2].length / numTasks;
    parallelFor(pool, numTasks, [&](int64_t task, int) { probeMemory(memory + task * share, share, sink + task * 16); });
    work = 4.0 * static_cast<double>(share * numTasks);
  } else {
    auto* done = static_cast<double*>(pool.sharedScratch(0, static_cast<size_t>(numTasks) * sizeof(double)));
    parallelFor(pool, numTasks, [&](int64_t task, int) { done[task] = probeArithmetic(kind == 1, sink + task * 16); });
    for (int64_t task = 0; task < numTasks; task++) work += done[task];
  }
  *static_cast<double*>(views[0].data) = work;
}

}  // namespace selkie::SELKIE_ISA

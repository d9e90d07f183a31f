// Sums in f64: per chunk of fixed length, then over the chunks in order.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kSumChunk = 32768;
constexpr int kSumChains = 32;  // independent sums, which the compiler turns into vectors

struct Plain {
  static double of(double x) { return x; }
};
struct Squared {
  static double of(double x) { return x * x; }
};

template <typename Map, typename T>
inline double sumChunk(const T* x, int64_t length) {
  double sums[kSumChains] = {};
  int64_t i = 0;
  for (; i + kSumChains <= length; i += kSumChains) {
    fetchAhead(x + i);
    fetchAhead(x + i + kSumChains / 2);
    for (int chain = 0; chain < kSumChains; chain++) sums[chain] += Map::of(static_cast<double>(toFloat(x[i + chain])));
  }
  for (; i < length; i++) sums[0] += Map::of(static_cast<double>(toFloat(x[i])));
  double total = 0;
  for (int chain = 0; chain < kSumChains; chain++) total += sums[chain];
  return total;
}

inline int64_t numSumChunks(int64_t length) { return (length + kSumChunk - 1) / kSumChunk; }

// Views x, total (f64).
inline void sum(const View* views, const double*, ThreadPool& pool) {
  const int64_t length = views[0].length, numChunks = numSumChunks(length);
  double* partials = static_cast<double*>(pool.sharedScratch(0, static_cast<size_t>(numChunks + 1) * sizeof(double)));
  withType(views[0], [&](const auto* x) {
    forTasks(pool, numChunks, length, [=](int64_t chunk, int) {
      const int64_t begin = chunk * kSumChunk;
      partials[chunk] = sumChunk<Plain>(x + begin, smaller(kSumChunk, length - begin));
    });
  });
  double total = 0;
  for (int64_t chunk = 0; chunk < numChunks; chunk++) total += partials[chunk];
  *doublesOf(views[1]) = total;
}

// A piece of one run; runs are cut at multiples of kSumChunk from their start.
struct RunChunk {
  int64_t run, begin, end;
  double total;
};

// Views x, offsets, totals (f64, one per run).
inline void sumSquares(const View* views, const double*, ThreadPool& pool) {
  const int32_t* offsets = intsOf(views[1]);
  double* totals = doublesOf(views[2]);
  const int64_t numRuns = views[2].length;
  int64_t numChunks = 0;
  for (int64_t run = 0; run < numRuns; run++) numChunks += numSumChunks(offsets[run + 1] - offsets[run]);
  RunChunk* chunks = static_cast<RunChunk*>(pool.sharedScratch(0, static_cast<size_t>(numChunks + 1) * sizeof(RunChunk)));
  int64_t count = 0;
  for (int64_t run = 0; run < numRuns; run++)
    for (int64_t begin = offsets[run]; begin < offsets[run + 1]; begin += kSumChunk)
      chunks[count++] = {run, begin, smaller<int64_t>(begin + kSumChunk, offsets[run + 1]), 0};
  const int64_t work = numRuns > 0 ? offsets[numRuns] - offsets[0] : 0;
  const int64_t grain = larger<int64_t>(1, numChunks * kSumChunk / larger<int64_t>(1, work));  // short runs go together
  withType(views[0], [&](const auto* x) {
    forTasks(pool, (numChunks + grain - 1) / grain, work, [=](int64_t task, int) {
      for (int64_t at = task * grain; at < smaller(numChunks, (task + 1) * grain); at++)
        chunks[at].total = sumChunk<Squared>(x + chunks[at].begin, chunks[at].end - chunks[at].begin);
    });
  });
  for (int64_t run = 0; run < numRuns; run++) totals[run] = 0;
  for (int64_t at = 0; at < numChunks; at++) totals[chunks[at].run] += chunks[at].total;
}

}  // namespace selkie::SELKIE_ISA

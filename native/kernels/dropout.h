// Dropout: which elements stay is read off a stream of random words, so the gradient needs no stored mask.
#pragma once

#include "blocks.h"
#include "random.h"

namespace selkie::SELKIE_ISA {

// y[i] = scale · x[i] (+ y[i]) where word i of the stream is at least `threshold`, else 0 (+ y[i]).
// Views x, y; numbers threshold, scale, accumulate, key (2), stream (2), first block.
inline void dropout(const View* views, const double* numbers, ThreadPool& pool) {
  // a word is kept where it is above the threshold less one; without a threshold all are, a threshold of 2³² leaves none
  const double threshold = numbers[0];
  const float scale = static_cast<float>(numbers[1]);
  const uint32_t belowThreshold = threshold < 1 ? 0 : static_cast<uint32_t>(threshold - 1);
  const float kept = scale, dropped = threshold < 1 ? scale : 0.0f;
  const PhiloxStream stream = {{static_cast<uint32_t>(numbers[3]), static_cast<uint32_t>(numbers[4])},
                               {static_cast<uint32_t>(numbers[5]), static_cast<uint32_t>(numbers[6])}};
  const auto firstBlock = static_cast<uint64_t>(numbers[7]);
  const int64_t length = views[1].length;
  const Source x = Source::whole(views[0]);
  const Sink y = {views[1], numbers[2] != 0};
  const Grid grid = {{1, 1, 1, length}};
  constexpr int64_t step = 4 * kPhiloxLanes;
  static_assert(kBlock % step == 0, "a block holds whole batches of random numbers");
  forItems(pool, (length + kBlock - 1) / kBlock, 4 * kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++) {
      const int64_t at = block * kBlock, count = smaller(kBlock, length - at);
      uint32_t drawn[kBlock] = {};
      float factors[kBlock], scratch[2][kBlock];
      for (int64_t done = 0; done < count; done += step) {
        uint32_t words[4][kPhiloxLanes];
        philoxBlocks(stream, firstBlock + static_cast<uint64_t>((at + done) / 4), words);
        for (int lane = 0; lane < kPhiloxLanes; lane++)
          for (int word = 0; word < 4; word++) drawn[done + 4 * lane + word] = words[word][lane];
      }
      for (int64_t i = 0; i < kBlock; i++) factors[i] = drawn[i] > belowThreshold ? kept : dropped;
      const float* source = x.block(grid, at, count, scratch[0]);
      float* target = y.block(at, scratch[1]);
      const float* chosen = factors;
      forVectors(0, count, [=](int64_t i, auto lanes) {
        fetchAhead(source + i);
        fetchAhead(target + i);
        const Vec factor = loadLanes(chosen + i, lanes);  // a dropped NaN or infinity is 0
        const Vec scaled = factor * loadLanes(source + i, lanes);
        storeLanes(target + i, lanes, select(equalTo(factor, Vec::zero()), Vec::zero(), scaled));
      });
      y.finish(at, target, count);
    }
  });
}

}  // namespace selkie::SELKIE_ISA

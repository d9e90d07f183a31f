// Random numbers: blocks of Philox4x32-10 (Salmon et al. 2011), as src/util/rng.ts numbers them, many at a time.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int kPhiloxLanes = 16;  // blocks side by side, which the compiler turns into vectors

struct PhiloxStream {
  uint32_t key[2];
  uint32_t stream[2];
};

// Four words of each of kPhiloxLanes blocks from `first` on.
inline void philoxBlocks(const PhiloxStream& stream, uint64_t first, uint32_t (*words)[kPhiloxLanes]) {
  for (int lane = 0; lane < kPhiloxLanes; lane++) {
    words[0][lane] = static_cast<uint32_t>(first + lane);
    words[1][lane] = static_cast<uint32_t>((first + lane) >> 32);
    words[2][lane] = stream.stream[0];
    words[3][lane] = stream.stream[1];
  }
  uint32_t key0 = stream.key[0], key1 = stream.key[1];
  for (int round = 0; round < 10; round++) {
    for (int lane = 0; lane < kPhiloxLanes; lane++) {
      const uint64_t left = uint64_t{0xd2511f53} * words[0][lane], right = uint64_t{0xcd9e8d57} * words[2][lane];
      words[0][lane] = static_cast<uint32_t>(right >> 32) ^ words[1][lane] ^ key0;
      words[1][lane] = static_cast<uint32_t>(right);
      words[2][lane] = static_cast<uint32_t>(left >> 32) ^ words[3][lane] ^ key1;
      words[3][lane] = static_cast<uint32_t>(left);
    }
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
}

// y[i] uniform in ±bound, two words each. Views y (f32); numbers bound, key (2), stream (2), first block.
inline void uniform(const View* views, const double* numbers, ThreadPool& pool) {
  float* y = floatsOf(views[0]);
  const int64_t length = views[0].length;
  const double bound = numbers[0];
  const PhiloxStream stream = {{static_cast<uint32_t>(numbers[1]), static_cast<uint32_t>(numbers[2])},
                               {static_cast<uint32_t>(numbers[3]), static_cast<uint32_t>(numbers[4])}};
  const auto firstBlock = static_cast<uint64_t>(numbers[5]);
  constexpr int64_t step = 2 * kPhiloxLanes;
  forItems(pool, (length + step - 1) / step, 4 * step, [=](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at++) {
      uint32_t words[4][kPhiloxLanes];
      philoxBlocks(stream, firstBlock + static_cast<uint64_t>(at * kPhiloxLanes), words);
      float values[step];
      for (int lane = 0; lane < kPhiloxLanes; lane++)
        for (int half = 0; half < 2; half++) {
          const double high = words[2 * half][lane] >> 5, low = words[2 * half + 1][lane] >> 6;
          const double unit = (high * 67108864.0 + low) * 0x1p-53;
          values[2 * lane + half] = static_cast<float>((2 * unit - 1) * bound);
        }
      __builtin_memcpy(y + at * step, values, static_cast<size_t>(smaller(step, length - at * step)) * sizeof(float));
    }
  });
}

}  // namespace selkie::SELKIE_ISA

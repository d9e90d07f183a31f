// Random numbers: blocks of Philox4x32-10 (Salmon et al. 2011), as src/util/rng.ts numbers them, many at a time.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int kPhiloxLanes = 16;  // blocks side by side

struct PhiloxStream {
  uint32_t key[2];
  uint32_t stream[2];
};

// Eight 32-bit words in the low halves of 64-bit lanes; what is in the high halves has no meaning.
typedef uint64_t WideWords __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(32)));
constexpr int kWideLanes = 8;

// The 64-bit products of the words with `factor`.
inline void multiplyWords(const WideWords& words, uint32_t factor, WideWords& product) {
#if defined(__AVX512F__)
  const __m512i result = _mm512_mul_epu32(reinterpret_cast<const __m512i&>(words), _mm512_set1_epi64(factor));
  __builtin_memcpy(&product, &result, sizeof(product));
#elif defined(__AVX2__)
  const __m256i factors = _mm256_set1_epi64x(factor);
  __m256i halves[2];
  __builtin_memcpy(halves, &words, sizeof(halves));
  for (__m256i& half : halves) half = _mm256_mul_epu32(half, factors);
  __builtin_memcpy(&product, halves, sizeof(product));
#else
  product = (words & uint64_t{0xffffffff}) * uint64_t{factor};
#endif
}

// Four words of each of kPhiloxLanes blocks from `first` on.
inline void philoxBlocks(const PhiloxStream& stream, uint64_t first, uint32_t (*words)[kPhiloxLanes]) {
  for (int start = 0; start < kPhiloxLanes; start += kWideLanes) {
    WideWords c0 = {0, 1, 2, 3, 4, 5, 6, 7};
    c0 += first + static_cast<uint64_t>(start);
    WideWords c1 = c0 >> 32, c2 = WideWords{} + stream.stream[0], c3 = WideWords{} + stream.stream[1];
    uint32_t key0 = stream.key[0], key1 = stream.key[1];
    for (int round = 0; round < 10; round++) {
      WideWords left, right;
      multiplyWords(c0, 0xd2511f53, left);
      multiplyWords(c2, 0xcd9e8d57, right);
      c0 = (right >> 32) ^ c1 ^ uint64_t{key0};
      c1 = right;
      c2 = (left >> 32) ^ c3 ^ uint64_t{key1};
      c3 = left;
      key0 += 0x9e3779b9;
      key1 += 0xbb67ae85;
    }
    const WideWords* results[4] = {&c0, &c1, &c2, &c3};
    for (int word = 0; word < 4; word++) {
      const Words narrow = __builtin_convertvector(*results[word], Words);
      __builtin_memcpy(words[word] + start, &narrow, sizeof(narrow));
    }
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

// What the families outside the products share: dispatch on storage types, loops over vectors with a partial last one,
// cutting of work, and the functions behind the activations.
#pragma once

#include "parallel.h"
#include "simd.h"

namespace selkie::SELKIE_ISA {

// ---- Storage types ----

// Calls body with the data of `view` as float* or bf16* (null stays null).
template <typename Body>
inline void withType(const View& view, const Body& body) {
  if (view.dtype == kBf16) return body(static_cast<bf16*>(view.data));
  body(static_cast<float*>(view.data));
}

// The data of another view that has the storage type of `sample`.
template <typename T>
inline T* dataLike(T*, const View& view) {
  return static_cast<T*>(view.data);
}

inline const int32_t* intsOf(const View& view) { return static_cast<const int32_t*>(view.data); }
inline float* floatsOf(const View& view) { return static_cast<float*>(view.data); }
inline double* doublesOf(const View& view) { return static_cast<double*>(view.data); }

// ---- Loops over vectors ----

// Stands for a full vector where a number of lanes could stand.
struct AllLanes {};

template <typename T>
inline Vec loadLanes(const T* p, AllLanes) {
  return Vec::load(p);
}
template <typename T>
inline Vec loadLanes(const T* p, int64_t lanes) {
  return Vec::load(p, lanes);
}
template <typename T>
inline void storeLanes(T* p, AllLanes, Vec value) {
  value.store(p);
}
template <typename T>
inline void storeLanes(T* p, int64_t lanes, Vec value) {
  value.store(p, lanes);
}

// What a gradient target asks for: overwrite or add.
template <typename T, typename Lanes>
inline void storeGrad(T* p, Lanes lanes, Vec value, bool accumulate) {
  storeLanes(p, lanes, accumulate ? loadLanes(p, lanes) + value : value);
}

// Calls body(offset, lanes) for the full vectors of `begin .. end` and for the rest, if any.
template <typename Body>
inline void forVectors(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + Vec::width <= end; i += Vec::width) body(i, AllLanes{});
  if (i < end) body(i, end - i);
}

// Sum over `0 .. length` of term(offset, lanes), which must be zero in the lanes left out; four chains hide the latency.
template <typename Term>
inline float sumVectors(int64_t length, const Term& term) {
  Vec sums[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
  int64_t i = 0;
  for (; i + 4 * Vec::width <= length; i += 4 * Vec::width)
    for (int chain = 0; chain < 4; chain++) sums[chain] = sums[chain] + term(i + chain * Vec::width, AllLanes{});
  for (; i + Vec::width <= length; i += Vec::width) sums[0] = sums[0] + term(i, AllLanes{});
  if (i < length) sums[1] = sums[1] + term(i, length - i);
  return reduceAdd((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <typename S, typename T>
inline void convertRow(const S* source, T* target, int64_t length) {
  forVectors(0, length, [=](int64_t i, auto lanes) { storeLanes(target + i, lanes, loadLanes(source + i, lanes)); });
}
inline void convertRow(const float* source, float* target, int64_t length) {
  __builtin_memcpy(target, source, static_cast<size_t>(length) * sizeof(float));
}
inline void convertRow(const bf16* source, bf16* target, int64_t length) {
  __builtin_memcpy(target, source, static_cast<size_t>(length) * sizeof(bf16));
}

// The view as f32: its own memory, or a widened copy in a shared slot.
inline const float* widened(const View& view, ThreadPool& pool, int slot) {
  if (view.dtype != kBf16) return floatsOf(view);
  float* copy = static_cast<float*>(pool.sharedScratch(slot, static_cast<size_t>(view.length) * sizeof(float)));
  convertRow(static_cast<const bf16*>(view.data), copy, view.length);
  return copy;
}

// ---- Cutting work ----

constexpr int64_t kInlineWork = 24576;  // elements below which waking a thread costs more than it saves
constexpr int64_t kTaskWork = 16384;    // elements of one task: long against handing it out, short against the tail

// Items per task when one item takes `workPerItem` elements.
inline int64_t grainFor(int64_t numItems, int64_t workPerItem) {
  const int64_t work = larger<int64_t>(1, workPerItem);
  if (numItems * work <= kInlineWork) return larger<int64_t>(1, numItems);
  return larger<int64_t>(1, kTaskWork / work);
}

// Calls body(begin, end) for ranges of items that take `workPerItem` elements each; for work without shared results.
template <typename Body>
inline void forItems(ThreadPool& pool, int64_t numItems, int64_t workPerItem, const Body& body) {
  if (numItems <= 0) return;
  parallelRanges(pool, numItems, grainFor(numItems, workPerItem),
                 [&](int64_t begin, int64_t end, int) { body(begin, end); });
}

// Calls body(task, thread) for every task; here the cut is the caller's, and small work stays on the calling thread.
template <typename Body>
inline void forTasks(ThreadPool& pool, int64_t numTasks, int64_t totalWork, const Body& body) {
  if (numTasks <= 0) return;
  if (totalWork > kInlineWork) return parallelFor(pool, numTasks, body);
  for (int64_t task = 0; task < numTasks; task++) body(task, 0);
}

// While one of these lives, its thread takes and gives zero for denormal numbers. For state that decays toward zero:
// arithmetic on denormals is a hundred times slower.
class FlushDenormals {
 public:
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
#if defined(__x86_64__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(static_cast<unsigned>(before_) | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(static_cast<unsigned>(before_)); }
#elif defined(__aarch64__)
  FlushDenormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
    __asm__ volatile("msr fpcr, %0" : : "r"(before_ | (uint64_t{1} << 24)));
  }
  ~FlushDenormals() { __asm__ volatile("msr fpcr, %0" : : "r"(before_)); }
#else
  FlushDenormals() : before_(0) {}
#endif

 private:
  uint64_t before_;
};

// ---- Functions ----

// 2^r within 2e-7 for 0 <= r <= 1: 1 + r p(r) with a polynomial of degree 4 (fitted as in normalTails, error 8e-8).
inline Vec exp2OfFraction(Vec r) {
  Vec p = fma(Vec::set(1.86713005e-3f), r, Vec::set(9.01703071e-3f));
  p = fma(p, r, Vec::set(5.579991266e-2f));
  p = fma(p, r, Vec::set(2.401644439e-1f));
  p = fma(p, r, Vec::set(6.931512952e-1f));
  return fma(p, r, Vec::set(1.0f));
}
constexpr float kLog2E = 1.44269504088896341f;
constexpr float kLn2 = 0.693147180559945309f;

// 2^x within 2e-7 for the weights of a softmax, 1 for 0: for x below 128, and never less than 2^-126, because a denormal
// result costs a hundred times a normal one.
inline Vec exp2Weight(Vec x) {
  const Vec bounded = max(Vec::set(-126.0f), x);
  return scaleByFloor(exp2OfFraction(fraction(bounded)), bounded);
}

// e^x within 2e-7 · (1 + |x| / 8) for x below 88, and never less than e^-87; cheaper than exp.
inline Vec expWeight(Vec x) {
  const Vec bounded = max(Vec::set(-87.0f), x);
  const Vec scaled = bounded * Vec::set(kLog2E);
  const Vec n = scaled - fraction(scaled);
  return scaleByPowerOfTwo(exp2OfFraction(fma(bounded, Vec::set(kLog2E), negate(n))), n);
}

// σ(x) and 1 - σ(x), both to nearly full relative precision.
struct Sigmoid {
  Vec open;
  Vec shut;
};
inline Sigmoid sigmoid(Vec x) {
  const Vec decay = expWeight(min(Vec::set(86.0f), negate(x)));  // so that 1 + decay has a normal reciprocal; NaN passes
  const Vec open = reciprocal(Vec::set(1.0f) + decay);
  return {open, decay * open};
}

// erfc(x / √2) for x >= 0, relative error about 2e-7: e^(-x²/2) times a polynomial in (x - 3) / (x + 3) that fits
// erfc(x / √2) · e^(x²/2) to 1e-8 on 0 .. 14.5, beyond which f32 has nothing but zero (weighted least squares at 200
// Chebyshev nodes, reweighted toward the smallest largest relative error).
inline Vec normalTails(Vec x) {
  const Vec bounded = min(Vec::set(14.5f), x);
  const Vec t = (bounded - Vec::set(3.0f)) / (bounded + Vec::set(3.0f));
  Vec p = Vec::set(1.0632293e-4f);
  p = fma(p, t, Vec::set(2.3002766e-4f));
  p = fma(p, t, Vec::set(-6.7802467e-4f));
  p = fma(p, t, Vec::set(-1.9665769e-3f));
  p = fma(p, t, Vec::set(5.80877444e-3f));
  p = fma(p, t, Vec::set(1.226388473e-2f));
  p = fma(p, t, Vec::set(-9.242652723e-2f));
  p = fma(p, t, Vec::set(2.4645008243e-1f));
  p = fma(p, t, Vec::set(-4.1280524082e-1f));
  p = fma(p, t, Vec::set(2.4302789503e-1f));
  const Vec half = bounded * Vec::set(0.5f);
  const Vec square = half * bounded;
  const Vec lost = fma(half, bounded, negate(square));  // what rounding x²/2 dropped would cost digits in the exponential
  return exp(negate(square)) * (Vec::set(1.0f) - lost) * p;
}

}  // namespace selkie::SELKIE_ISA

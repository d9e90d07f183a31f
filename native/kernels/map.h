// Functions of one variable, element by element, and their gradients. The order of the tables is that of `unaryIds` in
// src/tensor/backends/cpu/kernels-primitives.ts.
#pragma once

#include "blocks.h"
#include "functions.h"

namespace selkie::SELKIE_ISA {

// ---- One value and one slope per function ----

struct Neg {
  static Vec value(Vec x) { return x * Vec::set(-1.0f); }
  static Vec slope(Vec) { return Vec::set(-1.0f); }
};
struct Exp {
  static Vec value(Vec x) { return exp(x); }
  static Vec slope(Vec x) { return exp(x); }
};
struct Log {
  static Vec value(Vec x) { return log(x); }
  static Vec slope(Vec x) { return Vec::set(1.0f) / x; }
};
struct SigmoidCurve {
  static Vec value(Vec x) { return logistic(x).open; }
  static Vec slope(Vec x) {
    const Sigmoid s = logistic(x);
    return s.open * s.shut;
  }
};
struct Tanh {
  static Vec value(Vec x) { return tanh(x); }
  static Vec slope(Vec x) {  // 1 - tanh² x = 4 σ(2x) σ(-2x), without the cancellation
    const Sigmoid s = logistic(x + x);
    return Vec::set(4.0f) * s.open * s.shut;
  }
};
struct Softplus {
  static Vec value(Vec x) { return softplus(x); }
  static Vec slope(Vec x) { return logistic(x).open; }
};
struct Square {
  static Vec value(Vec x) { return x * x; }
  static Vec slope(Vec x) { return x + x; }
};
struct Sqrt {
  static Vec value(Vec x) { return sqrt(x); }
  static Vec slope(Vec x) { return Vec::set(0.5f) / sqrt(x); }
};
struct Rsqrt {
  static Vec value(Vec x) { return Vec::set(1.0f) / sqrt(x); }
  static Vec slope(Vec x) { return Vec::set(-0.5f) / (sqrt(x) * x); }
};
struct Reciprocal {
  static Vec value(Vec x) { return Vec::set(1.0f) / x; }
  static Vec slope(Vec x) {
    const Vec y = Vec::set(1.0f) / x;
    return y * y * Vec::set(-1.0f);
  }
};
struct Abs {
  static Vec value(Vec x) { return abs(x); }
  static Vec slope(Vec x) {  // the sign; zero and NaN stand for themselves
    const Vec sign = select(lessThan(x, Vec::zero()), Vec::set(-1.0f), Vec::set(1.0f));
    return select(lessThan(Vec::zero(), abs(x)), sign, x);
  }
};
struct Relu {
  static Vec value(Vec x) { return max(Vec::zero(), x); }  // in this order NaN passes through
  static Vec slope(Vec x) { return select(lessThan(Vec::zero(), x), Vec::set(1.0f), Vec::zero()); }
};
struct Silu {
  static Vec value(Vec x) {  // e^x in two factors: it may be too small a number for its digits when x times it is not
    const Vec root = exp(Vec::set(-0.5f) * abs(x)), large = reciprocal(fma(root, root, Vec::set(1.0f)));
    return select(lessThan(x, Vec::zero()), x * root * (root * large), x * large);
  }
  static Vec slope(Vec x) {
    const Sigmoid s = logistic(x);
    return s.open * fma(x, s.shut, Vec::set(1.0f));
  }
};

// ---- Blocks ----

using MapBlock = void (*)(const float* x, float* y, int64_t length);
using SlopeBlock = void (*)(const float* x, const float* gradY, float* gradX, int64_t length);

template <typename Curve>
inline void mapBlock(const float* x, float* y, int64_t length) {
  forVectors(0, length, [=](int64_t i, auto lanes) {
    fetchAhead(x + i);
    fetchAhead(y + i);
    storeLanes(y + i, lanes, Curve::value(loadLanes(x + i, lanes)));
  });
}

template <typename Curve>
inline void slopeBlock(const float* x, const float* gradY, float* gradX, int64_t length) {
  forVectors(0, length, [=](int64_t i, auto lanes) {
    fetchAhead(x + i);
    fetchAhead(gradY + i);
    fetchAhead(gradX + i);
    storeLanes(gradX + i, lanes, loadLanes(gradY + i, lanes) * Curve::slope(loadLanes(x + i, lanes)));
  });
}

#define SELKIE_CURVES(X) \
  X(Neg), X(Exp), X(Log), X(SigmoidCurve), X(Tanh), X(Softplus), X(Square), X(Sqrt), X(Rsqrt), X(Reciprocal), X(Abs), \
      X(Relu), X(Silu)
#define SELKIE_MAP_BLOCK(Curve) &mapBlock<Curve>
#define SELKIE_SLOPE_BLOCK(Curve) &slopeBlock<Curve>
constexpr MapBlock kMapBlocks[] = {SELKIE_CURVES(SELKIE_MAP_BLOCK)};
constexpr SlopeBlock kSlopeBlocks[] = {SELKIE_CURVES(SELKIE_SLOPE_BLOCK)};
#undef SELKIE_SLOPE_BLOCK
#undef SELKIE_MAP_BLOCK
#undef SELKIE_CURVES

// y = f(x). Views x, y; numbers f.
inline void map(const View* views, const double* numbers, ThreadPool& pool) {
  const MapBlock apply = kMapBlocks[static_cast<int>(numbers[0])];
  const Source x = Source::whole(views[0]);
  const Sink y = {views[1], false};
  const Grid grid = {{1, 1, 1, views[1].length}};
  forBlocks(pool, grid, true, [&](int64_t at, int64_t length) {
    float scratch[2][kBlock];
    float* target = y.block(at, scratch[1]);
    apply(x.block(grid, at, length, scratch[0]), target, length);
    y.finish(at, target, length);
  });
}

// gradX = gradY · f'(x). Views x, gradY, gradX; numbers f, accumulate.
inline void mapBackward(const View* views, const double* numbers, ThreadPool& pool) {
  const SlopeBlock apply = kSlopeBlocks[static_cast<int>(numbers[0])];
  const Source x = Source::whole(views[0]), gradY = Source::whole(views[1]);
  const Sink gradX = {views[2], numbers[1] != 0};
  const Grid grid = {{1, 1, 1, views[2].length}};
  forBlocks(pool, grid, true, [&](int64_t at, int64_t length) {
    float scratch[3][kBlock];
    float* target = gradX.block(at, scratch[2]);
    apply(x.block(grid, at, length, scratch[0]), gradY.block(grid, at, length, scratch[1]), target, length);
    gradX.finish(at, target, length);
  });
}

}  // namespace selkie::SELKIE_ISA

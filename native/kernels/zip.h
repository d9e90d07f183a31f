// Functions of two variables and the choice between two, element by element with broadcast. The order of the tables is
// that of `binaryIds` and `curvedIds` in src/tensor/backends/cpu/kernels-primitives.ts.
#pragma once

#include "blocks.h"

namespace selkie::SELKIE_ISA {

// ---- Values ----

inline Vec oneWhere(Vec::Mask mask) { return select(mask, Vec::set(1.0f), Vec::zero()); }
// b where it is the larger or NaN, else a; so NaN in either gives NaN.
inline Vec maximumOf(Vec a, Vec b) { return select(lessOrEqual(b, a), a, select(equalTo(a, a), b, a)); }
inline Vec minimumOf(Vec a, Vec b) { return select(lessOrEqual(a, b), a, select(equalTo(a, a), b, a)); }

struct Add {
  static Vec value(Vec a, Vec b) { return a + b; }
};
struct Sub {
  static Vec value(Vec a, Vec b) { return a - b; }
};
struct Mul {
  static Vec value(Vec a, Vec b) { return a * b; }
};
struct Div {
  static Vec value(Vec a, Vec b) { return a / b; }
};
struct Maximum {
  static Vec value(Vec a, Vec b) { return maximumOf(a, b); }
};
struct Minimum {
  static Vec value(Vec a, Vec b) { return minimumOf(a, b); }
};
struct Less {
  static Vec value(Vec a, Vec b) { return oneWhere(lessThan(a, b)); }
};
struct LessEqual {
  static Vec value(Vec a, Vec b) { return oneWhere(lessOrEqual(a, b)); }
};
struct Equal {
  static Vec value(Vec a, Vec b) { return oneWhere(equalTo(a, b)); }
};

// ---- Gradients by a and by b ----

struct MulSlopes {
  static Vec a(Vec, Vec b, Vec g) { return g * b; }
  static Vec b(Vec a, Vec, Vec g) { return g * a; }
};
struct DivSlopes {
  static Vec a(Vec, Vec b, Vec g) { return g / b; }
  static Vec b(Vec a, Vec b, Vec g) { return g / b * (a / b) * Vec::set(-1.0f); }
};
// The gradient goes to whichever the value came from; to a among equals.
struct MaximumSlopes {
  static Vec a(Vec a, Vec b, Vec g) { return select(lessOrEqual(b, a), g, select(equalTo(a, a), Vec::zero(), g)); }
  static Vec b(Vec a, Vec b, Vec g) { return select(lessOrEqual(b, a), Vec::zero(), select(equalTo(a, a), g, Vec::zero())); }
};
struct MinimumSlopes {
  static Vec a(Vec a, Vec b, Vec g) { return select(lessOrEqual(a, b), g, select(equalTo(a, a), Vec::zero(), g)); }
  static Vec b(Vec a, Vec b, Vec g) { return select(lessOrEqual(a, b), Vec::zero(), select(equalTo(a, a), g, Vec::zero())); }
};

// ---- Blocks ----

using ZipBlock = void (*)(const float* a, const float* b, float* y, int64_t length);
// Either gradient may be null.
using ZipSlopeBlock = void (*)(const float* a, const float* b, const float* gradY, float* gradA, float* gradB,
                               int64_t length);

template <typename Op>
inline void zipBlock(const float* a, const float* b, float* y, int64_t length) {
  forVectors(0, length, [=](int64_t i, auto lanes) {
    fetchAhead(a + i);
    fetchAhead(b + i);
    fetchAhead(y + i);
    storeLanes(y + i, lanes, Op::value(loadLanes(a + i, lanes), loadLanes(b + i, lanes)));
  });
}

template <typename Slopes>
inline void zipSlopeBlock(const float* a, const float* b, const float* gradY, float* gradA, float* gradB, int64_t length) {
  forVectors(0, length, [=](int64_t i, auto lanes) {
    fetchAhead(a + i);
    fetchAhead(b + i);
    fetchAhead(gradY + i);
    const Vec va = loadLanes(a + i, lanes), vb = loadLanes(b + i, lanes), g = loadLanes(gradY + i, lanes);
    if (gradA != nullptr) storeLanes(gradA + i, lanes, Slopes::a(va, vb, g));
    if (gradB != nullptr) storeLanes(gradB + i, lanes, Slopes::b(va, vb, g));
  });
}

constexpr ZipBlock kZipBlocks[] = {&zipBlock<Add>,     &zipBlock<Sub>,  &zipBlock<Mul>,       &zipBlock<Div>,  &zipBlock<Maximum>,
                                   &zipBlock<Minimum>, &zipBlock<Less>, &zipBlock<LessEqual>, &zipBlock<Equal>};
constexpr ZipSlopeBlock kZipSlopeBlocks[] = {&zipSlopeBlock<MulSlopes>, &zipSlopeBlock<DivSlopes>,
                                             &zipSlopeBlock<MaximumSlopes>, &zipSlopeBlock<MinimumSlopes>};

inline Grid gridOf(const double* sizes) {
  Grid grid;
  for (int axis = 0; axis < kMaxAxes; axis++) grid.sizes[axis] = static_cast<int64_t>(sizes[axis]);
  return grid;
}

// y = f(a, b). Views a, b, y; numbers f, sizes (4), strides of a (4), of b (4).
inline void zip(const View* views, const double* numbers, ThreadPool& pool) {
  const ZipBlock apply = kZipBlocks[static_cast<int>(numbers[0])];
  const Grid grid = gridOf(numbers + 1);
  const Source a = Source::of(views[0], grid, numbers + 5), b = Source::of(views[1], grid, numbers + 9);
  const Sink y = {views[2], false};
  forBlocks(pool, grid, a.isWhole && b.isWhole, [&](int64_t at, int64_t length) {
    float scratch[3][kBlock];
    float* target = y.block(at, scratch[2]);
    apply(a.block(grid, at, length, scratch[0]), b.block(grid, at, length, scratch[1]), target, length);
    y.finish(at, target, length);
  });
}

// Gradients before the sum over what was broadcast: all views but a and b have the size of the output.
// Views a, b, gradY, gradA?, gradB?; numbers f, sizes (4), strides of a (4), of b (4), accumulate of gradA, of gradB.
inline void zipBackward(const View* views, const double* numbers, ThreadPool& pool) {
  const ZipSlopeBlock apply = kZipSlopeBlocks[static_cast<int>(numbers[0])];
  const Grid grid = gridOf(numbers + 1);
  const Source a = Source::of(views[0], grid, numbers + 5), b = Source::of(views[1], grid, numbers + 9);
  const Source gradY = Source::whole(views[2]);
  const Sink gradA = {views[3], numbers[13] != 0}, gradB = {views[4], numbers[14] != 0};
  forBlocks(pool, grid, a.isWhole && b.isWhole, [&](int64_t at, int64_t length) {
    float scratch[5][kBlock];
    float* targetA = gradA.isWanted() ? gradA.block(at, scratch[3]) : nullptr;
    float* targetB = gradB.isWanted() ? gradB.block(at, scratch[4]) : nullptr;
    apply(a.block(grid, at, length, scratch[0]), b.block(grid, at, length, scratch[1]),
          gradY.block(grid, at, length, scratch[2]), targetA, targetB, length);
    if (targetA != nullptr) gradA.finish(at, targetA, length);
    if (targetB != nullptr) gradB.finish(at, targetB, length);
  });
}

// y = a where the condition is not zero, else b.
// Views condition, a, b, y; numbers sizes (4), strides of the condition (4), of a (4), of b (4), accumulate.
inline void select(const View* views, const double* numbers, ThreadPool& pool) {
  const Grid grid = gridOf(numbers);
  const Source condition = Source::of(views[0], grid, numbers + 4);
  const Source a = Source::of(views[1], grid, numbers + 8), b = Source::of(views[2], grid, numbers + 12);
  const Sink y = {views[3], numbers[16] != 0};
  forBlocks(pool, grid, condition.isWhole && a.isWhole && b.isWhole, [&](int64_t at, int64_t length) {
    float scratch[4][kBlock];
    const float* chooses = condition.block(grid, at, length, scratch[0]);
    const float* first = a.block(grid, at, length, scratch[1]);
    const float* second = b.block(grid, at, length, scratch[2]);
    float* target = y.block(at, scratch[3]);
    forVectors(0, length, [=](int64_t i, auto lanes) {
      fetchAhead(chooses + i);
      fetchAhead(first + i);
      fetchAhead(second + i);
      fetchAhead(target + i);
      const Vec::Mask isZero = equalTo(loadLanes(chooses + i, lanes), Vec::zero());
      storeLanes(target + i, lanes, select(isZero, loadLanes(second + i, lanes), loadLanes(first + i, lanes)));
    });
    y.finish(at, target, length);
  });
}

}  // namespace selkie::SELKIE_ISA

// Elementwise kernels work on blocks of f32 that fit the first cache: an operand gives its own memory where that is
// already such a block, and else copies, widens or repeats its values into scratch. So a function is compiled once, not
// once per storage type and kind of broadcast, and the copies cost next to nothing beside the memory traffic.
#pragma once

#include "float-bits.h"
#include "vector-math.h"

namespace selkie::SELKIE_ISA {

constexpr int64_t kBlock = 512;   // elements
constexpr int kMaxAxes = 4;       // after merging; src/tensor/strides.ts has the same limit
constexpr int64_t kLongRun = 256; // runs of the last axis from here on are blocks of their own

inline void fillRow(float* target, float value, int64_t length) {
  forVectors(0, length, [=](int64_t i, auto lanes) { storeLanes(target + i, lanes, Vec::set(value)); });
}

inline float loadScalar(const View& view, int64_t at) {
  return view.dtype == kBf16 ? toFloat(static_cast<const bf16*>(view.data)[at]) : floatsOf(view)[at];
}

// The output's axes, outermost first, padded in front with ones.
struct Grid {
  int64_t sizes[kMaxAxes];
  int64_t size() const { return sizes[0] * sizes[1] * sizes[2] * sizes[3]; }
};

// One input, seen in the shape of the output: stride 0 repeats it. The last stride is 0 or 1.
struct Source {
  View view;
  int64_t strides[kMaxAxes];
  bool isWhole;  // element for element

  static Source whole(const View& view) { return {view, {}, true}; }

  static Source of(const View& view, const Grid& grid, const double* strides) {
    Source source = {view, {}, true};
    int64_t expected = 1;
    for (int axis = kMaxAxes - 1; axis >= 0; axis--) {
      source.strides[axis] = static_cast<int64_t>(strides[axis]);
      if (grid.sizes[axis] > 1 && source.strides[axis] != expected) source.isWhole = false;
      expected *= grid.sizes[axis];
    }
    return source;
  }

  const float* contiguous(int64_t at, int64_t length, float* scratch) const {
    if (view.dtype != kBf16) return floatsOf(view) + at;
    convertRow(static_cast<const bf16*>(view.data) + at, scratch, length);
    return scratch;
  }

  // Elements begin .. begin + length of the output's order; length at most kBlock.
  const float* block(const Grid& grid, int64_t begin, int64_t length, float* scratch) const {
    if (isWhole) return contiguous(begin, length, scratch);
    const int64_t run = grid.sizes[3];
    int64_t row = begin / run, column = begin - row * run;
    if (column + length <= run && strides[3] != 0) return contiguous(rowStart(grid, row) + column, length, scratch);
    for (int64_t done = 0; done < length; row++, column = 0) {
      const int64_t count = smaller(length - done, run - column), at = rowStart(grid, row);
      if (strides[3] == 0) {
        fillRow(scratch + done, loadScalar(view, at), count);
      } else if (view.dtype == kBf16) {
        convertRow(static_cast<const bf16*>(view.data) + at + column, scratch + done, count);
      } else {
        convertRow(floatsOf(view) + at + column, scratch + done, count);
      }
      done += count;
    }
    return scratch;
  }

 private:
  int64_t rowStart(const Grid& grid, int64_t row) const {
    if (strides[0] == 0 && strides[1] == 0 && strides[2] == 0) return 0;
    if (grid.sizes[0] == 1 && grid.sizes[1] == 1) return row * strides[2];
    const int64_t plane = row / grid.sizes[2], first = plane / grid.sizes[1];
    return (row - plane * grid.sizes[2]) * strides[2] + (plane - first * grid.sizes[1]) * strides[1] + first * strides[0];
  }
};

// Where a block of results goes: straight into the output where that is f32 and is overwritten.
struct Sink {
  View view;
  bool accumulate;

  bool isWanted() const { return view.data != nullptr; }
  float* block(int64_t at, float* scratch) const {
    return view.dtype == kBf16 || accumulate ? scratch : floatsOf(view) + at;
  }
  void finish(int64_t at, const float* values, int64_t length) const {
    if (view.dtype != kBf16 && !accumulate) return;
    withType(view, [&](auto* y) {
      const bool adds = accumulate;
      forVectors(0, length, [=](int64_t i, auto lanes) { storeGrad(y + at + i, lanes, loadLanes(values + i, lanes), adds); });
    });
  }
};

// Calls body(begin, length) for blocks that cover the output; one with long runs is never cut across them.
template <typename Body>
inline void forBlocks(ThreadPool& pool, const Grid& grid, bool isWhole, const Body& body) {
  const int64_t run = grid.sizes[3];
  forItems(pool, grid.size(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end;) {
      int64_t length = smaller(kBlock, end - at);
      if (!isWhole && run >= kLongRun) length = smaller(length, run - at % run);
      body(at, length);
      at += length;
    }
  });
}

}  // namespace selkie::SELKIE_ISA

// SwiGLU and GELU with their gradients. Inputs and outputs share one storage type; gradients may have another.
#pragma once

#include "vector-math.h"

namespace selkie::SELKIE_ISA {

// Views gate, up, y.
inline void swiglu(const View* views, const double*, ThreadPool& pool) {
  withType(views[0], [&](auto* gate) {
    const auto* up = dataLike(gate, views[1]);
    auto* y = dataLike(gate, views[2]);
    forItems(pool, views[0].length, 1, [=](int64_t begin, int64_t end) {
      forVectors(begin, end, [=](int64_t i, auto lanes) {
        fetchAhead(gate + i);
        fetchAhead(up + i);
        fetchAhead(y + i);
        const Vec g = loadLanes(gate + i, lanes);
        storeLanes(y + i, lanes, g * sigmoid(g).open * loadLanes(up + i, lanes));
      });
    });
  });
}

// d gate = dy · up · σ(g) · (1 + g · (1 - σ(g))), d up = dy · g · σ(g).
// Views gate, up, gradY, gradGate?, gradUp?; numbers accumulate of gradGate, of gradUp.
inline void swigluBackward(const View* views, const double* numbers, ThreadPool& pool) {
  const bool accumulateGate = numbers[0] != 0, accumulateUp = numbers[1] != 0;
  withType(views[0], [&](const auto* gate) {
    const auto* up = dataLike(gate, views[1]);
    withType(views[2], [&](const auto* gradY) {
      withType(views[3], [&](auto* gradGate) {
        withType(views[4], [&](auto* gradUp) {
          forItems(pool, views[0].length, 1, [=](int64_t begin, int64_t end) {
            forVectors(begin, end, [=](int64_t i, auto lanes) {
              fetchAhead(gate + i);
              fetchAhead(up + i);
              fetchAhead(gradY + i);
              if (gradGate != nullptr) fetchAhead(gradGate + i);
              if (gradUp != nullptr) fetchAhead(gradUp + i);
              const Vec g = loadLanes(gate + i, lanes), upstream = loadLanes(gradY + i, lanes);
              const Sigmoid s = sigmoid(g);
              if (gradGate != nullptr) {
                const Vec slope = s.open * fma(g, s.shut, Vec::set(1.0f));
                storeGrad(gradGate + i, lanes, upstream * loadLanes(up + i, lanes) * slope, accumulateGate);
              }
              if (gradUp != nullptr) storeGrad(gradUp + i, lanes, upstream * (g * s.open), accumulateUp);
            });
          });
        });
      });
    });
  });
}

// x · Φ(x) with Φ(-|x|) = erfc(|x| / √2) / 2, so that small results keep their digits.
struct ExactGelu {
  static Vec value(Vec x) { return max(Vec::zero(), x) - abs(x) * (Vec::set(0.5f) * normalTails(abs(x))); }
  // Φ(x) + x φ(x), φ the normal density.
  static Vec slope(Vec x) {
    const Vec tail = Vec::set(0.5f) * normalTails(abs(x));
    const Vec below = select(lessThan(x, Vec::zero()), tail, Vec::set(1.0f) - tail);
    const Vec density = Vec::set(0.398942280401f) * exp(Vec::set(-0.5f) * x * x);  // 1 / √(2π)
    return fma(x, density, below);
  }
};

// x · σ(2u) with u = √(2/π) · (x + 0.044715 x³), which is the tanh approximation without its cancellation.
struct TanhGelu {
  static constexpr float kScale = 2 * 0.797884560803f;  // 2 · √(2/π)
  static constexpr float kCubic = 0.044715f;
  static Sigmoid gate(Vec x) { return sigmoid(Vec::set(kScale) * x * fma(Vec::set(kCubic) * x, x, Vec::set(1.0f))); }
  static Vec value(Vec x) { return x * gate(x).open; }
  static Vec slope(Vec x) {
    const Sigmoid s = gate(x);
    const Vec inner = Vec::set(kScale) * fma(Vec::set(3 * kCubic) * x, x, Vec::set(1.0f));
    return s.open * fma(x * s.shut, inner, Vec::set(1.0f));
  }
};

template <typename Curve>
inline void applyGelu(const View& source, const View& target, ThreadPool& pool) {
  withType(source, [&](auto* x) {
    auto* y = dataLike(x, target);
    forItems(pool, source.length, 1, [=](int64_t begin, int64_t end) {
      forVectors(begin, end,
                 [=](int64_t i, auto lanes) { storeLanes(y + i, lanes, Curve::value(loadLanes(x + i, lanes))); });
    });
  });
}

template <typename Curve>
inline void applyGeluSlope(const View* views, bool accumulate, ThreadPool& pool) {
  withType(views[0], [&](const auto* x) {
    withType(views[1], [&](const auto* gradY) {
      withType(views[2], [&](auto* gradX) {
        forItems(pool, views[0].length, 1, [=](int64_t begin, int64_t end) {
          forVectors(begin, end, [=](int64_t i, auto lanes) {
            storeGrad(gradX + i, lanes, loadLanes(gradY + i, lanes) * Curve::slope(loadLanes(x + i, lanes)), accumulate);
          });
        });
      });
    });
  });
}

// Views x, y; numbers: 1 for the tanh approximation.
inline void gelu(const View* views, const double* numbers, ThreadPool& pool) {
  if (numbers[0] != 0) return applyGelu<TanhGelu>(views[0], views[1], pool);
  applyGelu<ExactGelu>(views[0], views[1], pool);
}

// Views x, gradY, gradX; numbers: 1 for the tanh approximation, accumulate.
inline void geluBackward(const View* views, const double* numbers, ThreadPool& pool) {
  if (numbers[0] != 0) return applyGeluSlope<TanhGelu>(views, numbers[1] != 0, pool);
  applyGeluSlope<ExactGelu>(views, numbers[1] != 0, pool);
}

}  // namespace selkie::SELKIE_ISA

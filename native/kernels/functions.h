// Functions of one variable to within a few units in the last place, infinities and NaN included: log, log1p, the logistic
// function and tanh. vector-math.h has cheaper ones with looser bounds, for where they are a small part of a kernel.
#pragma once

#include "float-bits.h"
#include "vector-math.h"

namespace selkie::SELKIE_ISA {

// ln x within 1 ulp or two; -infinity for zero, NaN below zero.
// x = 2^e m with m near 1; with f = m - 1 and s = f / (2 + f), ln m = 2 atanh s = f - s (f - 2/3 s² - 2/5 s⁴ - …), of which
// the next term is below 2^-27.
inline Vec log(Vec x) {
  const Vec::Mask isSmall = lessThan(x, Vec::set(1.17549435e-38f));  // denormal: made normal by an exact factor
  const Split split = splitNormal(select(isSmall, x * Vec::set(16777216.0f), x));
  const Vec exponent = split.exponent - select(isSmall, Vec::set(24.0f), Vec::zero());
  const Vec f = split.fraction - Vec::set(1.0f);
  const Vec s = f * reciprocal(Vec::set(2.0f) + f);
  const Vec z = s * s;
  Vec p = Vec::set(2.0f / 11);
  p = fma(p, z, Vec::set(2.0f / 9));
  p = fma(p, z, Vec::set(2.0f / 7));
  p = fma(p, z, Vec::set(2.0f / 5));
  p = fma(p, z, Vec::set(2.0f / 3));
  const Vec half = Vec::set(0.5f) * f * f;
  // s (f - 2/3 s² - …) = f²/2 - s (f²/2 + 2/3 s² + …)
  Vec rest = s * fma(p, z, half);
  rest = fma(exponent, Vec::set(-2.12194440e-4f), rest);  // ln 2 in two parts, as in exp
  Vec result = fma(exponent, Vec::set(0.693359375f), f - (half - rest));
  result = select(lessThan(x, Vec::set(__builtin_inff())), result, x);  // infinity and NaN
  result = select(lessThan(x, Vec::zero()), Vec::set(__builtin_nanf("")), result);
  return select(equalTo(x, Vec::zero()), Vec::set(-__builtin_inff()), result);
}

// ln x of one number, by the same formula.
inline float log(float x) {
  float lanes[Vec::width];
  log(Vec::set(x)).store(lanes);
  return lanes[0];
}

// ln(1 + x) for 0 <= x <= 1: what rounding 1 + x dropped is added to first order.
inline Vec logOnePlus(Vec x) {
  const Vec sum = Vec::set(1.0f) + x;
  return log(sum) + (x - (sum - Vec::set(1.0f))) * reciprocal(sum);
}

// σ(x) and 1 - σ(x), both to nearly full relative precision; like `sigmoid`, but down to the smallest numbers.
inline Sigmoid logistic(Vec x) {
  const Vec decay = exp(negate(abs(x)));
  const Vec large = reciprocal(Vec::set(1.0f) + decay), small = decay * large;
  const Vec::Mask isNegative = lessThan(x, Vec::zero());
  return {select(isNegative, small, large), select(isNegative, large, small)};
}

// ln(1 + e^x).
inline Vec softplus(Vec x) { return max(Vec::zero(), x) + logOnePlus(exp(negate(abs(x)))); }

// Near zero x + x³ p(x²) (fitted as in normalTails, error below 2^-27), farther out 1 - 2 / (e^2|x| + 1).
inline Vec tanh(Vec x) {
  const Vec size = abs(x), z = x * x;
  Vec p = Vec::set(-5.515159512e-3f);
  p = fma(p, z, Vec::set(2.046941524e-2f));
  p = fma(p, z, Vec::set(-5.368802139e-2f));
  p = fma(p, z, Vec::set(1.333083032e-1f));
  p = fma(p, z, Vec::set(-3.333325985e-1f));
  const Vec near = fma(p * z, x, x);
  const Vec growth = exp(min(Vec::set(40.0f), size + size));  // a finite reciprocal, and the result is 1 long before
  const Vec far = fma(Vec::set(-2.0f), reciprocal(growth + Vec::set(1.0f)), Vec::set(1.0f));
  const Vec signedFar = select(lessThan(x, Vec::zero()), negate(far), far);
  return select(lessThan(size, Vec::set(0.65f)), near, signedFar);
}

}  // namespace selkie::SELKIE_ISA

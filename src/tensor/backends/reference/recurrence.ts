/** @file Running sums and first-order linear recurrences, one row after the other. */
import type { CumulativeSumArgs, LinearRecurrenceArgs, LinearRecurrenceBackwardArgs } from "../../primitive-args.ts";
import { store, storeGrad, widen } from "./values.ts";

/** `y[t] = Σ_{s ≤ t} x[s]` down the rows of each segment, or along each row. */
export function cumulativeSum(args: CumulativeSumArgs): void {
  const { offsets, reverse, exclusive, accumulate = false } = args;
  const [numRows, width] = args.x.shape as [number, number];
  const x = widen(args.x);
  const y = new Float64Array(x.length);
  const run = (first: number, length: number, stride: number): void => {
    let sum = 0;
    for (let step = 0; step < length; step++) {
      const at = first + (reverse ? length - 1 - step : step) * stride;
      y[at] = exclusive ? sum : sum + x[at]!;
      sum += x[at]!;
    }
  };
  if (offsets === null) for (let row = 0; row < numRows; row++) run(row * width, width, 1);
  else
    for (let segment = 0; segment + 1 < offsets.length; segment++)
      for (let column = 0; column < width; column++)
        run(offsets[segment]! * width + column, offsets[segment + 1]! - offsets[segment]!, width);
  store(args.y, y, accumulate);
}

/** `h_t = a_t ⊙ h_{t-1} + b_t`. */
export function linearRecurrence(args: LinearRecurrenceArgs): void {
  const { offsets, final } = args;
  const width = args.a.shape[1]!;
  const numSegments = offsets.length - 1;
  const [a, b] = [widen(args.a), widen(args.b)];
  const h = new Float64Array(a.length);
  const state = args.initial === null ? new Float64Array(numSegments * width) : widen(args.initial).slice(); // [S, D]
  for (let segment = 0; segment < numSegments; segment++)
    for (let t = offsets[segment]!; t < offsets[segment + 1]!; t++)
      for (let column = 0; column < width; column++) {
        const [at, ofState] = [t * width + column, segment * width + column];
        h[at] = a[at]! * state[ofState]! + b[at]!;
        state[ofState] = h[at]!;
      }
  store(args.h, h);
  if (final !== null) store(final, state);
}

/** `g_t = gradH_t + a_{t+1} ⊙ g_{t+1}`, `gradB_t = g_t`, `gradA_t = g_t ⊙ h_{t-1}`, `gradInitial = a_1 ⊙ g_1`. */
export function linearRecurrenceBackward(args: LinearRecurrenceBackwardArgs): void {
  const { offsets, initial, gradFinal } = args;
  const width = args.a.shape[1]!;
  const numSegments = offsets.length - 1;
  const [a, h] = [widen(args.a), widen(args.h)];
  const gradH = args.gradH === null ? new Float64Array(a.length) : widen(args.gradH);
  const before = initial === null ? new Float64Array(numSegments * width) : widen(initial);
  const [gradA, gradB] = [new Float64Array(a.length), new Float64Array(a.length)];
  const carry = gradFinal === null ? new Float64Array(numSegments * width) : widen(gradFinal).slice(); // [S, D]
  for (let segment = 0; segment < numSegments; segment++)
    for (let t = offsets[segment + 1]! - 1; t >= offsets[segment]!; t--)
      for (let column = 0; column < width; column++) {
        const [at, ofState] = [t * width + column, segment * width + column];
        const g = gradH[at]! + carry[ofState]!;
        gradB[at] = g;
        gradA[at] = g * (t === offsets[segment]! ? before[ofState]! : h[at - width]!);
        carry[ofState] = a[at]! * g;
      }
  storeGrad(args.gradA, gradA);
  storeGrad(args.gradB, gradB);
  storeGrad(args.gradInitial, carry);
}

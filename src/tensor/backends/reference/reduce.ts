/** @file Reductions over one axis of `[outer, length, inner]`, softmax, and their gradients. */
import type { Kernels } from "../../backend.ts";
import type { AxisView, Reduction } from "../../primitive-kernels.ts";
import { store, storeGrad, widen } from "./values.ts";

type Args<Kernel extends keyof Kernels> = Parameters<Kernels[Kernel]>[0];

/** Calls `visit` for every line along the axis: its number and the places of its elements. */
function forLines({ outer, length, inner }: AxisView, visit: (line: number, places: readonly number[]) => void): void {
  for (let line = 0; line < outer * inner; line++) {
    const first = Math.floor(line / inner) * length * inner + (line % inner);
    visit(
      line,
      Array.from({ length }, (_, i) => first + i * inner),
    );
  }
}

const largest = (values: readonly number[]): number => values.reduce((most, value) => Math.max(most, value), -Infinity);

function logSumExp(values: readonly number[]): number {
  const most = largest(values);
  const shift = Number.isFinite(most) ? most : 0;
  return shift + Math.log(values.reduce((total, value) => total + Math.exp(value - shift), 0));
}

const reductions: { readonly [Op in Reduction]: (values: readonly number[]) => number } = {
  sum: (values) => values.reduce((total, value) => total + value, 0),
  max: largest,
  logSumExp,
};

/** `y = scale · reduction`. */
export function reduce(args: Args<"reduce">): void {
  const { op, axis, scale = 1 } = args;
  const x = widen(args.x);
  const y = new Float64Array(axis.outer * axis.inner);
  forLines(axis, (line, places) => {
    y[line] = scale * reductions[op](places.map((at) => x[at]!));
  });
  store(args.y, y, args.accumulate);
}

/** Place of the first largest; NaN counts as largest. */
function firstLargest(values: readonly number[]): number {
  const nan = values.findIndex(Number.isNaN);
  return nan >= 0 ? nan : values.indexOf(largest(values));
}

/** Gradient of the maximum or of the logarithm of the sum of exponentials. */
export function reduceBackward(args: Args<"reduceBackward">): void {
  const [x, y, gradY] = [widen(args.x), widen(args.y), widen(args.gradY)];
  const gradX = new Float64Array(x.length);
  forLines(args.axis, (line, places) => {
    if (args.op === "max" && places.length > 0) gradX[places[firstLargest(places.map((at) => x[at]!))]!] = gradY[line]!;
    if (args.op === "logSumExp" && y[line] !== -Infinity)
      for (const at of places) gradX[at] = gradY[line]! * Math.exp(x[at]! - y[line]!);
  });
  storeGrad(args.gradX, gradX);
}

/** Index of the first largest element along the axis. */
export function argmax({ x, indices, axis }: Args<"argmax">): void {
  const values = widen(x);
  forLines(axis, (line, places) => {
    indices[line] = firstLargest(places.map((at) => values[at]!));
  });
}

/** Softmax along the axis, or its logarithm. */
export function softmax(args: Args<"softmax">): void {
  const x = widen(args.x);
  const y = new Float64Array(x.length);
  forLines(args.axis, (_, places) => {
    const most = largest(places.map((at) => x[at]!));
    const shift = most === -Infinity ? 0 : most;
    const total = places.reduce((sum, at) => sum + Math.exp(x[at]! - shift), 0);
    for (const at of places) {
      const shifted = x[at]! - shift;
      if (args.log) y[at] = total === 0 ? shifted : shifted - Math.log(total);
      else y[at] = total === 0 ? 0 : Math.exp(shifted) / total;
    }
  });
  store(args.y, y);
}

/** `y (gradY - Σ gradY y)`, or `gradY - e^y Σ gradY`. */
export function softmaxBackward(args: Args<"softmaxBackward">): void {
  const [y, gradY] = [widen(args.y), widen(args.gradY)];
  const gradX = new Float64Array(y.length);
  forLines(args.axis, (_, places) => {
    const total = places.reduce((sum, at) => sum + gradY[at]! * (args.log ? 1 : y[at]!), 0);
    for (const at of places)
      gradX[at] = args.log ? gradY[at]! - Math.exp(y[at]!) * total : y[at]! * (gradY[at]! - total);
  });
  storeGrad(args.gradX, gradX);
}

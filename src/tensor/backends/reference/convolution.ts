/** @file Causal depthwise convolution within segments, and its gradients. */
import type { DepthwiseConvolutionArgs, DepthwiseConvolutionBackwardArgs } from "../../primitive-args.ts";
import { store, storeGrad, widen } from "./values.ts";

type Shared = Pick<DepthwiseConvolutionArgs, "weight" | "offsets">;

/**
 * Calls `visit` for every term `w[tap] · input[row]` of `y[t]`. `isPrevious` rows count through all segments, k - 1 each;
 * the rows before a segment when nothing precedes it are left out by the caller.
 */
function forTerms(
  { weight, offsets }: Shared,
  visit: (t: number, tap: number, row: number, isPrevious: boolean) => void,
) {
  const k = weight.shape[1]!;
  for (let segment = 0; segment + 1 < offsets.length; segment++)
    for (let t = offsets[segment]!; t < offsets[segment + 1]!; t++)
      for (let tap = 0; tap < k; tap++) {
        const row = t - (k - 1) + tap;
        const missing = offsets[segment]! - row; // 1: the row just before the segment
        if (missing <= 0) visit(t, tap, row, false);
        else visit(t, tap, segment * (k - 1) + (k - 1) - missing, true);
      }
}

/** `y[t, d] = Σ_j w[d, j] · x[t - (k - 1) + j, d] + bias[d]`. */
export function depthwiseConvolution(args: DepthwiseConvolutionArgs): void {
  const [width, k] = args.weight.shape as [number, number];
  const [x, weight] = [widen(args.x), widen(args.weight)];
  const previous = args.previous === null ? null : widen(args.previous);
  const y = new Float64Array(x.length);
  if (args.bias !== null) {
    const bias = widen(args.bias);
    for (let i = 0; i < y.length; i++) y[i] = bias[i % width]!;
  }
  forTerms(args, (t, tap, row, isPrevious) => {
    const source = isPrevious ? previous : x;
    if (source === null) return;
    for (let d = 0; d < width; d++)
      y[t * width + d] = y[t * width + d]! + weight[d * k + tap]! * source[row * width + d]!;
  });
  store(args.y, y);
}

/** Every term `w · x` of `y` gives `w · gradY` to its `x` and `gradY · x` to its `w`. */
export function depthwiseConvolutionBackward(args: DepthwiseConvolutionBackwardArgs): void {
  const [width, k] = args.weight.shape as [number, number];
  const [x, weight, gradY] = [widen(args.x), widen(args.weight), widen(args.gradY)];
  const numPrevious = (args.offsets.length - 1) * (k - 1) * width;
  const previous = args.previous === null ? new Float64Array(numPrevious) : widen(args.previous);
  const [gradX, gradPrevious] = [new Float64Array(x.length), new Float64Array(numPrevious)];
  const [gradWeight, gradBias] = [new Float64Array(weight.length), new Float64Array(width)];
  forTerms(args, (t, tap, row, isPrevious) => {
    const [source, gradSource] = isPrevious ? [previous, gradPrevious] : [x, gradX];
    for (let d = 0; d < width; d++) {
      const [upstream, at, ofWeight] = [gradY[t * width + d]!, row * width + d, d * k + tap];
      gradSource[at] = gradSource[at]! + weight[ofWeight]! * upstream;
      gradWeight[ofWeight] = gradWeight[ofWeight]! + source[at]! * upstream;
    }
  });
  for (let i = 0; i < gradY.length; i++) gradBias[i % width] = gradBias[i % width]! + gradY[i]!;
  storeGrad(args.gradX, gradX);
  storeGrad(args.gradPrevious, gradPrevious);
  storeGrad(args.gradWeight, gradWeight);
  storeGrad(args.gradBias, gradBias);
}

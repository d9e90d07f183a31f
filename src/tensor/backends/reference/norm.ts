/** @file RMSNorm and LayerNorm with their gradients, each with its formula. */
import type { Kernels } from "../../backend.ts";
import { store, storeGrad, widen } from "./values.ts";

type Args<Kernel extends keyof Kernels> = Parameters<Kernels[Kernel]>[0];

/** `y = w ⊙ x · rstd`. */
export function rmsNorm(args: Args<"rmsNorm">): void {
  const [numRows, width] = args.x.shape as [number, number];
  const [x, weight] = [widen(args.x), widen(args.weight)] as const;
  const y = new Float64Array(x.length);
  const rstd = new Float64Array(numRows);
  for (let row = 0; row < numRows; row++) {
    const first = row * width;
    let squares = 0;
    for (let d = 0; d < width; d++) squares += x[first + d]! ** 2;
    rstd[row] = 1 / Math.sqrt(squares / width + args.eps);
    for (let d = 0; d < width; d++) y[first + d] = weight[d]! * x[first + d]! * rstd[row]!;
  }
  store(args.y, y);
  store(args.rstd, rstd);
}

/** With `n = x · rstd`, `g = w ⊙ dy`: `dx = rstd · (g - n · mean(g ⊙ n))`, `dw = Σ_rows dy ⊙ n`. */
export function rmsNormBackward(args: Args<"rmsNormBackward">): void {
  const [numRows, width] = args.x.shape as [number, number];
  const [x, weight, rstd, gradY] = [widen(args.x), widen(args.weight), widen(args.rstd), widen(args.gradY)] as const;
  const gradX = new Float64Array(x.length);
  const gradWeight = new Float64Array(width);
  for (let row = 0; row < numRows; row++) {
    const first = row * width;
    const factor = rstd[row]!;
    let projection = 0; // mean(g ⊙ n)
    for (let d = 0; d < width; d++) {
      const normalized = x[first + d]! * factor;
      projection += (weight[d]! * gradY[first + d]! * normalized) / width;
      gradWeight[d] = gradWeight[d]! + gradY[first + d]! * normalized;
    }
    for (let d = 0; d < width; d++)
      gradX[first + d] = factor * (weight[d]! * gradY[first + d]! - x[first + d]! * factor * projection);
  }
  storeGrad(args.gradX, gradX);
  storeGrad(args.gradWeight, gradWeight);
}

/** `y = w ⊙ (x - mean) · rstd + bias`, biased variance. */
export function layerNorm(args: Args<"layerNorm">): void {
  const [numRows, width] = args.x.shape as [number, number];
  const [x, weight, bias] = [widen(args.x), widen(args.weight), widen(args.bias)] as const;
  const y = new Float64Array(x.length);
  const mean = new Float64Array(numRows);
  const rstd = new Float64Array(numRows);
  for (let row = 0; row < numRows; row++) {
    const first = row * width;
    let total = 0;
    for (let d = 0; d < width; d++) total += x[first + d]!;
    const center = total / width;
    let squares = 0;
    for (let d = 0; d < width; d++) squares += (x[first + d]! - center) ** 2;
    const factor = 1 / Math.sqrt(squares / width + args.eps);
    for (let d = 0; d < width; d++) y[first + d] = weight[d]! * (x[first + d]! - center) * factor + bias[d]!;
    mean[row] = center;
    rstd[row] = factor;
  }
  store(args.y, y);
  store(args.mean, mean);
  store(args.rstd, rstd);
}

/** With `n = (x - mean) · rstd`, `g = w ⊙ dy`: `dx = rstd · (g - mean(g) - n · mean(g ⊙ n))`, `dw = Σ dy ⊙ n`, `db = Σ dy`. */
export function layerNormBackward(args: Args<"layerNormBackward">): void {
  const [numRows, width] = args.x.shape as [number, number];
  const [x, weight, gradY] = [widen(args.x), widen(args.weight), widen(args.gradY)] as const;
  const [mean, rstd] = [widen(args.mean), widen(args.rstd)] as const;
  const gradX = new Float64Array(x.length);
  const gradWeight = new Float64Array(width);
  const gradBias = new Float64Array(width);
  for (let row = 0; row < numRows; row++) {
    const first = row * width;
    const center = mean[row]!;
    const factor = rstd[row]!;
    let average = 0; // mean(g)
    let projection = 0; // mean(g ⊙ n)
    for (let d = 0; d < width; d++) {
      const upstream = gradY[first + d]!;
      const normalized = (x[first + d]! - center) * factor;
      average += (weight[d]! * upstream) / width;
      projection += (weight[d]! * upstream * normalized) / width;
      gradWeight[d] = gradWeight[d]! + upstream * normalized;
      gradBias[d] = gradBias[d]! + upstream;
    }
    for (let d = 0; d < width; d++) {
      const normalized = (x[first + d]! - center) * factor;
      gradX[first + d] = factor * (weight[d]! * gradY[first + d]! - average - normalized * projection);
    }
  }
  storeGrad(args.gradX, gradX);
  storeGrad(args.gradWeight, gradWeight);
  storeGrad(args.gradBias, gradBias);
}

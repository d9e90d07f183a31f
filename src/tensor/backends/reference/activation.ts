/** @file SwiGLU and GELU with their gradients, and the complementary error function that JavaScript lacks. */
import type { Kernels } from "../../backend.ts";
import { store, storeGrad, widen } from "./values.ts";

type Args<Kernel extends keyof Kernels> = Parameters<Kernels[Kernel]>[0];

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** `y = gate · σ(gate) · up`. */
export function swiglu(args: Args<"swiglu">): void {
  const [gate, up] = [widen(args.gate), widen(args.up)] as const;
  const y = new Float64Array(gate.length);
  for (let i = 0; i < y.length; i++) y[i] = gate[i]! * sigmoid(gate[i]!) * up[i]!;
  store(args.y, y);
}

/** `silu'(g) = σ(g) · (1 + g · (1 - σ(g)))`. */
export function swigluBackward(args: Args<"swigluBackward">): void {
  const [gate, up, gradY] = [widen(args.gate), widen(args.up), widen(args.gradY)] as const;
  const gradGate = new Float64Array(gate.length);
  const gradUp = new Float64Array(gate.length);
  for (let i = 0; i < gradGate.length; i++) {
    const open = sigmoid(gate[i]!);
    gradGate[i] = gradY[i]! * up[i]! * open * (1 + gate[i]! * (1 - open));
    gradUp[i] = gradY[i]! * gate[i]! * open;
  }
  storeGrad(args.gradGate, gradGate);
  storeGrad(args.gradUp, gradUp);
}

/** A function of one variable and its slope. */
interface Curve {
  value(x: number): number;
  slope(x: number): number;
}

const cubic = 0.044715; // coefficient of the tanh approximation, arXiv 1606.08415 section 2
const tanhScale = Math.sqrt(2 / Math.PI);
const normalCdf = (x: number): number => 0.5 * erfc(-x / Math.SQRT2);
const normalDensity = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

const geluCurves: { readonly [Kind in Args<"gelu">["approximate"]]: Curve } = {
  none: {
    value: (x) => x * normalCdf(x),
    slope: (x) => normalCdf(x) + x * normalDensity(x),
  },
  tanh: {
    value: (x) => 0.5 * x * (1 + Math.tanh(tanhScale * (x + cubic * x ** 3))),
    slope(x) {
      const bend = Math.tanh(tanhScale * (x + cubic * x ** 3));
      return 0.5 * (1 + bend) + 0.5 * x * (1 - bend * bend) * tanhScale * (1 + 3 * cubic * x * x);
    },
  },
};

/** `y = x · Φ(x)`, exactly or by the tanh approximation. */
export function gelu(args: Args<"gelu">): void {
  const curve = geluCurves[args.approximate];
  const x = widen(args.x);
  const y = new Float64Array(x.length);
  for (let i = 0; i < y.length; i++) y[i] = curve.value(x[i]!);
  store(args.y, y);
}

/** `dx = dy · gelu'(x)`. */
export function geluBackward(args: Args<"geluBackward">): void {
  const curve = geluCurves[args.approximate];
  const [x, gradY] = [widen(args.x), widen(args.gradY)] as const;
  const gradX = new Float64Array(x.length);
  for (let i = 0; i < gradX.length; i++) gradX[i] = gradY[i]! * curve.slope(x[i]!);
  storeGrad(args.gradX, gradX);
}

/**
 * `1 - erf(x)` to about 1e-15: near zero by `erf x = 2/√π · e^(-x²) · Σ_n 2ⁿ x^(2n+1) / (1·3·…·(2n+1))`, whose terms all
 * have one sign, in the tails by the continued fraction `e^(-x²)/√π · 1/(x + ½/(x + 1/(x + 3/2/(x + …))))`
 * (Abramowitz & Stegun 7.1.6, 7.1.14).
 */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < 2) {
    let term = x;
    let total = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      total += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
  }
  let tail = x;
  for (let n = 80; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

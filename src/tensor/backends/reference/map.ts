/** @file Functions of one and of two variables, element by element, with broadcast and with their gradients. */
import type { Kernels } from "../../backend.ts";
import type { BinaryOp, CurvedBinaryOp, UnaryOp } from "../../primitive-kernels.ts";
import type { Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { store, storeGrad, widen } from "./values.ts";

type Args<Kernel extends keyof Kernels> = Parameters<Kernels[Kernel]>[0];

/** A function of one variable and its slope. */
interface Curve {
  value(x: number): number;
  slope(x: number): number;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const curves: { readonly [Op in UnaryOp]: Curve } = {
  neg: { value: (x) => -x, slope: () => -1 },
  exp: { value: Math.exp, slope: Math.exp },
  log: { value: Math.log, slope: (x) => 1 / x },
  sigmoid: { value: sigmoid, slope: (x) => sigmoid(x) * sigmoid(-x) },
  tanh: { value: Math.tanh, slope: (x) => 1 / Math.cosh(x) ** 2 },
  softplus: { value: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), slope: sigmoid },
  square: { value: (x) => x * x, slope: (x) => 2 * x },
  sqrt: { value: Math.sqrt, slope: (x) => 0.5 / Math.sqrt(x) },
  rsqrt: { value: (x) => 1 / Math.sqrt(x), slope: (x) => -0.5 / (x * Math.sqrt(x)) },
  reciprocal: { value: (x) => 1 / x, slope: (x) => -1 / (x * x) },
  abs: { value: Math.abs, slope: Math.sign },
  relu: { value: (x) => Math.max(x, 0), slope: (x) => Number(x > 0) },
  silu: { value: (x) => x * sigmoid(x), slope: (x) => sigmoid(x) * (1 + x * sigmoid(-x)) },
};

/** `y = f(x)`. */
export function map(args: Args<"map">): void {
  store(args.y, widen(args.x).map(curves[args.op].value));
}

/** `gradX = gradY · f'(x)`. */
export function mapBackward(args: Args<"mapBackward">): void {
  const gradY = widen(args.gradY);
  const { slope } = curves[args.op];
  storeGrad(
    args.gradX,
    widen(args.x).map((x, i) => gradY[i]! * slope(x)),
  );
}

/** The elements of `tensor` as a tensor of shape `target` shows them. */
function broadcast(tensor: Tensor, target: Shape): Float64Array {
  const values = widen(tensor);
  const { shape } = tensor;
  const missing = target.length - shape.length;
  const result = new Float64Array(target.reduce((product, size) => product * size, 1));
  for (let flat = 0; flat < result.length; flat++) {
    let rest = flat;
    let at = 0;
    let stride = 1;
    for (let axis = target.length - 1; axis >= missing; axis--) {
      const size = shape[axis - missing]!;
      if (size > 1) at += (rest % target[axis]!) * stride;
      stride *= size;
      rest = Math.floor(rest / target[axis]!);
    }
    result[flat] = values[at]!;
  }
  return result;
}

const binaryValues: { readonly [Op in BinaryOp]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  maximum: Math.max,
  minimum: Math.min,
  less: (a, b) => Number(a < b),
  lessEqual: (a, b) => Number(a <= b),
  equal: (a, b) => Number(a === b),
};

/** `y = f(a, b)`. */
export function zip(args: Args<"zip">): void {
  const value = binaryValues[args.op];
  const [a, b] = [broadcast(args.a, args.y.shape), broadcast(args.b, args.y.shape)];
  store(
    args.y,
    a.map((each, i) => value(each, b[i]!)),
  );
}

/** True where the extreme came from `a`: it wins, is equal, or alone is NaN. */
const isFirst = (a: number, b: number, wins: boolean): boolean => wins || a === b || (Number.isNaN(a) && !wins);

/** Gradients by `a` and by `b` of an output with gradient `g`. */
const binaryGradients: {
  readonly [Op in CurvedBinaryOp]: (a: number, b: number, g: number) => readonly [number, number];
} = {
  mul: (a, b, g) => [g * b, g * a],
  div: (a, b, g) => [g / b, (-g / b) * (a / b)],
  maximum: (a, b, g) => (isFirst(a, b, a > b) ? [g, 0] : [0, g]),
  minimum: (a, b, g) => (isFirst(a, b, a < b) ? [g, 0] : [0, g]),
};

/** `gradA = gradY · ∂f/∂a`, `gradB = gradY · ∂f/∂b`. */
export function zipBackward(args: Args<"zipBackward">): void {
  const gradientsOf = binaryGradients[args.op];
  const { shape } = args.gradY;
  const [a, b, gradY] = [broadcast(args.a, shape), broadcast(args.b, shape), widen(args.gradY)];
  const pairs = Array.from(gradY, (g, i) => gradientsOf(a[i]!, b[i]!, g));
  storeGrad(
    args.gradA,
    Float64Array.from(pairs, ([byA]) => byA),
  );
  storeGrad(
    args.gradB,
    Float64Array.from(pairs, ([, byB]) => byB),
  );
}

/** `y = a` where the condition is not 0, else `b`. */
export function select(args: Args<"select">): void {
  const { shape } = args.y;
  const [a, b] = [broadcast(args.a, shape), broadcast(args.b, shape)];
  const chosen = broadcast(args.condition, shape).map((condition, i) => (condition === 0 ? b[i]! : a[i]!));
  store(args.y, chosen, args.accumulate);
}

/**
 * @file Native kernels that work row by row or element by element (`native/kernels/{norm,rope,activation,elementwise,rows,
 * reduce,adamw,random}.h`): flattens the arguments of the contract into numbers and typed arrays. Ops have checked the shapes.
 */
import type { AdamWArgs, AdamWSegment, Kernels } from "../../backend.ts";
import type { PrimitiveKernels } from "../../primitive-kernels.ts";
import type { GradTarget, Tensor } from "../../tensor.ts";
import type { BatchedKernels, SequenceKernels } from "./kernels-sequences.ts";
import type { NativeContext } from "./native.ts";
import { viewsOf } from "./quantised.ts";
import { requireF32 } from "./require-f32.ts";

/** The part of the kernel table that this file gives. */
export type ElementwiseKernels = Omit<
  Kernels,
  | "gemm"
  | "lora"
  | "loraBackward"
  | "linearCrossEntropy"
  | "attention"
  | "attentionBackward"
  | "sampleRows"
  | keyof BatchedKernels
  | keyof SequenceKernels
  | keyof PrimitiveKernels
>;

const dataOf = (target: GradTarget | null) => target?.grad.data ?? null;
const accumulates = (target: GradTarget | null): number => Number(target?.accumulate ?? false);
const widthOf = (matrix: Tensor): number => matrix.shape[1]!;

/** Norms, rope, activations, sums, rows, reductions, AdamW and random numbers. */
export function elementwiseKernels(context: NativeContext): ElementwiseKernels {
  return {
    ...normKernels(context),
    ...activationKernels(context),
    ...rowKernels(context),
    add: ({ a, b, y }) => context.run("add", [], a.data, b.data, y.data),
    axpby: ({ x, alpha, y, beta }) => context.run("axpby", [alpha, beta], x.data, y.data),
    sum({ x }) {
      const total = new Float64Array(1);
      context.run("sum", [], x.data, total);
      return total[0]!;
    },
    sumSquares({ x, offsets }) {
      const totals = new Float64Array(offsets.length - 1);
      context.run("sumSquares", [], x.data, offsets, totals);
      return totals;
    },
    adamW: (args) => adamW(context, args),
    uniform({ y, bound, blocks: { key, stream, firstBlock } }) {
      requireF32("uniform: y", y);
      context.run("uniform", [bound, ...key, ...stream, firstBlock], y.data);
    },
  };
}

type NormKernels = Pick<Kernels, "rmsNorm" | "rmsNormBackward" | "layerNorm" | "layerNormBackward">;

function normKernels(context: NativeContext): NormKernels {
  return {
    rmsNorm: ({ x, weight, eps, y, rstd }) =>
      context.run("rmsNorm", [widthOf(x), eps], x.data, weight.data, y.data, rstd.data),
    rmsNormBackward: ({ x, weight, rstd, gradY, gradX, gradWeight }) =>
      context.run(
        "rmsNormBackward",
        [widthOf(x), accumulates(gradX), accumulates(gradWeight)],
        x.data,
        weight.data,
        rstd.data,
        gradY.data,
        dataOf(gradX),
        dataOf(gradWeight),
      ),
    layerNorm: ({ x, weight, bias, eps, y, mean, rstd }) =>
      context.run("layerNorm", [widthOf(x), eps], x.data, weight.data, bias.data, y.data, mean.data, rstd.data),
    layerNormBackward: ({ x, weight, mean, rstd, gradY, gradX, gradWeight, gradBias }) =>
      context.run(
        "layerNormBackward",
        [widthOf(x), accumulates(gradX), accumulates(gradWeight), accumulates(gradBias)],
        x.data,
        weight.data,
        mean.data,
        rstd.data,
        gradY.data,
        dataOf(gradX),
        dataOf(gradWeight),
        dataOf(gradBias),
      ),
  };
}

type ActivationKernels = Pick<Kernels, "swiglu" | "swigluBackward" | "gelu" | "geluBackward">;

function activationKernels(context: NativeContext): ActivationKernels {
  return {
    swiglu: ({ gate, up, y }) => context.run("swiglu", [], gate.data, up.data, y.data),
    swigluBackward: ({ gate, up, gradY, gradGate, gradUp }) =>
      context.run(
        "swigluBackward",
        [accumulates(gradGate), accumulates(gradUp)],
        gate.data,
        up.data,
        gradY.data,
        dataOf(gradGate),
        dataOf(gradUp),
      ),
    gelu: ({ x, y, approximate }) => context.run("gelu", [Number(approximate === "tanh")], x.data, y.data),
    geluBackward: ({ x, gradY, gradX, approximate }) =>
      context.run(
        "geluBackward",
        [Number(approximate === "tanh"), accumulates(gradX)],
        x.data,
        gradY.data,
        gradX.grad.data,
      ),
  };
}

type RowKernels = Pick<Kernels, "rope" | "gatherRows" | "scatterAddRows" | "setRows">;

function rowKernels(context: NativeContext): RowKernels {
  return {
    rope: ({ x, positions, cos, sin, numHeads, inverse, y, accumulate }) =>
      context.run(
        "rope",
        [numHeads, widthOf(x) / numHeads, Number(inverse), Number(accumulate ?? false)],
        x.data,
        positions,
        cos.data,
        sin.data,
        y.data,
      ),
    gatherRows: ({ x, rows, y }) =>
      x.quantised === null
        ? context.run("gatherRows", [widthOf(x)], x.data, rows, y.data)
        : context.run("quantisedRows", [widthOf(x)], ...viewsOf(x.quantised), rows, y.data),
    scatterAddRows({ x, rows, y }) {
      requireF32("scatterAddRows: y", y);
      context.run("scatterAddRows", [widthOf(x)], x.data, rows, y.data);
    },
    setRows: ({ x, rows, y }) => context.run("setRows", [widthOf(x)], x.data, rows, y.data),
  };
}

/** Numbers per run in `native/kernels/adamw.h`. */
const runSize = 7;

function adamW(context: NativeContext, args: AdamWArgs): void {
  const { params, grads, moment1, moment2, beta1, beta2, epsilon, segments } = args;
  requireF32("adamW: moment1", moment1);
  requireF32("adamW: moment2", moment2);
  const runs = new Float64Array(segments.length * runSize);
  const ends = new Float64Array(segments.length);
  let end = 0;
  segments.forEach((segment, index) => {
    writeRun(runs, index * runSize, segment, beta1, beta2);
    end += segment.length;
    ends[index] = end;
  });
  context.run("adamW", [beta1, beta2, epsilon], params.data, grads.data, moment1.data, moment2.data, runs, ends);
}

function writeRun(runs: Float64Array, at: number, segment: AdamWSegment, beta1: number, beta2: number): void {
  runs[at] = segment.offset;
  runs[at + 1] = segment.length;
  runs[at + 2] = segment.learningRate;
  runs[at + 3] = segment.weightDecay;
  runs[at + 4] = segment.gradScale;
  runs[at + 5] = 1 - beta1 ** segment.step;
  runs[at + 6] = 1 - beta2 ** segment.step;
}

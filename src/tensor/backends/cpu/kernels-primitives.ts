/**
 * @file Native kernels of primitives (`native/kernels/{map,zip,reduce-axis,softmax,strided-copy,dropout}.h`): flattens the
 * arguments of the contract into numbers and typed arrays. Ops have checked the shapes.
 */
import type {
  AxisView,
  BinaryOp,
  CurvedBinaryOp,
  CurvedReduction,
  PrimitiveKernels,
  Reduction,
  UnaryOp,
} from "../../primitive-kernels.ts";
import type { Shape } from "../../shape.ts";
import { broadcastStrides, mergeAxes } from "../../strides.ts";
import type { GradTarget, Tensor } from "../../tensor.ts";
import type { NativeContext } from "./native.ts";

/** Places in the tables of `native/kernels/map.h`. */
const unaryIds: { readonly [Op in UnaryOp]: number } = {
  neg: 0,
  exp: 1,
  log: 2,
  sigmoid: 3,
  tanh: 4,
  softplus: 5,
  square: 6,
  sqrt: 7,
  rsqrt: 8,
  reciprocal: 9,
  abs: 10,
  relu: 11,
  silu: 12,
};

/** Places in the tables of `native/kernels/zip.h`. */
const binaryIds: { readonly [Op in BinaryOp]: number } = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  maximum: 4,
  minimum: 5,
  less: 6,
  lessEqual: 7,
  equal: 8,
};
const curvedIds: { readonly [Op in CurvedBinaryOp]: number } = { mul: 0, div: 1, maximum: 2, minimum: 3 };

/** Numbers of `native/kernels/reduce-axis.h`. */
const reductionIds: { readonly [Op in Reduction]: number } = { sum: 0, max: 1, logSumExp: 2 };
const reductionSlopeIds: { readonly [Op in CurvedReduction]: number } = { max: 0, logSumExp: 1 };

const axisNumbers = ({ outer, length, inner }: AxisView): number[] => [outer, length, inner];
const accumulates = (target: GradTarget | null): number => Number(target?.accumulate ?? false);

/** Sizes and strides of operands that broadcast to `shape`, for the kernel. */
function gridNumbers(where: string, shape: Shape, ...operands: readonly Tensor[]): number[] {
  const { sizes, strides } = mergeAxes(where, {
    sizes: shape,
    strides: operands.map((operand) => broadcastStrides(operand.shape, shape)),
  });
  return [...sizes, ...strides.flat()];
}

/** Elementwise functions with broadcast, reductions, softmax, strided copies, dropout. */
export function primitiveKernels(context: NativeContext): PrimitiveKernels {
  return { ...elementKernels(context), ...axisKernels(context), ...moveKernels(context) };
}

type ElementKernels = Pick<PrimitiveKernels, "map" | "mapBackward" | "zip" | "zipBackward" | "select">;

function elementKernels(context: NativeContext): ElementKernels {
  return {
    map: ({ op, x, y }) => context.run("map", [unaryIds[op]], x.data, y.data),
    mapBackward: ({ op, x, gradY, gradX }) =>
      context.run("mapBackward", [unaryIds[op], accumulates(gradX)], x.data, gradY.data, gradX.grad.data),
    zip: ({ op, a, b, y }) =>
      context.run("zip", [binaryIds[op], ...gridNumbers(op, y.shape, a, b)], a.data, b.data, y.data),
    zipBackward: ({ op, a, b, gradY, gradA, gradB }) =>
      context.run(
        "zipBackward",
        [curvedIds[op], ...gridNumbers(op, gradY.shape, a, b), accumulates(gradA), accumulates(gradB)],
        a.data,
        b.data,
        gradY.data,
        gradA?.grad.data ?? null,
        gradB?.grad.data ?? null,
      ),
    select: ({ condition, a, b, y, accumulate = false }) =>
      context.run(
        "select",
        [...gridNumbers("select", y.shape, condition, a, b), Number(accumulate)],
        condition.data,
        a.data,
        b.data,
        y.data,
      ),
  };
}

type AxisKernels = Pick<PrimitiveKernels, "reduce" | "reduceBackward" | "argmax" | "softmax" | "softmaxBackward">;

function axisKernels(context: NativeContext): AxisKernels {
  return {
    reduce: ({ op, x, y, axis, scale = 1, accumulate = false }) =>
      context.run("reduce", [reductionIds[op], ...axisNumbers(axis), scale, Number(accumulate)], x.data, y.data),
    reduceBackward: ({ op, x, y, gradY, gradX, axis }) =>
      context.run(
        "reduceBackward",
        [reductionSlopeIds[op], ...axisNumbers(axis), accumulates(gradX)],
        x.data,
        y.data,
        gradY.data,
        gradX.grad.data,
      ),
    argmax: ({ x, indices, axis }) => context.run("argmax", axisNumbers(axis), x.data, indices),
    softmax: ({ x, y, axis, log }) => context.run("softmax", [...axisNumbers(axis), Number(log)], x.data, y.data),
    softmaxBackward: ({ y, gradY, gradX, axis, log }) =>
      context.run(
        "softmaxBackward",
        [...axisNumbers(axis), Number(log), accumulates(gradX)],
        y.data,
        gradY.data,
        gradX.grad.data,
      ),
  };
}

type MoveKernels = Pick<PrimitiveKernels, "stridedCopy" | "dropout">;

function moveKernels(context: NativeContext): MoveKernels {
  return {
    stridedCopy({ x, y, xOffset = 0, yOffset = 0, scale = 1, accumulate = false, ...plan }) {
      // in the order of the output's memory, so that its last axis is its densest
      const order = plan.sizes.map((_, axis) => axis).sort((a, b) => plan.yStrides[b]! - plan.yStrides[a]!);
      const { sizes, strides } = mergeAxes("stridedCopy", {
        sizes: order.map((axis) => plan.sizes[axis]!),
        strides: [plan.xStrides, plan.yStrides].map((own) => order.map((axis) => own[axis]!)),
      });
      const numbers = [scale, Number(accumulate), xOffset, yOffset, ...sizes, ...strides.flat()];
      context.run("stridedCopy", numbers, x.data, y.data);
    },
    dropout: ({ x, y, p, blocks: { key, stream, firstBlock }, accumulate = false }) =>
      context.run(
        "dropout",
        [Math.ceil(p * 2 ** 32), 1 / (1 - p), Number(accumulate), ...key, ...stream, firstBlock],
        x.data,
        y.data,
      ),
  };
}

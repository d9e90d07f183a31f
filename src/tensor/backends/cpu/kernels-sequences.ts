/**
 * @file Native kernels behind the primitives (`native/kernels/{batched,top-k,recurrence,convolution}.h`): flattens the
 * arguments of the contract into numbers and typed arrays. Ops have checked shapes, offsets and indices.
 */
import { SelkieError } from "../../../util/index.ts";
import type { Kernels } from "../../backend.ts";
import type { BatchedGemmArgs, GroupedGemmArgs } from "../../primitive-args.ts";
import type { GradTarget, Tensor } from "../../tensor.ts";
import type { FrozenFactors } from "./frozen.ts";
import type { NativeContext } from "./native.ts";
import { requireF32 } from "./require-f32.ts";

/** Products of many matrices. */
export type BatchedKernels = Pick<Kernels, "batchedGemm" | "groupedGemm" | "groupedOuter">;

/** Choice within rows, and what runs down them. */
export type SequenceKernels = Pick<
  Kernels,
  | "gatherLast"
  | "scatterLast"
  | "topK"
  | "cumulativeSum"
  | "linearRecurrence"
  | "linearRecurrenceBackward"
  | "depthwiseConvolution"
  | "depthwiseConvolutionBackward"
>;

const dataOf = (target: GradTarget | null) => target?.grad.data ?? null;
const accumulates = (target: GradTarget | null): number => Number(target?.accumulate ?? false);
const isBf16 = ({ compute }: Pick<BatchedGemmArgs, "compute">): number => Number(compute === "bf16");

/** `gemm` is that of the same backend, which keeps packed copies of frozen weights. */
export function batchedKernels(context: NativeContext, frozen: FrozenFactors, gemm: Kernels["gemm"]): BatchedKernels {
  return {
    batchedGemm: (args) => batchedGemm(context, gemm, args),
    groupedGemm: (args) => groupedGemm(context, frozen, args),
    groupedOuter: ({ a, b, c, offsets, accumulate = false, compute }) =>
      context.run(
        "groupedOuter",
        [c.shape[1]!, c.shape[2]!, Number(accumulate), isBf16({ compute })],
        a.data,
        b.data,
        c.data,
        offsets,
      ),
  };
}

/** All matrices of a stack below each other. */
const stacked = (stack: Tensor): Tensor => stack.reshape([stack.shape[0]! * stack.shape[1]!, stack.shape[2]!]);

function batchedGemm(context: NativeContext, gemm: Kernels["gemm"], args: BatchedGemmArgs): void {
  const { a, b, c, transposeA = false, transposeB = false, accumulate = false, compute } = args;
  const [countA, countB] = [a.shape[0]!, b.shape[0]!];
  const [countC, m, n] = c.shape as [number, number, number];
  // products that are one product: rows below each other, and sums over all rows of both factors
  const isTall = countB === 1 && countC === countA && !transposeA;
  const isLongSum = countC === 1 && countA === countB && transposeA && !transposeB;
  if (isTall || isLongSum) {
    const factors = { a: stacked(a), b: stacked(b), c: stacked(c) };
    gemm({ ...factors, transposeA, transposeB, accumulate, compute });
    return;
  }
  if (countA === 0 || countB === 0) {
    if (!accumulate) c.data.fill(0); // a sum of nothing
    return;
  }
  const k = a.shape[transposeA ? 1 : 2]!;
  const flags = [Number(transposeA), Number(transposeB), Number(accumulate), isBf16(args)];
  context.run("batchedGemm", [countA, countB, countC, m, n, k, ...flags], a.data, b.data, c.data);
}

function groupedGemm(context: NativeContext, frozen: FrozenFactors, args: GroupedGemmArgs): void {
  const { a, b, c, offsets, transposeB = false, accumulate = false, compute } = args;
  const [n, k] = [c.shape[1]!, a.shape[1]!];
  const packed = frozen.packed(b.data, { n, k, transposeB, compute, numGroups: b.shape[0]! });
  const flags = [Number(transposeB), Number(accumulate), isBf16(args)];
  context.run("groupedGemm", [n, k, ...flags], a.data, b.data, c.data, offsets, packed);
}

/** Choice, lookup, running sums, recurrences, convolutions. */
export function sequenceKernels(context: NativeContext): SequenceKernels {
  return {
    ...choiceKernels(context),
    cumulativeSum: ({ x, offsets, reverse, exclusive, y, accumulate = false }) =>
      context.run(
        "cumulativeSum",
        [x.shape[1]!, Number(reverse), Number(exclusive), Number(accumulate)],
        x.data,
        offsets,
        y.data,
      ),
    ...recurrenceKernels(context),
    ...convolutionKernels(context),
  };
}

function choiceKernels(context: NativeContext): Pick<SequenceKernels, "topK" | "gatherLast" | "scatterLast"> {
  return {
    topK: ({ x, k, descending, values, indices }) =>
      context.run("topK", [x.shape[1]!, k, Number(descending)], x.data, values.data, indices),
    gatherLast: ({ x, indices, y }) =>
      context.run("gatherLast", [x.shape[1]!, indices.length / x.shape[0]!], x.data, indices, y.data),
    scatterLast: ({ x, indices, y, accumulate }) =>
      context.run(
        "scatterLast",
        [y.shape[1]!, indices.length / y.shape[0]!, Number(accumulate)],
        x.data,
        indices,
        y.data,
      ),
  };
}

type RecurrenceKernels = Pick<SequenceKernels, "linearRecurrence" | "linearRecurrenceBackward">;

function recurrenceKernels(context: NativeContext): RecurrenceKernels {
  return {
    linearRecurrence({ a, b, initial, offsets, h, final }) {
      for (const state of [initial, final]) if (state !== null) requireF32("linearRecurrence: state", state);
      const states = [initial?.data ?? null, final?.data ?? null] as const;
      context.run("linearRecurrence", [a.shape[1]!], a.data, b.data, states[0], offsets, h.data, states[1]);
    },
    linearRecurrenceBackward(args) {
      const { a, h, initial, offsets, gradH, gradFinal, gradA, gradB, gradInitial } = args;
      const where = "linearRecurrenceBackward";
      for (const state of [initial, gradFinal, gradInitial?.grad ?? null])
        if (state !== null) requireF32(`${where}: state`, state);
      if (gradH !== null && gradH.dtype !== h.dtype)
        throw new SelkieError(
          "unsupported-dtype",
          `internal: ${where}: expected gradH in ${h.dtype}, got ${gradH.dtype}`,
        );
      context.run(
        where,
        [a.shape[1]!, accumulates(gradA), accumulates(gradB), accumulates(gradInitial)],
        a.data,
        h.data,
        initial?.data ?? null,
        offsets,
        gradH?.data ?? null,
        gradFinal?.data ?? null,
        dataOf(gradA),
        dataOf(gradB),
        dataOf(gradInitial),
      );
    },
  };
}

type ConvolutionKernels = Pick<SequenceKernels, "depthwiseConvolution" | "depthwiseConvolutionBackward">;

function convolutionKernels(context: NativeContext): ConvolutionKernels {
  return {
    depthwiseConvolution: ({ x, weight, bias, previous, offsets, y }) =>
      context.run(
        "depthwiseConvolution",
        [...weight.shape],
        x.data,
        weight.data,
        bias?.data ?? null,
        previous?.data ?? null,
        offsets,
        y.data,
      ),
    depthwiseConvolutionBackward(args) {
      const { x, weight, previous, offsets, gradY, gradX, gradPrevious, gradWeight, gradBias } = args;
      context.run(
        "depthwiseConvolutionBackward",
        [...weight.shape, ...[gradX, gradPrevious, gradWeight, gradBias].map(accumulates)],
        x.data,
        weight.data,
        previous?.data ?? null,
        offsets,
        gradY.data,
        dataOf(gradX),
        dataOf(gradPrevious),
        dataOf(gradWeight),
        dataOf(gradBias),
      );
    },
  };
}

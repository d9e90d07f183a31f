/**
 * @file Native attention (`native/kernels/attention*.h`): flattens the arguments of the contract into numbers and typed
 * arrays. Ops have checked the shapes.
 */
import type { AttentionArgs, Kernels } from "../../backend.ts";
import type { NativeContext } from "./native.ts";

/** The part of the kernel table that this file gives. */
export type AttentionKernels = Pick<Kernels, "attention" | "attentionBackward">;

type CommonArgs = Pick<AttentionArgs, "q" | "numHeads" | "numKvHeads" | "scale">;

const sizesOf = ({ q, numHeads, numKvHeads, scale }: CommonArgs): readonly number[] => [
  numHeads,
  numKvHeads,
  q.shape[1]! / numHeads,
  scale,
];

/** Tiled attention and its gradients. */
export function attentionKernels(context: NativeContext): AttentionKernels {
  return {
    attention(args) {
      const { q, k, v, o, logSumExp, layout } = args;
      const { qOffsets, kStarts, kLengths } = layout;
      context.run(
        "attention",
        sizesOf(args),
        q.data,
        k.data,
        v.data,
        qOffsets,
        kStarts,
        kLengths,
        o.data,
        logSumExp.data,
      );
    },
    attentionBackward(args) {
      const { q, k, v, o, logSumExp, gradO, gradQ, gradK, gradV, layout } = args;
      const { qOffsets, kStarts, kLengths } = layout;
      context.run(
        "attentionBackward",
        [...sizesOf(args), Number(gradQ.accumulate), Number(gradK.accumulate), Number(gradV.accumulate)],
        q.data,
        k.data,
        v.data,
        qOffsets,
        kStarts,
        kLengths,
        o.data,
        logSumExp.data,
        gradO.data,
        gradQ.grad.data,
        gradK.grad.data,
        gradV.grad.data,
      );
    },
  };
}

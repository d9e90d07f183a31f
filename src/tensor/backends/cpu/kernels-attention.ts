/**
 * @file Native attention (`native/kernels/attention*.h`): flattens the arguments of the contract into numbers and typed
 * arrays. Ops have checked the shapes.
 */
import type { AttentionArgs, Kernels } from "../../backend.ts";
import type { NativeContext } from "./native.ts";

/** The part of the kernel table that this file gives. */
export type AttentionKernels = Pick<Kernels, "attention" | "attentionBackward">;

type CommonArgs = Pick<AttentionArgs, "q" | "k" | "v" | "layout" | "numHeads" | "numKvHeads" | "scale">;

const sizesOf = ({ q, numHeads, numKvHeads, scale }: CommonArgs): readonly number[] => [
  numHeads,
  numKvHeads,
  q.shape[1]! / numHeads,
  scale,
];

/** The arrays that both kernels begin with; causal layouts have no ranges. */
const inputsOf = ({ q, k, v, layout }: CommonArgs) => {
  const { qOffsets, kStarts, kLengths, visible } = layout;
  return [q.data, k.data, v.data, qOffsets, kStarts, kLengths, visible?.begin ?? null, visible?.end ?? null] as const;
};

/** Tiled attention and its gradients. */
export function attentionKernels(context: NativeContext): AttentionKernels {
  return {
    attention(args) {
      context.run("attention", sizesOf(args), ...inputsOf(args), args.o.data, args.logSumExp.data);
    },
    attentionBackward(args) {
      const { o, logSumExp, gradO, gradQ, gradK, gradV } = args;
      context.run(
        "attentionBackward",
        [...sizesOf(args), Number(gradQ.accumulate), Number(gradK.accumulate), Number(gradV.accumulate)],
        ...inputsOf(args),
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

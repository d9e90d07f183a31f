/**
 * @file The native CPU backend: kernels in C++ (`native/`), one table per instruction set, chosen when the backend is
 * created. Several backends may live side by side, each with its own threads.
 */
import { SelkieError } from "../../../util/index.ts";
import type { Backend } from "../../backend.ts";
import type { DType } from "../../dtype.ts";
import { Pool } from "../../pool.ts";
import { FrozenFactors } from "./frozen.ts";
import { attentionKernels } from "./kernels-attention.ts";
import { elementwiseKernels } from "./kernels-elementwise.ts";
import { primitiveKernels } from "./kernels-primitives.ts";
import { productKernels } from "./kernels-products.ts";
import { sampleKernels } from "./kernels-sample.ts";
import { batchedKernels, sequenceKernels } from "./kernels-sequences.ts";
import { createNativeContext, nativeInstructionSets, nativeProblem } from "./native.ts";
import { measurePeaks } from "./peaks.ts";

export { nativeInstructionSets, nativeProblem } from "./native.ts";

/** Options of {@link createCpuBackend}. */
export interface CpuBackendOptions {
  /** Threads that compute, the calling one included; at least 1. Results do not depend on it. */
  readonly threads: number;
  /** One of {@link nativeInstructionSets}. @defaultValue the best of them */
  readonly instructionSet?: string;
}

/**
 * A backend that computes on the processor with native kernels, in f32 and bf16.
 *
 * @throws {@link SelkieError} `"no-native"` when the addon is missing, `"bad-option"` for a bad thread count or an
 * instruction set that this machine cannot run; allocating f64 throws `"unsupported-dtype"`.
 */
export function createCpuBackend(options: CpuBackendOptions): Backend {
  const { threads } = options;
  const known = nativeInstructionSets();
  const instructionSet = options.instructionSet ?? known[0];
  if (instructionSet === undefined)
    throw new SelkieError(
      "no-native",
      `createCpuBackend: ${nativeProblem()}; install g++ 11 or newer, python3 and make, then run: npm run build:native`,
    );
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024)
    throw new SelkieError(
      "bad-option",
      `createCpuBackend: expected 1 to 1024 threads, got ${threads}; leave the option out for a good default`,
    );
  if (!known.includes(instructionSet))
    throw new SelkieError(
      "bad-option",
      `createCpuBackend: expected an instruction set among ${known.join(", ") || "none"}, got "${instructionSet}"; leave it out for the best`,
    );
  const context = createNativeContext(instructionSet, threads);
  const pool = new Pool((numBytes) => context.allocateBytes(numBytes));
  const frozen = new FrozenFactors(context, pool);
  const products = productKernels(context, frozen);
  return {
    name: "cpu",
    instructionSet,
    numThreads: threads,
    kernels: {
      ...products,
      ...batchedKernels(context, frozen, products.gemm),
      ...sequenceKernels(context),
      ...elementwiseKernels(context),
      ...attentionKernels(context),
      ...sampleKernels(context),
      ...primitiveKernels(context),
    },
    allocate(dtype: DType, length: number) {
      if (dtype === "f64")
        throw new SelkieError(
          "unsupported-dtype",
          "cpu backend: expected f32 or bf16, got f64; use the reference backend for f64",
        );
      return pool.allocate(dtype, length);
    },
    release: (data) => pool.release(data),
    memory: () => {
      const stats = pool.stats();
      return { ...stats, liveTensors: stats.liveTensors - frozen.numSlabs };
    },
    freeze: (weights) => frozen.freeze(weights),
    thaw: (weights) => frozen.thaw(weights),
    resetPeak: () => pool.resetPeak(),
    measurePeaks: () => measurePeaks(context, threads),
  };
}

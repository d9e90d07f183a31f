/**
 * @file The reference backend: plain TypeScript, one file per kernel family, written to be read. It defines the result of
 * every kernel, computes in f64, and is the only backend with f64 storage. Other backends are checked against it.
 */
import type { Backend, Kernels } from "../../backend.ts";
import type { HostArray } from "../../dtype.ts";
import { Pool } from "../../pool.ts";
import { gelu, geluBackward, swiglu, swigluBackward } from "./activation.ts";
import { adamW } from "./adamw.ts";
import { attention, attentionBackward } from "./attention.ts";
import { batchedGemm, groupedGemm, groupedOuter } from "./batched-gemm.ts";
import { depthwiseConvolution, depthwiseConvolutionBackward } from "./convolution.ts";
import { linearCrossEntropy } from "./cross-entropy.ts";
import { add, axpby, sum, sumSquares, uniform } from "./elementwise.ts";
import { gemm } from "./gemm.ts";
import { lora, loraBackward } from "./lora.ts";
import { map, mapBackward, select, zip, zipBackward } from "./map.ts";
import { layerNorm, layerNormBackward, rmsNorm, rmsNormBackward } from "./norm.ts";
import { dropout, stridedCopy } from "./rearrange.ts";
import { cumulativeSum, linearRecurrence, linearRecurrenceBackward } from "./recurrence.ts";
import { argmax, reduce, reduceBackward, softmax, softmaxBackward } from "./reduce.ts";
import { rope } from "./rope.ts";
import { gatherRows, scatterAddRows, setRows } from "./rows.ts";
import { sampleRows } from "./sample.ts";
import { gatherLast, scatterLast, topK } from "./top-k.ts";

const kernels: Kernels = {
  gemm,
  batchedGemm,
  groupedGemm,
  groupedOuter,
  lora,
  loraBackward,
  attention,
  attentionBackward,
  linearCrossEntropy,
  rmsNorm,
  rmsNormBackward,
  layerNorm,
  layerNormBackward,
  rope,
  swiglu,
  swigluBackward,
  gelu,
  geluBackward,
  add,
  axpby,
  gatherRows,
  scatterAddRows,
  setRows,
  gatherLast,
  scatterLast,
  topK,
  cumulativeSum,
  linearRecurrence,
  linearRecurrenceBackward,
  depthwiseConvolution,
  depthwiseConvolutionBackward,
  sum,
  sumSquares,
  adamW,
  sampleRows,
  uniform,
  map,
  mapBackward,
  zip,
  zipBackward,
  select,
  reduce,
  reduceBackward,
  argmax,
  softmax,
  softmaxBackward,
  stridedCopy,
  dropout,
};

const bf16NaN = 0x7fc0;

/** Fills fresh memory with NaN, so that a value read before anybody wrote it shows up in every result it touches. */
function poison(data: HostArray): HostArray {
  return data.fill(data instanceof Uint16Array ? bf16NaN : Number.NaN);
}

/** A backend of its own, with its own pool. */
export function createReferenceBackend(): Backend {
  const pool = new Pool((numBytes) => new ArrayBuffer(numBytes));
  return {
    name: "reference",
    instructionSet: "typescript",
    numThreads: 1,
    kernels,
    allocate: (dtype, length) => poison(pool.allocate(dtype, length)),
    release: (data) => pool.release(data),
    memory: () => pool.stats(),
    freeze: () => {},
    thaw: () => {},
    resetPeak: () => pool.resetPeak(),
    measurePeaks: () => null,
  };
}

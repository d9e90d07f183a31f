/**
 * @file Where time goes: a backend that counts and times every kernel call of another, by kernel and shape. With the
 * processor's peaks, each row says how near its kernel comes to what the silicon allows (roofline: Williams, Waterman &
 * Patterson 2009, "Roofline: an insightful visual performance model").
 */
import type { AttentionArgs, AttentionBackwardArgs, Backend, GemmArgs, Kernels, Peaks } from "./backend.ts";
import type { ComputeType } from "./dtype.ts";
import { bytesPerElement, type DType } from "./dtype.ts";
import type { BatchedGemmArgs } from "./primitive-args.ts";
import { Tensor } from "./tensor.ts";

/** All calls of one kernel with one shape. */
export interface KernelProfile {
  readonly kernel: string;
  /** Sizes that matter to this kernel, for example `4096×704×256`. */
  readonly shape: string;
  /** Arithmetic of the products; element-wise kernels compute in f32. */
  readonly compute: ComputeType;
  readonly calls: number;
  readonly seconds: number;
  /** Of the matrix products in it, a multiply-add counting two; 0 for kernels without products. */
  readonly flops: number;
  /** Of all tensors among the arguments, each counted once: what must move if nothing is in a cache. */
  readonly bytes: number;
}

/** A backend under observation. */
export interface Profiler {
  readonly backend: Backend;
  /** Longest first. */
  entries(): KernelProfile[];
  /** Forgets all calls so far. */
  reset(): void;
}

interface Work {
  readonly shape: string;
  readonly compute: ComputeType;
  readonly flops: number;
  /** Where fewer than all bytes of the arguments move. */
  readonly bytes?: number;
}

const join = (...sizes: readonly number[]): string => sizes.join("×");

const batchedGemmWork = ({ a, b, c, transposeA = false, compute }: BatchedGemmArgs): Work => {
  const [batch, m, n] = [Math.max(a.shape[0]!, b.shape[0]!), c.shape[1]!, c.shape[2]!];
  const k = a.shape[transposeA ? 1 : 2]!;
  return { shape: `${batch} of ${join(m, n, k)}`, compute, flops: 2 * batch * m * n * k };
};

const groupedWork = (numRows: number, numGroups: number, sizes: readonly number[], compute: ComputeType): Work => ({
  shape: `${join(numRows, ...sizes)}, ${numGroups} groups`,
  compute,
  flops: 2 * numRows * sizes[0]! * sizes[1]!,
});

/** Query-key pairs that are visible; causal masks are aligned at the end. */
function countPairs({ layout }: Pick<AttentionArgs, "layout">): number {
  const { visible } = layout;
  if (visible) return visible.end.reduce((pairs, end, row) => pairs + end - visible.begin[row]!, 0);
  let pairs = 0;
  layout.kLengths.forEach((numKeys, index) => {
    const numQueries = layout.qOffsets[index + 1]! - layout.qOffsets[index]!;
    pairs += numQueries * (numKeys - (numQueries - 1) / 2);
  });
  return pairs;
}

/** Rows of keys that queries see; a cache has rows of others too. */
function countKeys({ qOffsets, kLengths, visible }: AttentionArgs["layout"]): number {
  let numKeys = 0;
  kLengths.forEach((length, b) => {
    const [first, end] = [qOffsets[b]!, qOffsets[b + 1]!];
    if (first < end) numKeys += visible ? visible.end[end - 1]! - visible.begin[first]! : length;
  });
  return numKeys;
}

const gemmWork = ({ a, c, transposeA = false, transposeB = false, compute }: GemmArgs): Work => {
  const [m, n] = [c.size / c.shape.at(-1)!, c.shape.at(-1)!];
  const k = a.size / m;
  const orientation = `${transposeA ? "ᵀ·" : ""}${transposeB ? "·ᵀ" : ""}`;
  return { shape: `${join(m, n, k)} ${orientation}`.trimEnd(), compute, flops: 2 * m * n * k };
};

/** `products` of a low-rank factor with all rows; the two factors' sizes are averaged. */
const loraWork = (x: Tensor, y: Tensor, loraA: Tensor, compute: ComputeType, products: number): Work => {
  const [numAdapters, rank, inSize] = loraA.shape as [number, number, number];
  const rows = x.size / inSize;
  const outSize = y.size / rows;
  const shape = `${join(rows, outSize, inSize)} rank ${rank}, ${numAdapters} adapters`;
  return { shape, compute, flops: products * rank * (x.size + y.size) };
};

const attentionWork = (args: AttentionArgs | AttentionBackwardArgs, productsPerPair: number): Work => {
  const { q, numHeads, numKvHeads } = args;
  const width = q.shape.at(-1)!; // all heads
  const shape = `${q.size / width} rows, ${args.layout.kLengths.length} sequences, ${numHeads}/${numKvHeads} heads of ${width / numHeads}`;
  const compute = q.dtype === "bf16" ? "bf16" : "f32";
  const keyBytes = countKeys(args.layout) * (width / numHeads) * numKvHeads * bytesPerElement[q.dtype];
  const numEach = productsPerPair === 2 ? 2 : 4; // q o and k v; with gradients q o dO dQ and k v dK dV
  const bytes = numEach * (q.size * bytesPerElement[q.dtype] + keyBytes);
  return { shape, compute, flops: 2 * productsPerPair * countPairs(args) * width, bytes };
};

/** Kernels that touch some rows of a larger tensor: each chosen row once per access. */
const rowsWork = (rows: Tensor, ...accesses: readonly DType[]): Work => ({
  shape: join(...rows.shape),
  compute: "f32",
  flops: 0,
  bytes: accesses.reduce((total, dtype) => total + rows.size * bytesPerElement[dtype], 0),
});

/** Products in the kernels that have any; the rest move memory, some of it only. */
const workOf: { readonly [Name in keyof Kernels]?: (args: Parameters<Kernels[Name]>[0]) => Work } = {
  gemm: gemmWork,
  batchedGemm: batchedGemmWork,
  groupedGemm: ({ a, b, c, compute }) => groupedWork(a.shape[0]!, b.shape[0]!, [c.shape[1]!, a.shape[1]!], compute),
  groupedOuter: ({ a, c, compute }) => groupedWork(a.shape[0]!, c.shape[0]!, c.shape.slice(1), compute),
  lora: ({ x, y, loraA, compute }) => loraWork(x, y, loraA, compute, 2),
  loraBackward: ({ x, gradY, loraA, compute, gradX, gradA, gradB }) =>
    loraWork(x, gradY, loraA, compute, 1 + [gradX, gradA, gradB].filter((target) => target !== null).length),
  attention: (args) => attentionWork(args, 2),
  attentionBackward: (args) => attentionWork(args, 5),
  linearCrossEntropy: ({ hidden, weight, gradHidden, gradWeight, compute }) => {
    const [v, d] = weight.shape as [number, number];
    const n = hidden.size / d;
    const products = 1 + Number(gradHidden !== null) + Number(gradWeight !== null);
    return { shape: `${join(n, v, d)}, ${products} of 3`, compute, flops: 2 * products * n * v * d };
  },
  gatherRows: ({ x, y }) => rowsWork(y, x.dtype, y.dtype),
  scatterAddRows: ({ x, y }) => rowsWork(x, x.dtype, y.dtype, y.dtype),
  setRows: ({ x, y }) => rowsWork(x, x.dtype, y.dtype),
};

/** Bytes of every tensor and index array among the arguments. */
function countBytes(args: object): number {
  const seen = new Set<unknown>();
  const visit = (value: unknown): number => {
    if (typeof value !== "object" || value === null || seen.has(value)) return 0;
    seen.add(value);
    if (value instanceof Tensor) return value.numBytes;
    if (ArrayBuffer.isView(value)) return value.byteLength;
    return Object.values(value).reduce((total: number, part) => total + visit(part), 0);
  };
  return visit(args);
}

/** Shape of a kernel without products: that of its first tensor. */
function plainWork(args: object): Work {
  const first = Object.values(args).find((value) => value instanceof Tensor);
  return { shape: first === undefined ? "" : join(...first.shape), compute: "f32", flops: 0 };
}

/** Wraps `backend`; the wrapper computes the same and must be used in its place. */
export function profileBackend(backend: Backend): Profiler {
  const entries = new Map<string, { -readonly [Key in keyof KernelProfile]: KernelProfile[Key] }>();
  const observe = (kernel: keyof Kernels, args: object, seconds: number): void => {
    const count = workOf[kernel] as ((args: object) => Work) | undefined;
    const { shape, compute, flops, bytes } = count === undefined ? plainWork(args) : count(args);
    const key = `${kernel} ${shape} ${compute}`;
    const entry = entries.get(key) ?? { kernel, shape, compute, calls: 0, seconds: 0, flops: 0, bytes: 0 };
    entries.set(key, entry);
    entry.calls++;
    entry.seconds += seconds;
    entry.flops += flops;
    entry.bytes += bytes ?? countBytes(args);
  };
  const names = Object.keys(backend.kernels) as (keyof Kernels)[];
  const kernels = Object.fromEntries(
    names.map((name) => {
      const run = backend.kernels[name] as (args: object) => unknown;
      const timed = (args: object): unknown => {
        const start = performance.now();
        const result = run.call(backend.kernels, args);
        observe(name, args, (performance.now() - start) / 1000);
        return result;
      };
      return [name, timed];
    }),
  ) as unknown as Kernels;
  return {
    backend: { ...backend, kernels },
    entries: () => [...entries.values()].toSorted((a, b) => b.seconds - a.seconds),
    reset: () => entries.clear(),
  };
}

/**
 * The time that the peaks allow over the time that passed: the larger of arithmetic at its peak and memory at its peak.
 * Above 1 for a kernel bound by memory whose operands lie in a cache.
 */
export function shareOfPeak(entry: KernelProfile, peaks: Peaks): { share: number; bound: "arithmetic" | "memory" } {
  const { f32FlopsPerSecond, bf16FlopsPerSecond, bytesPerSecond } = peaks;
  const arithmetic = entry.flops / (entry.compute === "bf16" ? bf16FlopsPerSecond : f32FlopsPerSecond);
  const memory = entry.bytes / bytesPerSecond;
  return { share: Math.max(arithmetic, memory) / entry.seconds, bound: arithmetic >= memory ? "arithmetic" : "memory" };
}

/** @file Contract cases of causal attention (for others see `visibility.ts`): packed sequences around every tile edge, grouped heads, decoding from a cache. */
import type { AttentionLayout } from "../backend.ts";
import type { DType } from "../dtype.ts";
import type { Tensor } from "../tensor.ts";
import { bf16Tolerance, type ContractCase, f32Tolerance, type Trial } from "./trial.ts";

/** Head counts and width. */
export interface Heads {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
}

/** A layout by name. */
export interface Rows {
  readonly name: string;
  readonly layout: AttentionLayout;
  /** Rows of keys and values, some perhaps of no sequence. */
  readonly numKeyRows: number;
}

/** Packed sequences of these lengths, causal. */
export function packed(...lengths: readonly number[]): Rows {
  const offsets = [0];
  for (const length of lengths) offsets.push(offsets.at(-1)! + length);
  return {
    name: `sequences of ${lengths.join(", ")}`,
    layout: {
      qOffsets: Int32Array.from(offsets),
      kStarts: Int32Array.from(offsets.slice(0, -1)),
      kLengths: Int32Array.from(lengths),
    },
    numKeyRows: offsets.at(-1)!,
  };
}

const decode: Rows = {
  name: "one query each from a cache, and five of a longer one",
  layout: {
    qOffsets: Int32Array.of(0, 1, 2, 7, 8),
    kStarts: Int32Array.of(0, 100, 200, 400),
    kLengths: Int32Array.of(7, 100, 130, 1),
  },
  numKeyRows: 450,
};

const continued: Rows = {
  name: "40 and 35 queries that continue 200 and 120 keys, the first of them shared",
  layout: { qOffsets: Int32Array.of(0, 40, 75), kStarts: Int32Array.of(0, 0), kLengths: Int32Array.of(200, 120) },
  numKeyRows: 210,
};

/** GQA ratios 1, 2 and 3; head widths on and off vector edges. */
const headChoices: readonly Heads[] = [
  { numHeads: 2, numKvHeads: 2, headDim: 16 },
  { numHeads: 4, numKvHeads: 2, headDim: 64 },
  { numHeads: 3, numKvHeads: 1, headDim: 20 },
];

const unread: Rows = {
  name: "keys of a sequence without queries",
  layout: { qOffsets: Int32Array.of(0, 0, 3, 3), kStarts: Int32Array.of(0, 5, 8), kLengths: Int32Array.of(5, 3, 2) },
  numKeyRows: 10,
};

const rowChoices: readonly Rows[] = [
  packed(1),
  packed(2, 1, 3),
  packed(63, 64, 65),
  packed(17, 0, 130),
  packed(200),
  decode,
  continued,
  unread,
];

/** What models use, and widths at which tiles of 16 and of 32 end differently. */
const headDims: readonly number[] = [1, 8, 32, 48, 80, 96, 128, 256];

/** Forward, and backward into empty and into filled gradients; `leastSize` is of the terms that cancel in the gradients. */
export function runAttention(
  trial: Trial,
  rows: Rows,
  heads: Heads,
  dtype: DType,
  scoreScale = 1,
  leastSize = 0.1,
): void {
  const { layout, numKeyRows } = rows;
  const { numHeads, numKvHeads, headDim } = heads;
  const numQueries = layout.qOffsets.at(-1)!;
  const label = `${dtype} ${numHeads}/${numKvHeads} heads of ${headDim}`;
  // probabilities may be rounded to bf16 before they meet the values, and the result is rounded again; in f32 a score is
  // known to 2^-24 of its size, and its exponential no better
  const tolerance = dtype === "bf16" ? 2 * bf16Tolerance : 2 * f32Tolerance * Math.max(1, scoreScale / 20);
  // dO Vᵀ - rowsum(dO ⊙ O) cancels where a query sees one key; on tiles, probabilities and their gradients are rounded to
  // bf16 as factors too, which costs a tenth more
  const gradOptions = { tolerance: dtype === "bf16" ? 2.2 * bf16Tolerance : tolerance, leastSize };
  const q = trial.input([numQueries, numHeads * headDim], dtype, scoreScale);
  const k = trial.input([numKeyRows, numKvHeads * headDim], dtype);
  const v = trial.input([numKeyRows, numKvHeads * headDim], dtype);
  const gradO = trial.input(q.shape, dtype);
  const shared = { q, k, v, layout, numHeads, numKvHeads, scale: headDim ** -0.5 };
  trial.kernels.attention({
    ...shared,
    o: trial.output(`o ${label}`, q.shape, dtype, { tolerance }),
    logSumExp: trial.output(`logSumExp ${label}`, [numQueries, numHeads]),
  });
  const [forwardO, forwardLogSumExp] = trial.prepare(`${rows.name}, ${label}, ${scoreScale}`, (reference) => {
    const copy = (tensor: Tensor): Tensor => reference.values(tensor.readSync(), tensor.shape, dtype);
    const o = reference.output("o", q.shape, dtype);
    const logSumExp = reference.output("logSumExp", [numQueries, numHeads]);
    reference.kernels.attention({ ...shared, q: copy(q), k: copy(k), v: copy(v), o, logSumExp });
    return [o, logSumExp];
  });
  const o = trial.values(forwardO!, q.shape, dtype);
  const logSumExp = trial.values(forwardLogSumExp!, [numQueries, numHeads]);
  for (const accumulate of [false, true])
    trial.kernels.attentionBackward({
      ...shared,
      o,
      logSumExp,
      gradO,
      gradQ: trial.target(`gradQ ${label}`, q.shape, dtype, accumulate, gradOptions),
      gradK: trial.target(`gradK ${label}`, k.shape, dtype, accumulate, gradOptions),
      gradV: trial.target(`gradV ${label}`, v.shape, dtype, accumulate, gradOptions),
    });
}

export const attentionCases: readonly ContractCase[] = [
  ...rowChoices.map((rows) => ({
    title: `attention forward and backward over ${rows.name}`,
    run(trial: Trial) {
      for (const heads of headChoices)
        for (const dtype of ["f32", "bf16"] as const) runAttention(trial, rows, heads, dtype);
    },
  })),
  ...headDims.map((headDim) => ({
    title: `attention with heads of ${headDim}`,
    run(trial: Trial) {
      for (const dtype of ["f32", "bf16"] as const)
        runAttention(trial, packed(33, 70), { numHeads: 2, numKvHeads: 1, headDim }, dtype);
    },
  })),
  {
    title: "attention over a sequence that is cut into several parts and panels",
    run(trial) {
      for (const dtype of ["f32", "bf16"] as const)
        runAttention(trial, packed(1100, 3), { numHeads: 2, numKvHeads: 1, headDim: 16 }, dtype);
    },
  },
  {
    title: "attention with scores beyond the range of exp",
    run: (trial) => runAttention(trial, packed(5, 70), headChoices[0]!, "f32", 200),
  },
  {
    title: "attention of bf16 with scores of some hundreds",
    run: (trial) => runAttention(trial, packed(5, 70), headChoices[0]!, "bf16", 100),
  },
];

/**
 * @file Contract cases of attention with every rule of visibility: packed training and cached decoding, around the edges of
 * tiles, blocks and pieces, with rows that see nothing and keys that nobody sees.
 */
import type { AttentionLayout } from "../backend.ts";
import { blockCausal, full, prefix, slidingWindow, type Visibility } from "../ops/visibility.ts";
import { type Heads, packed, type Rows, runAttention } from "./attention.ts";
import type { ContractCase, Trial } from "./trial.ts";

/** Rows that see a few keys beside rows that see hundreds: gradients are small on average, and terms of about 1 cancel in some. */
const leastSize = 0.2;

const rules: readonly { readonly name: string; readonly rule: Visibility }[] = [
  { name: "full visibility", rule: full },
  { name: "prefixes of 70", rule: (layout) => prefix(new Int32Array(layout.kLengths.length).fill(70))(layout) },
  { name: "a window of 1", rule: slidingWindow(1) },
  { name: "a window of 37", rule: slidingWindow(37) },
  { name: "a window of 160", rule: slidingWindow(160) },
  { name: "blocks of 32", rule: blockCausal(32) },
  { name: "blocks of 7", rule: blockCausal(7) },
];

const cached: Rows = {
  name: "one, five and forty queries from a cache",
  layout: {
    qOffsets: Int32Array.of(0, 1, 2, 7, 7, 47),
    kStarts: Int32Array.of(0, 100, 200, 1400, 1450),
    kLengths: Int32Array.of(7, 100, 1130, 20, 200),
  },
  numKeyRows: 1660,
};

const shared: Rows = {
  name: "queries that continue a shared beginning",
  layout: {
    qOffsets: Int32Array.of(0, 40, 75, 77),
    kStarts: Int32Array.of(0, 0, 0),
    kLengths: Int32Array.of(200, 120, 90),
  },
  numKeyRows: 210,
};

const rowChoices: readonly Rows[] = [packed(1, 0, 2, 65, 130), packed(200, 3), cached, shared];

const headChoices: readonly Heads[] = [
  { numHeads: 2, numKvHeads: 2, headDim: 16 },
  { numHeads: 3, numKvHeads: 1, headDim: 20 },
];

function layoutOf(queries: readonly (readonly [number, number])[], rest: AttentionLayout): AttentionLayout {
  const visible = {
    begin: Int32Array.from(queries, ([begin]) => begin),
    end: Int32Array.from(queries, ([, end]) => end),
  };
  return { ...rest, visible };
}

const repeat = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

/** Rows that see nothing before, between and behind others; keys that nobody sees in between; a sequence of nothing. */
const gaps: Rows = {
  name: "rows that see nothing and keys that nobody sees",
  layout: layoutOf(
    [
      ...repeat(140, [5, 5] as const),
      ...repeat(20, [5, 40] as const),
      ...repeat(3, [40, 40] as const),
      ...Array.from({ length: 100 }, (_, i) => [130 + i, (i > 50 ? 152 : 132) + i] as const),
      ...repeat(70, [299, 299] as const),
      ...repeat(3, [0, 0] as const),
      [2, 2],
      [2, 4],
    ],
    {
      qOffsets: Int32Array.of(0, 333, 336, 338),
      kStarts: Int32Array.of(3, 336, 340),
      kLengths: Int32Array.of(333, 3, 7),
    },
  ),
  numKeyRows: 350,
};

/** Long enough to be cut into parts, of which some come out empty because all the work is in few rows. */
const uneven: Rows = {
  name: "a long sequence with all its work in few rows",
  layout: layoutOf(
    Array.from(
      { length: 1100 },
      (_, i) => (i < 1000 ? [0, 0] : i < 1010 ? [0, 1100] : [1099, 1100]) as [number, number],
    ),
    packed(1100).layout,
  ),
  numKeyRows: 1100,
};

export const visibilityCases: readonly ContractCase[] = [
  ...rules.flatMap(({ name, rule }) =>
    rowChoices.map((rows) => ({
      title: `attention with ${name} over ${rows.name}`,
      run(trial: Trial) {
        const seen = { ...rows, name: `${rows.name}, ${name}`, layout: rule(rows.layout) };
        for (const heads of headChoices)
          for (const dtype of ["f32", "bf16"] as const) runAttention(trial, seen, heads, dtype, 1, leastSize);
      },
    })),
  ),
  ...[
    { ...packed(530, 3), rule: slidingWindow(100) },
    { ...packed(530, 3), rule: full },
  ].map(({ rule, ...rows }, index) => ({
    title: `attention over a sequence that is cut into parts, ${index === 0 ? "with a window of 100" : "with full visibility"}`,
    run(trial: Trial) {
      const seen = { ...rows, name: `${rows.name}, parts ${index}`, layout: rule(rows.layout) };
      for (const dtype of ["f32", "bf16"] as const)
        runAttention(trial, seen, { numHeads: 4, numKvHeads: 1, headDim: 16 }, dtype, 1, 3 * leastSize); // four heads add up
    },
  })),
  ...[gaps, uneven].map((rows) => ({
    title: `attention over ${rows.name}`,
    run(trial: Trial) {
      for (const dtype of ["f32", "bf16"] as const)
        runAttention(trial, rows, { numHeads: 2, numKvHeads: 1, headDim: 16 }, dtype, 1, leastSize);
    },
  })),
  {
    title: "attention with a window and scores of some hundreds",
    run(trial) {
      const rows = packed(5, 150);
      const seen = { ...rows, name: "a window of 20", layout: slidingWindow(20)(rows.layout) };
      runAttention(trial, seen, headChoices[0]!, "f32", 200, leastSize);
      runAttention(trial, seen, headChoices[0]!, "bf16", 100, leastSize);
    },
  },
];

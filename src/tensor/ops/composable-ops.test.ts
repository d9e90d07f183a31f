import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { createReferenceBackend } from "../backends/reference/index.ts";
import { checkGradients, type GradientInput, gradientCase } from "../gradient-check.ts";
import { Scope } from "../scope.ts";
import type { Shape } from "../shape.ts";
import { type Tensor, tensorOf } from "../tensor.ts";
import {
  add,
  batchedMatmul,
  cumulativeSum,
  cumulativeSumLast,
  depthwiseConvolution,
  gatherLast,
  gatherRows,
  gelu,
  groupedMatmul,
  lastInputs,
  linear,
  linearRecurrence,
  scatterAddRows,
  sort,
  topK,
} from "./index.ts";

const compute = "f32";
const frozen = (shape: Shape): GradientInput => ({ shape, frozen: true });
/** The second group has no rows, nor has the last. */
const offsets = Int32Array.of(0, 2, 2, 5, 5);

const batchedRows = [false, true].flatMap((transposeA) =>
  [false, true].flatMap((transposeB) =>
    (
      [
        ["", 3, 3],
        [" with a shared first factor", 1, 3],
        [" with a shared second factor", 3, 1],
      ] as const
    ).map(([what, countA, countB]) =>
      gradientCase({
        title: `batchedMatmul${what}${transposeA ? ", transposeA" : ""}${transposeB ? ", transposeB" : ""}`,
        inputs: {
          a: transposeA ? [countA, 4, 2] : [countA, 2, 4],
          b: transposeB ? [countB, 3, 4] : [countB, 4, 3],
        },
        run: (scope, { a, b }) => batchedMatmul(scope, a, b, { transposeA, transposeB, compute }),
      }),
    ),
  ),
);

const productRows = [
  ...batchedRows,
  gradientCase({
    title: "batchedMatmul with a frozen factor",
    inputs: { a: frozen([2, 3, 4]), b: [2, 4, 2] },
    run: (scope, { a, b }) => batchedMatmul(scope, a, b, { compute }),
  }),
  gradientCase({
    title: "batchedMatmul of a tensor with itself",
    inputs: { x: [2, 3, 3] },
    run: (scope, { x }) => batchedMatmul(scope, gelu(scope, x), x, { compute, transposeB: true }),
  }),
  gradientCase({
    title: "batchedMatmul of a tensor as both factors",
    inputs: { x: [2, 3, 3] },
    run: (scope, { x }) => batchedMatmul(scope, x, x, { compute }),
  }),
  gradientCase({
    title: "groupedMatmul with groups without rows",
    inputs: { x: [5, 3], weight: [4, 2, 3] },
    run: (scope, { x, weight }) => groupedMatmul(scope, x, weight, offsets, { compute }),
  }),
  gradientCase({
    title: "groupedMatmul with frozen weights",
    inputs: { x: [5, 3], weight: frozen([4, 2, 3]) },
    run: (scope, { x, weight }) => groupedMatmul(scope, x, weight, offsets, { compute }),
  }),
  gradientCase({
    title: "groupedMatmul of a frozen input",
    inputs: { x: frozen([5, 3]), weight: [4, 2, 3] },
    run: (scope, { x, weight }) => groupedMatmul(scope, x, weight, offsets, { compute }),
  }),
  gradientCase({
    title: "two groupedMatmuls with one weight, the second of the first",
    inputs: { x: [5, 3], weight: [4, 3, 3] },
    run: (scope, { x, weight }) =>
      groupedMatmul(scope, groupedMatmul(scope, x, weight, offsets, { compute }), weight, offsets, { compute }),
  }),
];

const choiceRows = [
  gradientCase({
    title: "topK",
    inputs: { x: [4, 7] },
    run: (scope, { x }) => topK(scope, x, 3).values,
  }),
  gradientCase({
    title: "sort, onto what another op reads too",
    inputs: { x: [3, 5] },
    run: (scope, { x }) => add(scope, sort(scope, x, { descending: true }).values, sort(scope, x).values),
  }),
  gradientCase({
    title: "gatherLast of one per row",
    inputs: { x: [4, 3] },
    run: (scope, { x }) => gatherLast(scope, x, Int32Array.of(2, 0, 0, 1)),
  }),
  gradientCase({
    title: "gatherLast of several per row, repeated ones among them",
    inputs: { x: [2, 4] },
    run: (scope, { x }) => gatherLast(scope, x, Int32Array.of(3, 3, 0, 1, 2, 1), 3),
  }),
  gradientCase({
    title: "scatterAddRows with repeated rows",
    inputs: { base: [3, 2], x: [5, 2] },
    run: (scope, { base, x }) => scatterAddRows(scope, base, x, Int32Array.of(2, 0, 2, 2, 0)),
  }),
  gradientCase({
    title: "scatterAddRows onto a frozen base",
    inputs: { base: frozen([3, 2]), x: [2, 2] },
    run: (scope, { base, x }) => scatterAddRows(scope, base, x, Int32Array.of(1, 1)),
  }),
  gradientCase({
    title: "scatterAddRows of frozen rows",
    inputs: { base: [3, 2], x: frozen([2, 2]) },
    run: (scope, { base, x }) => scatterAddRows(scope, base, x, Int32Array.of(1, 1)),
  }),
  gradientCase({
    title: "scatterAddRows of a tensor onto itself",
    inputs: { x: [3, 2] },
    run: (scope, { x }) => scatterAddRows(scope, x, x, Int32Array.of(1, 1, 2)),
  }),
  gradientCase({
    title: "a mixture of experts: choose, gather, multiply, scatter",
    inputs: { x: [3, 4], router: frozen([4, 4]), weight: [4, 4, 4] },
    run: (scope, { x, router, weight }) => {
      const { indices } = topK(scope, router, 2); // the first three rows stand for the scores of three tokens
      const chosen = indices.subarray(0, 6);
      const order = Array.from(chosen.keys()).sort((i, j) => chosen[i]! - chosen[j]! || i - j);
      const starts = Int32Array.from({ length: 5 }, (_, g) => chosen.filter((expert) => expert < g).length);
      const tokens = Int32Array.from(order, (at) => Math.floor(at / 2));
      const outputs = groupedMatmul(scope, gatherRows(scope, x, tokens), weight, starts, { compute });
      return scatterAddRows(scope, x, outputs, tokens);
    },
  }),
];

const sumRows = [false, true].flatMap((reverse) =>
  [false, true].flatMap((exclusive) => {
    const options = { reverse, exclusive };
    const what = `${reverse ? ", reverse" : ""}${exclusive ? ", exclusive" : ""}`;
    return [
      gradientCase({
        title: `cumulativeSum over segments, two of them empty${what}`,
        inputs: { x: [5, 3] },
        run: (scope, { x }) => cumulativeSum(scope, x, offsets, options),
      }),
      gradientCase({
        title: `cumulativeSumLast${what}`,
        inputs: { x: [2, 5] },
        run: (scope, { x }) => cumulativeSumLast(scope, x, options),
      }),
    ];
  }),
);

const recurrenceRows = [
  gradientCase({
    title: "linearRecurrence from zeros over segments, two of them empty",
    inputs: { a: [5, 3], b: [5, 3] },
    run: (scope, { a, b }) => linearRecurrence(scope, a, b, { offsets }).h,
  }),
  gradientCase({
    title: "linearRecurrence from given states, one of a segment without rows",
    inputs: { a: [5, 3], b: [5, 3], initial: [4, 3] },
    run: (scope, { a, b, initial }) => linearRecurrence(scope, a, b, { offsets, initial }).h,
  }),
  gradientCase({
    title: "the last states of linearRecurrence alone",
    inputs: { a: [5, 3], b: [5, 3], initial: [4, 3] },
    run: (scope, { a, b, initial }) => linearRecurrence(scope, a, b, { offsets, initial }).final,
  }),
  gradientCase({
    title: "linearRecurrence in two pieces, the second of which goes on from the states of the first",
    inputs: { a: [5, 3], b: [5, 3], c: [6, 3], initial: [4, 3] },
    run: (scope, { a, b, c, initial }) => {
      const first = linearRecurrence(scope, a, b, { offsets, initial });
      const next = { offsets: Int32Array.of(0, 1, 3, 6, 6), initial: first.final };
      return scatterAddRows(scope, linearRecurrence(scope, c, c, next).h, first.h, Int32Array.of(0, 1, 2, 3, 5));
    },
  }),
  gradientCase({
    title: "linearRecurrence with frozen decays",
    inputs: { a: frozen([5, 3]), b: [5, 3] },
    run: (scope, { a, b }) => linearRecurrence(scope, a, b, { offsets }).h,
  }),
  gradientCase({
    title: "linearRecurrence with frozen inputs and states",
    inputs: { a: [5, 3], b: frozen([5, 3]), initial: frozen([4, 3]) },
    run: (scope, { a, b, initial }) => linearRecurrence(scope, a, b, { offsets, initial }).h,
  }),
  gradientCase({
    title: "linearRecurrence whose decays are its inputs",
    inputs: { x: [5, 3] },
    run: (scope, { x }) => linearRecurrence(scope, x, x, { offsets }).h,
  }),
];

const convolutionRows = [1, 2, 4, 6].flatMap((k) => [
  gradientCase({
    title: `depthwiseConvolution of ${k} taps with a bias`,
    inputs: { x: [5, 3], weight: [3, k], bias: [3] },
    run: (scope, { x, weight, bias }) => depthwiseConvolution(scope, x, weight, { offsets, bias }),
  }),
  gradientCase({
    title: `depthwiseConvolution of ${k} taps after other inputs`,
    inputs: { x: [5, 3], weight: [3, k], previous: [4, k - 1, 3] },
    run: (scope, { x, weight, previous }) => depthwiseConvolution(scope, x, weight, { offsets, previous }),
  }),
  gradientCase({
    title: `depthwiseConvolution of ${k} taps, all frozen but the inputs`,
    inputs: { x: [5, 3], weight: frozen([3, k]), bias: frozen([3]), previous: frozen([4, k - 1, 3]) },
    run: (scope, { x, weight, bias, previous }) => depthwiseConvolution(scope, x, weight, { offsets, bias, previous }),
  }),
  gradientCase({
    title: `depthwiseConvolution of ${k} taps with frozen inputs`,
    inputs: { x: frozen([5, 3]), weight: [3, k], bias: [3] },
    run: (scope, { x, weight, bias }) => depthwiseConvolution(scope, x, weight, { offsets, bias }),
  }),
]);

const convolutionOfItself = gradientCase({
  title: "depthwiseConvolution of a tensor with itself",
  inputs: { x: [3, 3] },
  run: (scope, { x }) => depthwiseConvolution(scope, x, x, { offsets: Int32Array.of(0, 3) }),
});

const rows = [...productRows, ...choiceRows, ...sumRows, ...recurrenceRows, ...convolutionRows, convolutionOfItself];

describe("backward agrees with finite differences", () => {
  for (const row of rows) test(row.title, () => checkGradients(row));
});

const backend = createReferenceBackend();
const f64 = (values: readonly number[], shape: Shape): Tensor => tensorOf(backend, values, shape, "f64");

/** Runs `body` in a scope that ends with it. */
function inScope(body: (scope: Scope) => void): () => void {
  return () => {
    using scope = new Scope(backend);
    body(scope);
  };
}

describe("values worked out by hand", () => {
  test(
    "batchedMatmul multiplies matrix by matrix, and shares a single one",
    inScope((scope) => {
      const a = f64([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
      const b = f64([1, 0, 2, 1], [1, 2, 2]);
      assert.deepEqual([...batchedMatmul(scope, a, b, { compute }).data], [5, 2, 11, 4, 17, 6, 23, 8]);
      const transposed = batchedMatmul(scope, a, b, { compute, transposeA: true, transposeB: true });
      assert.deepEqual([...transposed.data], [1, 5, 2, 8, 5, 17, 6, 20]); // rows (1, 3) and (2, 4) by (1, 0) and (2, 1)
    }),
  );

  test(
    "groupedMatmul multiplies every row with the weight of its group",
    inScope((scope) => {
      const x = f64([1, 2, 3, 4], [2, 2]);
      const weight = f64([1, 1, 9, 9, 10, 100], [3, 1, 2]);
      const y = groupedMatmul(scope, x, weight, Int32Array.of(0, 1, 1, 2), { compute });
      assert.deepEqual([...y.data], [3, 430]);
    }),
  );

  test(
    "one group is a linear layer",
    inScope((scope) => {
      const x = f64([1, -2, 3, 4, 0.5, 6], [2, 3]);
      const weight = [2, -1, 0.25, 1, 3, -5];
      const grouped = groupedMatmul(scope, x, f64(weight, [1, 2, 3]), Int32Array.of(0, 2), { compute });
      assert.deepEqual(grouped.data, linear(scope, x, f64(weight, [2, 3]), { compute }).data);
    }),
  );

  test(
    "topK takes the lower index first among equals, sort keeps their order",
    inScope((scope) => {
      const x = f64([3, 1, 3, 2, 5, 5, 4, 5], [2, 4]);
      const chosen = topK(scope, x, 2);
      assert.deepEqual(
        [[...chosen.values.data], [...chosen.indices]],
        [
          [3, 3, 5, 5],
          [0, 2, 0, 1],
        ],
      );
      assert.deepEqual([...sort(scope, x).indices], [1, 3, 0, 2, 2, 0, 1, 3]);
      assert.deepEqual([...sort(scope, x, { descending: true }).indices], [0, 2, 3, 1, 0, 1, 3, 2]);
    }),
  );

  test(
    "cumulativeSum runs either way, with and without the element itself",
    inScope((scope) => {
      const x = f64([1, 2, 4, 8], [4, 1]);
      const two = Int32Array.of(0, 3, 4);
      const sums = (options: object): number[] => [...cumulativeSum(scope, x, two, options).data];
      assert.deepEqual(sums({}), [1, 3, 7, 8]);
      assert.deepEqual(sums({ exclusive: true }), [0, 1, 3, 0]);
      assert.deepEqual(sums({ reverse: true }), [7, 6, 4, 8]);
      assert.deepEqual(sums({ reverse: true, exclusive: true }), [6, 4, 0, 0]);
      assert.deepEqual([...cumulativeSumLast(scope, x.reshape([2, 2])).data], [1, 3, 4, 12]);
    }),
  );

  test(
    "linearRecurrence carries its state within a segment and hands the last one out",
    inScope((scope) => {
      const a = f64([2, 3, 0.5, 7], [4, 1]);
      const b = f64([1, 1, 1, 1], [4, 1]);
      const options = { offsets: Int32Array.of(0, 3, 3, 4), initial: f64([1, 5, -1], [3, 1]) };
      const { h, final } = linearRecurrence(scope, a, b, options);
      assert.deepEqual([...h.data], [3, 10, 6, -6]);
      assert.deepEqual([...final.data], [6, 5, -6]);
    }),
  );

  test(
    "depthwiseConvolution weighs the row itself with its last tap and looks back into `previous`",
    inScope((scope) => {
      const x = f64([1, 10, 2, 20, 3, 30], [3, 2]);
      const weight = f64([100, 10, 1, 1, 0, 0], [2, 3]); // the second column shifts by two rows
      const two = Int32Array.of(0, 2, 3);
      const y = depthwiseConvolution(scope, x, weight, { offsets: two, bias: f64([0.5, 0], [2]) });
      assert.deepEqual([...y.data], [1.5, 0, 12.5, 0, 3.5, 0]);
      const previous = f64([7, 70, 8, 80, 9, 90, 4, 40], [2, 2, 2]);
      const after = depthwiseConvolution(scope, x, weight, { offsets: two, previous });
      assert.deepEqual([...after.data], [781, 70, 812, 80, 943, 90]);
      assert.deepEqual([...lastInputs(scope, x, 3, { offsets: two, previous }).data], [1, 10, 2, 20, 4, 40, 3, 30]);
      assert.deepEqual([...lastInputs(scope, x, 3, { offsets: two }).data], [1, 10, 2, 20, 0, 0, 3, 30]);
    }),
  );

  test(
    "scatterAddRows adds rows in f32 and rounds a bf16 result once",
    inScope((scope) => {
      const base = tensorOf(backend, [256, 1], [2, 1], "bf16");
      const ones = tensorOf(backend, new Array(64).fill(1), [64, 1], "bf16");
      assert.deepEqual([...scatterAddRows(scope, base, ones, new Int32Array(64)).readSync()], [320, 1]); // bf16 has no 257
    }),
  );
});

describe("a sequence read in pieces, as decoding does", () => {
  const [numRows, width, k] = [9, 2, 4];
  const waves = (phase: number): Tensor =>
    f64(
      Array.from({ length: numRows * width }, (_, i) => Math.sin(i + phase)),
      [numRows, width],
    );
  const rowsOf = (matrix: Tensor, first: number, end: number): Tensor =>
    matrix.view(first * width, [end - first, width]);

  for (const cut of [1, 2, 5])
    test(
      `gives the results of the whole when cut after ${cut} rows`,
      inScope((scope) => {
        const [a, x, weight] = [waves(0), waves(1), f64([0.3, -2, 1, 0.5, 4, 1, -1, 2], [width, k])];
        const all = Int32Array.of(0, numRows);
        const h = linearRecurrence(scope, a, x, { offsets: all }).h;
        const y = depthwiseConvolution(scope, x, weight, { offsets: all });
        let [initial, previous]: (Tensor | null)[] = [null, null];
        for (let first = 0; first < numRows; first += cut) {
          const end = Math.min(numRows, first + cut);
          const offsets = Int32Array.of(0, end - first);
          const part = rowsOf(x, first, end);
          const piece = linearRecurrence(scope, rowsOf(a, first, end), part, { offsets, initial: initial ?? null });
          assert.deepEqual(piece.h.data, rowsOf(h, first, end).data);
          const convolved = depthwiseConvolution(scope, part, weight, { offsets, previous: previous ?? null });
          assert.deepEqual(convolved.data, rowsOf(y, first, end).data);
          initial = piece.final;
          previous = lastInputs(scope, part, k, { offsets, previous: previous ?? null });
        }
      }),
    );
});

describe("ops refuse what kernels would trust", () => {
  const matrix = f64([1, 2, 3, 4, 5, 6], [3, 2]);
  const weights = f64([1, 2, 3, 4], [2, 1, 2]);
  const calls: readonly (readonly [string, RegExp, (scope: Scope) => unknown])[] = [
    [
      "batches of two sizes",
      /batchedMatmul: expected as many/,
      (scope) => {
        const [three, two] = [f64([1, 2, 3], [3, 1, 1]), f64([1, 2], [2, 1, 1])];
        return batchedMatmul(scope, three, two, { compute });
      },
    ],
    ["inner sizes that differ", /batchedMatmul: b/, (scope) => batchedMatmul(scope, weights, weights, { compute })],
    [
      "groups beyond the rows",
      /groupedMatmul: offsets/,
      (scope) => groupedMatmul(scope, matrix, weights, Int32Array.of(0, 2, 4), { compute }),
    ],
    [
      "groups that fall",
      /groupedMatmul: offsets/,
      (scope) => groupedMatmul(scope, matrix, weights, Int32Array.of(0, 5, 3), { compute }),
    ],
    [
      "fewer groups than weights",
      /groupedMatmul: offsets/,
      (scope) => groupedMatmul(scope, matrix, weights, Int32Array.of(0, 3), { compute }),
    ],
    ["more choices than values", /topK: expected k from 0 to 2, got 3/, (scope) => topK(scope, matrix, 3)],
    ["half a choice", /topK: expected k/, (scope) => topK(scope, matrix, 0.5)],
    ["a column outside the row", /gatherLast: indices/, (scope) => gatherLast(scope, matrix, Int32Array.of(0, 2, 0))],
    [
      "too few columns",
      /gatherLast: indices: expected 6 for 3 rows/,
      (scope) => gatherLast(scope, matrix, Int32Array.of(0, 1, 0), 2),
    ],
    [
      "a row outside the base",
      /scatterAddRows: rows/,
      (scope) => scatterAddRows(scope, matrix, matrix, Int32Array.of(0, -1, 2)),
    ],
    [
      "sums over rows that are not there",
      /cumulativeSum: offsets/,
      (scope) => cumulativeSum(scope, matrix, Int32Array.of(0, 4)),
    ],
    ["no offsets at all", /cumulativeSum: offsets/, (scope) => cumulativeSum(scope, matrix, new Int32Array(0))],
    [
      "segments that leave rows out",
      /linearRecurrence: offsets/,
      (scope) => linearRecurrence(scope, matrix, matrix, { offsets: Int32Array.of(0, 2) }),
    ],
    [
      "states for other segments",
      /linearRecurrence: initial/,
      (scope) => linearRecurrence(scope, matrix, matrix, { offsets: Int32Array.of(0, 3), initial: matrix }),
    ],
    [
      "a kernel without taps",
      /depthwiseConvolution: weight/,
      (scope) => depthwiseConvolution(scope, matrix, f64([], [2, 0]), { offsets: Int32Array.of(0, 3) }),
    ],
    [
      "too many inputs before",
      /depthwiseConvolution: previous/,
      (scope) => {
        const previous = f64([1, 2, 3, 4], [1, 2, 2]);
        return depthwiseConvolution(scope, matrix, f64([1, 1, 1, 1], [2, 2]), {
          offsets: Int32Array.of(0, 3),
          previous,
        });
      },
    ],
  ];
  for (const [what, message, call] of calls)
    test(
      what,
      inScope((scope) => assert.throws(() => call(scope), message)),
    );
});

import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { createRng, type Rng } from "../../util/index.ts";
import { createReferenceBackend } from "../backends/reference/index.ts";
import { checkGradients, type GradientCase, type GradientInput, gradientCase } from "../gradient-check.ts";
import { Scope } from "../scope.ts";
import { numElements, type Shape } from "../shape.ts";
import { type Tensor, tensorOf } from "../tensor.ts";
import * as door from "./index.ts";

const ops = { ...door }; // looked up by name below

const frozen = (shape: Shape): GradientInput => ({ shape, frozen: true });

/** Numbers from 0.3 on: for logarithms, roots and denominators. */
const positive = (shape: Shape): GradientInput => ({
  shape,
  values: (rng: Rng) => Float64Array.from({ length: numElements(shape) }, () => 0.3 + Math.abs(rng.normal())),
});

/** Zeros and ones, which want no gradient. */
const mask = (shape: Shape): GradientInput => ({
  shape,
  values: (rng: Rng) => Float64Array.from({ length: numElements(shape) }, () => rng.integer(2)),
  frozen: true,
});

const anywhere = ["neg", "exp", "sigmoid", "tanh", "softplus", "square", "abs", "relu", "silu"] as const;
const aboveZero = ["log", "sqrt", "rsqrt", "reciprocal"] as const;

const unaryCases = [
  ...anywhere.map((op) => gradientCase({ title: op, inputs: { x: [3, 7] }, run: (scope, { x }) => ops[op](scope, x) })),
  ...aboveZero.map((op) =>
    gradientCase({ title: op, inputs: { x: positive([3, 7]) }, run: (scope, { x }) => ops[op](scope, x) }),
  ),
  gradientCase({
    title: "a chain of functions of a tensor that is read twice",
    inputs: { x: [4, 3] },
    run: (scope, { x }) => ops.mul(scope, ops.tanh(scope, x), ops.exp(scope, ops.neg(scope, x))),
  }),
];

/** Shapes of `a` and `b`. */
const broadcasts: readonly (readonly [kind: string, Shape, Shape])[] = [
  ["one shape", [3, 4], [3, 4]],
  ["a row", [3, 4], [4]],
  ["a row with its axis", [3, 4], [1, 4]],
  ["a column", [3, 4], [3, 1]],
  ["a scalar", [3, 4], [1]],
  ["a scalar without axes", [3, 4], []],
  ["a first operand that repeats", [4], [3, 4]],
  ["a row and a column", [1, 4], [3, 1]],
  ["one axis more of size 1", [1, 3, 4], [3, 4]],
  ["the outer and the inner axis of three", [2, 3, 4], [1, 3, 1]],
  ["the middle axis of three", [2, 3, 4], [2, 1, 4]],
  ["every second axis of four", [2, 3, 2, 3], [2, 1, 2, 1]],
];

const binaryCases = broadcasts.flatMap(([kind, a, b]) =>
  (["add", "sub", "mul", "div", "maximum", "minimum"] as const).map((op) =>
    gradientCase({
      title: `${op} with ${kind}`,
      inputs: { a, b: op === "div" ? positive(b) : b },
      run: (scope, { a, b }) => ops[op](scope, a, b),
    }),
  ),
);

const bothCases = (["add", "sub", "mul", "div", "maximum"] as const).flatMap((op) => [
  gradientCase({
    title: `${op} of a tensor with itself`,
    inputs: { a: positive([2, 3]) },
    run: (scope, { a }) => ops[op](scope, a, a),
  }),
  gradientCase({
    title: `${op} with a frozen row`,
    inputs: { a: [3, 4], b: frozen([4]) },
    run: (scope, { a, b }) => ops[op](scope, a, b),
  }),
  gradientCase({
    title: `${op} of a frozen matrix with a column`,
    inputs: { a: frozen([3, 4]), b: positive([3, 1]) },
    run: (scope, { a, b }) => ops[op](scope, a, b),
  }),
]);

const selectCases = [
  gradientCase({
    title: "select",
    inputs: { condition: mask([3, 4]), a: [3, 4], b: [3, 4] },
    run: (scope, { condition, a, b }) => ops.select(scope, condition, a, b),
  }),
  gradientCase({
    title: "select by column between a row and a scalar",
    inputs: { condition: mask([3, 1]), a: [4], b: [1] },
    run: (scope, { condition, a, b }) => ops.select(scope, condition, a, b),
  }),
  gradientCase({
    title: "select with a frozen alternative, by a comparison of what it chooses from",
    inputs: { a: [3, 4], b: frozen([1]) },
    run: (scope, { a, b }) => ops.select(scope, ops.less(scope, a, b), a, b),
  }),
  gradientCase({
    title: "select between a tensor and itself",
    inputs: { condition: mask([3, 4]), a: [3, 4] },
    run: (scope, { condition, a }) => ops.select(scope, condition, a, a),
  }),
];

const reductionCases = (["sum", "mean", "max", "logSumExp"] as const).flatMap((op) =>
  [undefined, 0, 1, -1].flatMap((axis) =>
    [false, true].map((keepDims) =>
      gradientCase({
        title: `${op} over ${axis === undefined ? "everything" : `axis ${axis}`}${keepDims ? ", which stays" : ""}`,
        inputs: { x: [3, 2, 4] },
        run: (scope, { x }) => {
          const y = ops[op](scope, x, axis, { keepDims });
          return axis === undefined || !keepDims ? y : ops.mul(scope, x, y);
        },
      }),
    ),
  ),
);

const softmaxCases = (["softmax", "logSoftmax"] as const).flatMap((op) => [
  ...[-1, 0, 1].map((axis) =>
    gradientCase({
      title: `${op} over axis ${axis}`,
      inputs: { x: [3, 2, 4] },
      run: (scope, { x }) => ops[op](scope, x, axis),
    }),
  ),
  gradientCase({
    title: `${op} of a tensor that is read again`,
    inputs: { x: [3, 4] },
    run: (scope, { x }) => ops.mul(scope, ops[op](scope, x), x),
  }),
]);

const rearrangements: readonly GradientCase[] = [
  gradientCase({
    title: "reshape, read twice",
    inputs: { x: [2, 6] },
    run: (scope, { x }) => ops.mul(scope, ops.reshape(scope, x, [3, -1]), ops.reshape(scope, x, [3, 4])),
  }),
  gradientCase({
    title: "reshape of an op's output",
    inputs: { x: [2, 6] },
    run: (scope, { x }) => ops.softmax(scope, ops.reshape(scope, ops.square(scope, x), [3, 4])),
  }),
  ...[0, 1, 2].map((axis) =>
    gradientCase({
      title: `slices along axis ${axis} that overlap`,
      inputs: { x: [3, 4, 3] },
      run: (scope, { x }) => ops.mul(scope, ops.slice(scope, x, axis, 0, 2), ops.slice(scope, x, axis, 1, 3)),
    }),
  ),
  ...[0, 1, -1].map((axis) =>
    gradientCase({
      title: `concatenate along axis ${axis}, one tensor twice and one frozen`,
      inputs: { a: [2, 3, 2], b: frozen([2, 3, 2]) },
      run: (scope, { a, b }) => ops.concatenate(scope, [a, b, a], axis),
    }),
  ),
  ...[
    [1, 0, 2],
    [2, 1, 0],
    [1, 2, 0],
  ].map((axes) =>
    gradientCase({
      title: `permute to ${axes}`,
      inputs: { x: [2, 3, 4] },
      run: (scope, { x }) => ops.permute(scope, x, axes),
    }),
  ),
  gradientCase({
    title: "a matrix times its transpose, element by element",
    inputs: { x: [3, 3] },
    run: (scope, { x }) => ops.mul(scope, x, ops.transpose(scope, x)),
  }),
  gradientCase({
    title: "broadcastTo",
    inputs: { x: [3, 1] },
    run: (scope, { x }) => ops.broadcastTo(scope, x, [2, 3, 4]),
  }),
];

const dropoutCases = [
  gradientCase({
    title: "dropout",
    inputs: { x: [5, 7] },
    run: (scope, { x }) => ops.dropout(scope, x, 0.4, createRng("dropout")),
  }),
  gradientCase({
    title: "dropout of a tensor that is read again, one stream per example",
    inputs: { x: [5, 3] },
    run: (scope, { x }) => {
      const rngs = [createRng("first"), createRng("second")];
      return ops.mul(scope, ops.dropout(scope, x, 0.4, { offsets: Int32Array.of(0, 2, 5), rngs }), x);
    },
  }),
];

/** A block of fused kernels, written in primitives. */
const blockCases = [
  gradientCase({
    title: "a norm, a gate and a masked softmax, written in primitives",
    inputs: { x: [4, 6], weight: [6], gate: [6], hidden: mask([4, 1]) },
    run: (scope, { x, weight, gate, hidden }) => {
      const meanSquare = ops.mean(scope, ops.square(scope, x), -1, { keepDims: true });
      const normed = ops.mul(scope, ops.mul(scope, x, ops.rsqrt(scope, meanSquare)), weight);
      const gated = ops.mul(scope, normed, ops.sigmoid(scope, ops.add(scope, normed, gate)));
      const masked = ops.select(scope, hidden, scope.from([-Infinity], [1], "f64"), gated);
      return ops.add(scope, ops.softmax(scope, masked), ops.logSumExp(scope, gated, -1, { keepDims: true }));
    },
  }),
];

describe("backward of primitives agrees with finite differences", () => {
  const cases = [
    ...unaryCases,
    ...binaryCases,
    ...bothCases,
    ...selectCases,
    ...reductionCases,
    ...softmaxCases,
    ...rearrangements,
    ...dropoutCases,
    ...blockCases,
  ];
  for (const row of cases) test(row.title, () => checkGradients(row));
});

const backend = createReferenceBackend();
const f64 = (values: readonly number[], shape: Shape): Tensor => tensorOf(backend, values, shape, "f64");
const listed = (tensor: Tensor): number[] => [...tensor.readSync()];

describe("primitives refuse what does not fit, and say what would", () => {
  const refusals: readonly (readonly [title: string, RegExp, (scope: Scope, x: Tensor) => unknown])[] = [
    ["shapes that do not broadcast", /mul: .*\[2, 3\] and \[2\]/, (s, x) => ops.mul(s, x, f64([1, 2], [2]))],
    ["an axis that is not there", /sum: .*-2 to 1 of \[2, 3\].*2/, (s, x) => ops.sum(s, x, 2)],
    ["the maximum of nothing", /max: .*\[0, 3\]/, (s, x) => ops.max(s, ops.slice(s, x, 0, 0, 0), 0)],
    ["the mean of nothing", /mean: /, (s, x) => ops.mean(s, ops.slice(s, x, 0, 0, 0), 0)],
    ["the argmax of nothing", /argmax: /, (s, x) => ops.argmax(s, ops.slice(s, x, 0, 0, 0), 0)],
    ["a slice past the end", /slice: .*0 to 3 of axis 1.*1 to 4/, (s, x) => ops.slice(s, x, 1, 1, 4)],
    ["a slice that runs backward", /slice: /, (s, x) => ops.slice(s, x, 1, 2, 1)],
    ["concatenating nothing", /concatenate: .*at least one/, (s) => ops.concatenate(s, [], 0)],
    [
      "concatenating other widths",
      /concatenate: .*axis 0 alone.*\[2, 3\] and \[1, 2\]/,
      (s, x) => ops.concatenate(s, [x, f64([1, 2], [1, 2])], 0),
    ],
    ["a permutation with an axis twice", /permute: /, (s, x) => ops.permute(s, x, [0, 0])],
    ["a permutation without an axis", /permute: /, (s, x) => ops.permute(s, x, [0])],
    ["a shape of other size", /reshape: .*6 elements.*\[4, 2\]/, (s, x) => ops.reshape(s, x, [4, 2])],
    ["two open sizes", /reshape: /, (s, x) => ops.reshape(s, x, [-1, -1])],
    ["a broadcast to a smaller shape", /broadcastTo: /, (s, x) => ops.broadcastTo(s, x, [3])],
    ["p = 1", /dropout: .*below 1, got 1/, (s, x) => ops.dropout(s, x, 1, createRng("p"))],
    ["p below 0", /dropout: /, (s, x) => ops.dropout(s, x, -0.1, createRng("p"))],
    ["p that is no number", /dropout: /, (s, x) => ops.dropout(s, x, Number.NaN, createRng("p"))],
  ];
  for (const [title, message, run] of refusals)
    test(title, () => {
      using scope = new Scope(backend);
      assert.throws(() => run(scope, scope.from([1, 2, 3, 4, 5, 6], [2, 3], "f64")), { message });
    });
});

describe("primitives give values worked out by hand", () => {
  const hand: readonly (readonly [title: string, (scope: Scope, x: Tensor) => Tensor, Shape, readonly number[]])[] = [
    ["sum over rows", (s, x) => ops.sum(s, x, 0), [3], [5, 7, 9]],
    ["sum over everything", (s, x) => ops.sum(s, x), [1], [21]],
    ["mean over columns, kept", (s, x) => ops.mean(s, x, -1, { keepDims: true }), [2, 1], [2, 5]],
    ["max over rows", (s, x) => ops.max(s, x, 0), [3], [4, 5, 6]],
    ["a slice from the end", (s, x) => ops.slice(s, x, 1, -2, 3), [2, 2], [2, 3, 5, 6]],
    ["transpose", (s, x) => ops.transpose(s, x), [3, 2], [1, 4, 2, 5, 3, 6]],
    ["concatenate side by side", (s, x) => ops.concatenate(s, [x, x], 1), [2, 6], [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]],
    ["broadcastTo", (s, x) => ops.broadcastTo(s, ops.slice(s, x, 0, 1, 2), [2, 3]), [2, 3], [4, 5, 6, 4, 5, 6]],
    ["sub of a column", (s, x) => ops.sub(s, x, f64([1, 4], [2, 1])), [2, 3], [0, 1, 2, 0, 1, 2]],
    ["less than a row", (s, x) => ops.less(s, x, f64([2, 2, 9], [3])), [2, 3], [1, 0, 1, 0, 0, 1]],
    [
      "lessEqual and equal",
      (s, x) => ops.sub(s, ops.lessEqual(s, x, f64([4], [1])), ops.equal(s, x, f64([4], [1]))),
      [2, 3],
      [1, 1, 1, 0, 0, 0],
    ],
    ["softmax of equal logits", (s) => ops.softmax(s, f64([7, 7, 7, 7], [1, 4])), [1, 4], [0.25, 0.25, 0.25, 0.25]],
    [
      "softmax behind a mask that hides everything",
      (s) => ops.softmax(s, f64([-Infinity, -Infinity], [1, 2])),
      [1, 2],
      [0, 0],
    ],
    ["dropout of nothing", (s, x) => ops.dropout(s, x, 0, createRng("p")), [2, 3], [1, 2, 3, 4, 5, 6]],
  ];
  for (const [title, run, shape, values] of hand)
    test(title, () => {
      using scope = new Scope(backend);
      const y = run(scope, scope.from([1, 2, 3, 4, 5, 6], [2, 3], "f64"));
      assert.deepEqual(y.shape, shape);
      assert.deepEqual(listed(y), values);
    });

  test("argmax takes the first of equals, along either axis or all", () => {
    using scope = new Scope(backend);
    const x = scope.from([1, 5, 5, 4, 5, 2], [2, 3], "f64");
    assert.deepEqual([...ops.argmax(scope, x, 1)], [1, 1]);
    assert.deepEqual([...ops.argmax(scope, x, 0)], [1, 0, 0]);
    assert.deepEqual([...ops.argmax(scope, x)], [1]);
  });

  test("among equals the gradient goes to the first", () => {
    using scope = new Scope(backend, { grad: true });
    const [x, a, b] = [f64([3, 3, 1, 3], [4]), f64([2, 2], [2]), f64([2, 1], [2])];
    for (const leaf of [x, a, b]) leaf.requiresGrad = true;
    const extremes = ops.add(scope, ops.maximum(scope, a, b), ops.minimum(scope, a, b));
    scope.backward(ops.add(scope, ops.max(scope, x, 0, { keepDims: true }), ops.sum(scope, extremes)));
    assert.deepEqual(listed(scope.gradOf(x)!), [1, 0, 0, 0]);
    assert.deepEqual(listed(scope.gradOf(a)!), [2, 1]);
    assert.deepEqual(listed(scope.gradOf(b)!), [0, 1]);
  });
});

describe("dropout", () => {
  test("drops a share p and scales the rest, one word of the stream per element", () => {
    using scope = new Scope(backend);
    const y = listed(ops.dropout(scope, f64(new Array(20_000).fill(3), [20_000]), 0.25, createRng("share")));
    const words = createRng("share");
    assert.deepEqual(
      y,
      y.map(() => (words.nextUint32() / 2 ** 32 >= 0.25 ? 4 : 0)),
    );
    const share = y.filter((value) => value === 0).length / y.length;
    assert.ok(Math.abs(share - 0.25) < 4 * Math.sqrt((0.25 * 0.75) / y.length), `${share}`); // four standard deviations
  });

  test("of an example does not depend on the examples packed with it", () => {
    using scope = new Scope(backend);
    const x = f64(
      Array.from({ length: 30 }, (_, i) => i + 1),
      [10, 3],
    );
    const rngOf = (id: string): Rng => createRng("seed").fork("dropout", id);
    const packed = ops.dropout(scope, x, 0.5, { offsets: Int32Array.of(0, 4, 10), rngs: [rngOf("a"), rngOf("b")] });
    const alone = ops.dropout(scope, ops.slice(scope, x, 0, 4, 10), 0.5, rngOf("b"));
    assert.deepEqual(listed(ops.slice(scope, packed, 0, 4, 10)), listed(alone));
    assert.ok(listed(alone).includes(0) && listed(alone).some((value) => value > 0));
  });
});

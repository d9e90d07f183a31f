import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { createRng } from "../../util/index.ts";
import type { AttentionLayout, Backend } from "../backend.ts";
import { createCpuBackend, nativeInstructionSets } from "../backends/cpu/index.ts";
import { createReferenceBackend } from "../backends/reference/index.ts";
import type { DType } from "../dtype.ts";
import { checkGradients, gradientCase } from "../gradient-check.ts";
import { Scope } from "../scope.ts";
import { attention, blockCausal, causal, full, packedLayout, prefix, slidingWindow, weightedSum } from "./index.ts";

/** Whether a query at position `p` of a sequence sees key `j`: the rules once more, as a mask instead of ranges. */
type Sees = (p: number, j: number) => boolean;

const rules = [
  { name: "causal", rule: causal, sees: (p, j) => j <= p },
  { name: "full", rule: full, sees: () => true },
  {
    name: "prefix of 4",
    rule: (l: AttentionLayout) => prefix(new Int32Array(l.kLengths.length).fill(4))(l),
    sees: (p, j) => j <= p || j < 4,
  },
  { name: "window of 3", rule: slidingWindow(3), sees: (p, j) => j <= p && p - j < 3 },
  { name: "blocks of 5", rule: blockCausal(5), sees: (p, j) => Math.floor(j / 5) <= Math.floor(p / 5) },
] as const satisfies readonly { name: string; rule: (layout: AttentionLayout) => AttentionLayout; sees: Sees }[];

const layouts: readonly AttentionLayout[] = [
  packedLayout(Int32Array.of(0, 1, 1, 8, 20)),
  { qOffsets: Int32Array.of(0, 4, 5), kStarts: Int32Array.of(0, 13), kLengths: Int32Array.of(12, 7) },
];

const [numHeads, numKvHeads, headDim] = [4, 2, 3];
const numKeyRows = 20;

interface Operands {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly gradO: Float64Array;
}

function operandsOf(numQueries: number): Operands {
  const numbers = (name: string, size: number) => {
    const rng = createRng(`visibility ${name}`);
    return Float64Array.from({ length: size }, () => Math.fround(rng.normal()));
  };
  const [width, keyWidth] = [numHeads * headDim, numKvHeads * headDim];
  const [q, gradO] = [numbers("q", numQueries * width), numbers("gradO", numQueries * width)];
  return { q, k: numbers("k", numKeyRows * keyWidth), v: numbers("v", numKeyRows * keyWidth), gradO };
}

/** Attention over a dense matrix of scores, with everything that is not visible set to -Infinity. */
function denseAttention({ q, k, v }: Operands, layout: AttentionLayout, sees: Sees): Float64Array {
  const o = new Float64Array(q.length);
  layout.kLengths.forEach((numKeys, b) => {
    const [first, end] = [layout.qOffsets[b]!, layout.qOffsets[b + 1]!];
    for (let row = first; row < end; row++)
      for (let head = 0; head < numHeads; head++) {
        const kvHead = head < 2 ? 0 : 1;
        const at = (row * numHeads + head) * headDim;
        const keyAt = (j: number) => ((layout.kStarts[b]! + j) * numKvHeads + kvHead) * headDim;
        const scores = Array.from({ length: numKeys }, (_, j) => {
          if (!sees(numKeys - (end - row), j)) return Number.NEGATIVE_INFINITY;
          return [0, 1, 2].reduce((total, e) => total + q[at + e]! * k[keyAt(j) + e]!, 0) / Math.sqrt(headDim);
        });
        const weights = scores.map(Math.exp);
        const total = weights.reduce((a, c) => a + c, 0);
        for (let e = 0; e < headDim; e++)
          o[at + e] = weights.reduce((sum, weight, j) => sum + (weight / total) * v[keyAt(j) + e]!, 0);
      }
  });
  return o;
}

const backends: readonly { name: string; create: () => Backend; dtype: DType; tolerance: number }[] = [
  { name: "the reference backend in f64", create: createReferenceBackend, dtype: "f64", tolerance: 1e-13 },
  ...nativeInstructionSets().map((instructionSet) => ({
    name: `the cpu backend with ${instructionSet}`,
    create: () => createCpuBackend({ threads: 2, instructionSet }),
    dtype: "f32" as const,
    tolerance: 2e-6,
  })),
];

function withTensors(backend: Backend, dtype: DType, numQueries: number, { q, k, v, gradO }: Operands) {
  const scope = new Scope(backend, { grad: true });
  const [width, keyWidth] = [numHeads * headDim, numKvHeads * headDim];
  const of = (values: Float64Array, rows: number, columns: number) => scope.from(values, [rows, columns], dtype);
  const tensors = {
    q: of(q, numQueries, width),
    k: of(k, k.length / keyWidth, keyWidth),
    v: of(v, v.length / keyWidth, keyWidth),
  };
  for (const tensor of Object.values(tensors)) tensor.requiresGrad = true;
  return { scope, ...tensors, gradO: of(gradO, numQueries, width) };
}

for (const { name, create, dtype, tolerance } of backends)
  describe(`attention by ranges on ${name}`, () => {
    const backend = create();
    for (const { name: rule, rule: apply, sees } of rules)
      test(`is attention under a dense mask: ${rule}`, () => {
        for (const layout of layouts) {
          const numQueries = layout.qOffsets.at(-1)!;
          const operands = operandsOf(numQueries);
          const { scope, q, k, v } = withTensors(backend, dtype, numQueries, operands);
          using _ = scope;
          const got = attention(scope, q, k, v, { layout: apply(layout), numHeads, numKvHeads }).readSync();
          denseAttention(operands, layout, sees).forEach((want, i) => {
            assert.ok(
              Math.abs(got[i]! - want) <= tolerance * (1 + Math.abs(want)),
              `o[${i}] is ${got[i]}, not ${want}`,
            );
          });
        }
      });

    for (const numQueries of [1, 5, 40])
      test(`${numQueries} cached queries with a window read nothing outside it`, () => {
        // one window per query, of 30 keys each; everything before the first of them is NaN, and so is the next sequence
        const layout: AttentionLayout = {
          qOffsets: Int32Array.of(0, numQueries),
          kStarts: Int32Array.of(3),
          kLengths: Int32Array.of(700),
        };
        const firstVisible = 3 + 700 - numQueries - 29;
        const keyWidth = numKvHeads * headDim;
        const rng = createRng("poison");
        const poisoned = Float64Array.from({ length: 720 * keyWidth }, (_, i) => {
          const row = Math.floor(i / keyWidth);
          return row < firstVisible || row >= 703 ? Number.NaN : rng.normal();
        });
        const operands = { ...operandsOf(numQueries), k: poisoned, v: poisoned };
        const { scope, q, k, v, gradO } = withTensors(backend, dtype, numQueries, operands);
        using _ = scope;
        const o = attention(scope, q, k, v, { layout: slidingWindow(30)(layout), numHeads, numKvHeads });
        assert.ok(o.readSync().every(Number.isFinite), "the forward pass read a key outside the window");
        scope.backward(weightedSum(scope, o, gradO));
        for (const tensor of [q, k, v]) {
          const grad = scope.gradOf(tensor)!.readSync();
          assert.ok(grad.every(Number.isFinite), "the backward pass read a key outside the window");
          if (tensor !== q) assert.ok(grad.slice(0, firstVisible * keyWidth).every((value) => value === 0));
        }
      });

    test("a query that sees nothing has zeros for output and gradient, and gives none", () => {
      const layout: AttentionLayout = {
        ...packedLayout(Int32Array.of(0, 20)),
        visible: {
          begin: Int32Array.from({ length: 20 }, (_, i) => (i < 15 ? 0 : 20)),
          end: Int32Array.from({ length: 20 }, (_, i) => (i < 2 ? 0 : i < 15 ? 4 : 20)),
        },
      };
      const { scope, q, k, v, gradO } = withTensors(backend, dtype, 20, operandsOf(20));
      using _ = scope;
      const o = attention(scope, q, k, v, { layout, numHeads, numKvHeads });
      const output = o.readSync();
      scope.backward(weightedSum(scope, o, gradO));
      const width = numHeads * headDim;
      for (const values of [output, scope.gradOf(q)!.readSync()])
        values.forEach((value, i) => {
          const row = Math.floor(i / width);
          if (row < 2 || row >= 15) assert.equal(value + 0, 0, `row ${row} sees nothing`);
          else assert.notEqual(value, 0);
        });
      const gradV = scope.gradOf(v)!.readSync();
      gradV.forEach((value, i) => {
        assert.equal(value !== 0, i < 4 * numKvHeads * headDim, `key ${Math.floor(i / 6)}`);
      });
    });
  });

describe("gradients of attention by ranges", () => {
  for (const { name, rule } of rules)
    for (const [index, layout] of layouts.entries())
      test(`are those of finite differences: ${name}, ${index === 0 ? "packed" : "cached"}`, () => {
        const numQueries = layout.qOffsets.at(-1)!;
        checkGradients(
          gradientCase({
            title: `${name} ${index}`,
            inputs: { q: [numQueries, 4], k: [numKeyRows, 2], v: [numKeyRows, 2] },
            run: (scope, { q, k, v }) =>
              attention(scope, q, k, v, { layout: rule(layout), numHeads: 2, numKvHeads: 1 }),
          }),
        );
      });
});

describe("attention refuses", () => {
  const attend = (layout: AttentionLayout) => () => {
    using scope = new Scope(createReferenceBackend());
    const x = scope.from(new Float64Array(5 * 2), [5, 2], "f64");
    attention(scope, x, x, x, { layout, numHeads: 1, numKvHeads: 1 });
  };
  const packed = packedLayout(Int32Array.of(0, 2, 5));
  const ranges = (begin: number[], end: number[]) => ({
    ...packed,
    visible: { begin: Int32Array.from(begin), end: Int32Array.from(end) },
  });

  test("ranges of the wrong number", () => {
    assert.throws(attend(ranges([0, 0], [1, 1])), /layout.visible: expected 5 begins and ends, got 2 and 2/);
  });
  test("a key past the sequence, and says which query and sequence", () => {
    assert.throws(attend(ranges([0, 0, 0, 0, 0], [1, 2, 1, 4, 4])), /query 1 of sequence 1 \(row 3\).*≤ 3, got 0 to 4/);
    assert.throws(attend(ranges([-1, 0, 0, 0, 0], [1, 2, 1, 2, 3])), /query 0 of sequence 0 \(row 0\)/);
    assert.throws(attend(ranges([0, 0, 2, 2, 2], [1, 2, 1, 3, 3])), /query 0 of sequence 1 \(row 2\).*got 2 to 1/);
  });
  test("ranges that fall within a sequence, but not from one sequence to the next", () => {
    assert.throws(
      attend(ranges([0, 0, 1, 0, 0], [1, 2, 2, 2, 3])),
      /query 1 of sequence 1 \(row 3\).*no lower than the 1 to 2/,
    );
    assert.throws(attend(ranges([0, 0, 0, 0, 0], [2, 1, 1, 2, 3])), /query 1 of sequence 0 \(row 1\)/);
    attend(ranges([1, 1, 0, 0, 0], [2, 2, 1, 2, 3]))();
  });
  test("windows and blocks that are no number of tokens, and prefixes that do not fit the sequences", () => {
    for (const size of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => slidingWindow(size), { code: "bad-option" });
      assert.throws(() => blockCausal(size), { code: "bad-option" });
    }
    assert.throws(() => prefix(Int32Array.of(1))(packed), /expected 2 lengths, got 1/);
  });
});

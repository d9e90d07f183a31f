/** @file The block of `recipes/gated-linear-attention.ts` against its definition without a state, and its gradients. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type GatedLinearAttentionWeights, gatedLinearAttention } from "../recipes/gated-linear-attention.ts";
import { checkGradients, gradientCase } from "../src/tensor/gradient-check.ts";
import { createReferenceBackend, openBackend, Scope, type Tensor, tensorOf } from "../src/tensor/index.ts";
import { createRng } from "../src/util/index.ts";

const [numTokens, hiddenSize, numHeads, keySize, valueSize] = [7, 6, 2, 3, 4];
const offsets = Int32Array.of(0, 4, 4, 7);
const shapes = {
  q: [numHeads * keySize, hiddenSize],
  k: [numHeads * keySize, hiddenSize],
  v: [numHeads * valueSize, hiddenSize],
  alpha: [numHeads * keySize, hiddenSize],
  gate: [numHeads * valueSize, hiddenSize],
  norm: [valueSize],
  o: [hiddenSize, numHeads * valueSize],
} as const;
type Name = keyof typeof shapes;
const names = Object.keys(shapes) as Name[];

const values = (name: string, shape: readonly number[]): Float64Array => {
  const rng = createRng(`gla ${name}`);
  return Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal());
};

/** The block by its definition: every token looks at every earlier one of its sequence through the product of the gates between. */
function byDefinition(): number[] {
  const weight = (name: Name) => values(name, shapes[name]);
  const x = values("x", [numTokens, hiddenSize]);
  const project = (name: Name, t: number, row: number): number => {
    let total = 0;
    for (let d = 0; d < hiddenSize; d++) total += x[t * hiddenSize + d]! * weight(name)[row * hiddenSize + d]!;
    return total;
  };
  const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
  const gateOf = (t: number, row: number): number => sigmoid(project("alpha", t, row)) ** (1 / 16);
  const result: number[] = [];
  for (let t = 0; t < numTokens; t++) {
    const start = t < 4 ? 0 : 4;
    const joined: number[] = [];
    for (let h = 0; h < numHeads; h++) {
      const read = Array.from({ length: valueSize }, (_, e) => {
        let total = 0;
        for (let s = start; s <= t; s++)
          for (let i = 0; i < keySize; i++) {
            const row = h * keySize + i;
            let decay = 1;
            for (let u = s + 1; u <= t; u++) decay *= gateOf(u, row);
            total +=
              (project("q", t, row) / Math.sqrt(keySize)) *
              decay *
              project("k", s, row) *
              project("v", s, h * valueSize + e);
          }
        return total;
      });
      const rms = Math.sqrt(read.reduce((sum, value) => sum + value * value, 0) / valueSize + 1e-6);
      for (const [e, value] of read.entries()) {
        const gate = project("gate", t, h * valueSize + e);
        joined.push((value / rms) * weight("norm")[e]! * gate * sigmoid(gate));
      }
    }
    for (let d = 0; d < hiddenSize; d++)
      result.push(joined.reduce((sum, value, j) => sum + value * weight("o")[d * joined.length + j]!, 0));
  }
  return result;
}

describe("gated linear attention from primitives", () => {
  for (const { title, backend, dtype, tolerance } of [
    { title: "the reference backend", backend: createReferenceBackend(), dtype: "f64" as const, tolerance: 1e-10 },
    { title: "the native kernels", backend: openBackend({ warn: () => {} }), dtype: "f32" as const, tolerance: 1e-4 },
  ])
    test(`equals its definition without a state on ${title}`, () => {
      using scope = new Scope(backend);
      const tensors = Object.fromEntries(
        names.map((name) => [name, tensorOf(backend, values(name, shapes[name]), shapes[name], dtype)]),
      ) as unknown as GatedLinearAttentionWeights;
      using x = tensorOf(backend, values("x", [numTokens, hiddenSize]), [numTokens, hiddenSize], dtype);
      const got = gatedLinearAttention(scope, x, tensors, numHeads, offsets).readSync();
      const expected = byDefinition();
      for (const [i, value] of expected.entries())
        assert.ok(
          Math.abs(got[i]! - value) < tolerance * (1 + Math.abs(value)),
          `element ${i}: ${got[i]}, expected ${value}`,
        );
      for (const tensor of Object.values(tensors)) (tensor as Tensor)[Symbol.dispose]();
    });

  test("has the gradients of finite differences", () => {
    checkGradients(
      gradientCase({
        title: "gated linear attention",
        inputs: { x: [numTokens, hiddenSize], ...shapes },
        run: (scope, { x, ...weights }) => gatedLinearAttention(scope, x!, weights as never, numHeads, offsets),
      }),
    );
  });
});

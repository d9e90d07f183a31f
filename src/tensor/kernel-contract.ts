/**
 * @file The contract of a backend as tests: every kernel on sizes around every block edge, in every allowed mixture of
 * dtypes, compared with the reference backend. A backend is right when it passes; see `kernel-contract/` for the cases.
 */
import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import type { Backend } from "./backend.ts";
import { createReferenceBackend } from "./backends/reference/index.ts";
import { attentionCases } from "./kernel-contract/attention.ts";
import { batchedCases } from "./kernel-contract/batched.ts";
import { crossEntropyCases } from "./kernel-contract/cross-entropy.ts";
import { invarianceCases } from "./kernel-contract/invariance.ts";
import { loraCases } from "./kernel-contract/lora.ts";
import { mapCases } from "./kernel-contract/map.ts";
import { memoryCases } from "./kernel-contract/memory.ts";
import { productCases } from "./kernel-contract/products.ts";
import { quantisedCases } from "./kernel-contract/quantised.ts";
import { rearrangeCases } from "./kernel-contract/rearrange.ts";
import { reduceCases } from "./kernel-contract/reduce.ts";
import { rowwiseCases } from "./kernel-contract/rowwise.ts";
import { sampleCases } from "./kernel-contract/sample.ts";
import { sequenceCases } from "./kernel-contract/sequences.ts";
import { topKCases } from "./kernel-contract/top-k.ts";
import { type ContractCase, compare, type Observation, runCase } from "./kernel-contract/trial.ts";
import { visibilityCases } from "./kernel-contract/visibility.ts";

const cases: readonly ContractCase[] = [
  ...productCases,
  ...loraCases,
  ...invarianceCases,
  ...quantisedCases,
  ...attentionCases,
  ...visibilityCases,
  ...crossEntropyCases,
  ...rowwiseCases,
  ...memoryCases,
  ...sampleCases,
  ...batchedCases,
  ...topKCases,
  ...sequenceCases,
  ...mapCases,
  ...reduceCases,
  ...rearrangeCases,
];

const expectations = new Map<ContractCase, readonly Observation[]>();

function expected(contractCase: ContractCase): readonly Observation[] {
  const known = expectations.get(contractCase) ?? runCase(contractCase, createReferenceBackend());
  expectations.set(contractCase, known);
  return known;
}

/**
 * Tests that the kernels of a backend agree with the reference, and that its memory is accounted for.
 *
 * @param twins - backends that must write the same bits, say with another number of threads.
 */
export function describeKernelContract(
  name: string,
  createBackend: () => Backend,
  twins: { readonly [twin: string]: () => Backend } = {},
): void {
  describe(`${name} honours the kernel contract`, () => {
    const backend = createBackend();
    const others = Object.entries(twins).map(([twin, create]) => [twin, create()] as const);
    for (const contractCase of cases)
      test(contractCase.title, () => {
        const observed = runCase(contractCase, backend);
        compare(observed, expected(contractCase));
        for (const [twin, other] of others) compareBits(observed, runCase(contractCase, other), twin);
      });

    test("has released every tensor of the cases above", () => {
      assert.equal(backend.memory().liveTensors, 0);
      assert.equal(backend.memory().liveBytes, 0);
    });

    test("measures peaks from resetPeak on", () => {
      const before = backend.memory().liveBytes;
      backend.resetPeak();
      const data = backend.allocate("f32", 1000);
      assert.ok(backend.memory().liveBytes >= before + 4000);
      backend.release(data);
      assert.equal(backend.memory().liveBytes, before);
      assert.ok(backend.memory().peakBytes >= before + 4000);
      backend.resetPeak();
      assert.equal(backend.memory().peakBytes, before);
    });
  });
}

/** Throws unless a twin wrote the same bits. */
function compareBits(observed: readonly Observation[], others: readonly Observation[], twin: string): void {
  for (const [index, { label, values }] of observed.entries()) {
    const other = others[index]!.values;
    for (let i = 0; i < values.length; i++)
      if (!Object.is(values[i], other[i]))
        assert.fail(`${label}: element ${i} is ${values[i]}, but ${other[i]} with ${twin}`);
  }
}

import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { describeKernelContract } from "../../kernel-contract.ts";
import { createCpuBackend, nativeInstructionSets, nativeProblem } from "./index.ts";

const instructionSets = nativeInstructionSets();

if (instructionSets.length === 0) test("the cpu backend honours the kernel contract", { skip: nativeProblem() });

for (const instructionSet of instructionSets) {
  const create = (threads: number) => () => createCpuBackend({ threads, instructionSet });
  describeKernelContract(`the cpu backend with ${instructionSet}`, create(2), { "one thread": create(1) });

  test(`the instruction set that runs is the one forced: ${instructionSet}`, () => {
    assert.equal(create(1)().instructionSet, instructionSet);
  });
}

describe("createCpuBackend", () => {
  test("says how to get native kernels where there are none", { skip: instructionSets.length > 0 }, () => {
    assert.throws(() => createCpuBackend({ threads: 1 }), { code: "no-native", message: /npm run build:native/ });
  });

  test("refuses an instruction set that this machine does not have", { skip: nativeProblem() || false }, () => {
    assert.throws(() => createCpuBackend({ threads: 1, instructionSet: "abacus" }), { code: "bad-option" });
  });

  test("refuses f64, which only the reference backend stores", { skip: nativeProblem() || false }, () => {
    assert.throws(() => createCpuBackend({ threads: 1 }).allocate("f64", 4), { code: "unsupported-dtype" });
  });

  test("refuses thread counts that are not whole or not positive", { skip: nativeProblem() || false }, () => {
    for (const threads of [0, -1, 1.5, Number.NaN])
      assert.throws(() => createCpuBackend({ threads }), { code: "bad-option" });
  });
});

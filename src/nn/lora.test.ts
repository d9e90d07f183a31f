import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import {
  type Backend,
  createReferenceBackend,
  linear,
  Scope,
  sum,
  swiglu,
  type Tensor,
  tensorOf,
} from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { bankOf, LoraBank, type LoraConfig, lastBlocks } from "./lora.ts";

const layers = [
  { name: "layers.0.q_proj", inSize: 4, outSize: 6 },
  { name: "layers.0.up_proj", inSize: 4, outSize: 3 },
];
const [qProj, upProj] = layers as [(typeof layers)[0], (typeof layers)[0]];
const compute = "f32";

const config = (loraRank: number, loraAlpha = 2 * loraRank, targets: LoraConfig["targets"] = "all"): LoraConfig => ({
  loraRank,
  loraAlpha,
  targets,
});

const randomTensor = (backend: Backend, shape: readonly [number, number], label: string): Tensor => {
  const rng = createRng(label);
  return tensorOf(
    backend,
    Float32Array.from({ length: shape[0] * shape[1] }, () => rng.normal()),
    shape,
  );
};

/** Gives every live element of every adapter a random value, B included. */
function fillBank(bank: LoraBank): void {
  bank.configs.forEach((_, index) => {
    bank.initialize(index, createRng(`fill ${index}`));
    const { loraRank, loraAlpha, modules } = bank.extract(index);
    const rng = createRng(`b ${index}`);
    const filled = [...modules].map(
      ([name, { loraA, loraB }]) => [name, { loraA, loraB: loraB.map(() => rng.normal()) }] as const,
    );
    bank.insert(index, { loraRank, loraAlpha, modules: new Map(filled) });
  });
}

/** `x Wᵀ` of one layer with the adapters of `bank`, or without. */
function forward(x: Tensor, weight: Tensor, bank: LoraBank | null, segments: readonly number[]): Float32Array {
  using scope = new Scope(x.backend);
  const lora = bank?.batch(Int32Array.from(segments)).weightsFor(qProj.name) ?? null;
  return Float32Array.from(linear(scope, x, weight, { lora, compute }).readSync());
}

const assertClose = (got: ArrayLike<number>, want: ArrayLike<number>, tolerance = 1e-6): void => {
  assert.equal(got.length, want.length);
  for (let i = 0; i < want.length; i++)
    assert.ok(Math.abs(got[i]! - want[i]!) <= tolerance * (1 + Math.abs(want[i]!)), `[${i}]: ${got[i]} and ${want[i]}`);
};

/** `W + scale · B A` on the host. */
function merged(weight: Tensor, bank: LoraBank, index: number, sign = 1): Float32Array {
  const { loraRank, loraAlpha, modules } = bank.extract(index);
  const { loraA, loraB } = modules.get(qProj.name)!;
  return Float32Array.from(weight.readSync(), (value, i) => {
    const [row, column] = [Math.floor(i / qProj.inSize), i % qProj.inSize];
    let product = 0;
    for (let j = 0; j < loraRank; j++) product += loraB[row * loraRank + j]! * loraA[j * qProj.inSize + column]!;
    return value + (sign * loraAlpha * product) / loraRank;
  });
}

describe("LoRA keeps its invariants", () => {
  const backend = createReferenceBackend();
  const x = randomTensor(backend, [5, qProj.inSize], "x");
  const weight = randomTensor(backend, [qProj.outSize, qProj.inSize], "weight");

  test("a fresh adapter changes nothing, to the bit", () => {
    using bank = new LoraBank(backend, layers, [config(2)]);
    bank.initialize(0, createRng(1));
    assert.deepEqual(forward(x, weight, bank, [0, 5]), forward(x, weight, null, []));
  });

  test("in the first step B learns and A does not", () => {
    using bank = new LoraBank(backend, layers, [config(2)]);
    bank.initialize(0, createRng(1));
    bank.parameters.enableGrad();
    using scope = new Scope(backend, { grad: true });
    const lora = bank.batch(Int32Array.of(0, 5)).weightsFor(qProj.name);
    scope.backward(sum(scope, linear(scope, x, weight, { lora, compute })));
    assert.ok(
      bank.parameters
        .get(`${qProj.name}.lora_A`)
        .grad!.readSync()
        .every((value) => value === 0),
    );
    assert.ok(
      bank.parameters
        .get(`${qProj.name}.lora_B`)
        .grad!.readSync()
        .every((value) => value !== 0),
    );
  });

  test("merged weights and adapters give the same outputs, each adapter on its own rows", () => {
    using bank = new LoraBank(backend, layers, [config(1), config(3), config(2)]);
    fillBank(bank);
    const got = forward(x, weight, bank, [0, 2, 2, 5]);
    const rowsOf = (first: number, last: number, index: number): Float32Array => {
      using mergedWeight = tensorOf(backend, merged(weight, bank, index), weight.shape);
      return forward(x, mergedWeight, null, []).slice(first * qProj.outSize, last * qProj.outSize);
    };
    assertClose(got.slice(0, 2 * qProj.outSize), rowsOf(0, 2, 0), 1e-5);
    assertClose(got.slice(2 * qProj.outSize), rowsOf(2, 5, 2), 1e-5);
  });

  test("merging and taking the adapter out again returns the weights", () => {
    using bank = new LoraBank(backend, layers, [config(2)]);
    fillBank(bank);
    using mergedWeight = tensorOf(backend, merged(weight, bank, 0), weight.shape);
    assertClose(merged(mergedWeight, bank, 0, -1), weight.readSync());
  });

  test("twice the alpha is twice the change", () => {
    using single = new LoraBank(backend, layers, [config(2, 2)]);
    using double = new LoraBank(backend, layers, [config(2, 4)]);
    for (const bank of [single, double]) fillBank(bank);
    const base = forward(x, weight, null, []);
    const change = (bank: LoraBank): Float32Array =>
      forward(x, weight, bank, [0, 5]).map((value, i) => value - base[i]!);
    assertClose(
      change(double),
      change(single).map((value) => 2 * value),
      1e-5,
    );
  });

  test("without the adapter the base answers as before", () => {
    const before = forward(x, weight, null, []);
    using bank = new LoraBank(backend, layers, [config(2)]);
    fillBank(bank);
    assert.notDeepEqual(forward(x, weight, bank, [0, 5]), before);
    assert.deepEqual(forward(x, weight, null, []), before);
  });
});

describe("a bank of adapters", () => {
  test("gives back what was put in, whatever the rank and the targets of the others", () => {
    const backend = createReferenceBackend();
    using bank = new LoraBank(backend, layers, [config(1), config(3, 5, ["q_proj"]), config(2)]);
    fillBank(bank);
    const adapters = bank.configs.map((_, index) => bank.extract(index));
    assert.deepEqual([...adapters[1]!.modules.keys()], [qProj.name]);
    assert.equal(adapters[2]!.modules.get(upProj.name)!.loraB.length, 2 * upProj.outSize);
    using copy = bankOf(backend, layers, adapters);
    assert.deepEqual(
      adapters.map((_, index) => copy.extract(index)),
      adapters,
    );
    assert.deepEqual(copy.parameters.flat.readSync(), bank.parameters.flat.readSync());
  });

  test("starts A within ±in^-½ and B at zero, the same for the same seed and different per layer", () => {
    const backend = createReferenceBackend();
    using bank = new LoraBank(backend, layers, [config(2), config(2)]);
    for (const index of [0, 1]) bank.initialize(index, createRng("seed"));
    const [first, second] = [bank.extract(0), bank.extract(1)];
    assert.deepEqual(first, second);
    const { loraA, loraB } = first.modules.get(qProj.name)!;
    assert.ok(loraA.every((value) => Math.abs(value) <= 0.5) && loraA.some((value) => Math.abs(value) > 0.25));
    assert.ok(loraB.every((value) => value === 0));
    assert.notDeepEqual(first.modules.get(upProj.name)!.loraA, loraA);
  });

  test("names the runs of one adapter, which together cover the store once", () => {
    const backend = createReferenceBackend();
    using bank = new LoraBank(backend, layers, [config(1), config(3)]);
    const owners = new Float32Array(bank.parameters.flat.size);
    for (const index of [0, 1])
      for (const { offset, length } of bank.runsOf(index))
        for (let i = offset; i < offset + length; i++) owners[i]! += index + 1;
    assert.ok(owners.every((owner) => owner === 1 || owner === 2));
    bank.parameters.flat.write(owners);
    assert.ok(
      bank
        .extract(1)
        .modules.get(upProj.name)!
        .loraB.every((value) => value === 2),
    );
  });

  test("leaves the padding of lower ranks at zero under training, and rows of others alone", () => {
    const backend = createReferenceBackend();
    using bank = new LoraBank(backend, layers, [config(1), config(3)]);
    fillBank(bank);
    bank.parameters.enableGrad();
    const { flat, flatGrad } = bank.parameters;
    const x = randomTensor(backend, [4, qProj.inSize], "training x");
    const weight = randomTensor(backend, [qProj.outSize, qProj.inSize], "training weight");
    const before = [bank.extract(0), bank.extract(1)];
    using moment1 = tensorOf(backend, new Float32Array(flat.size), flat.shape);
    using moment2 = tensorOf(backend, new Float32Array(flat.size), flat.shape);
    for (const step of [1, 2, 3]) {
      bank.parameters.zeroGrad();
      using scope = new Scope(backend, { grad: true });
      const lora = bank.batch(Int32Array.of(0, 4, 4)).weightsFor(qProj.name);
      const y = linear(scope, x, weight, { lora, compute });
      scope.backward(sum(scope, swiglu(scope, y, y)));
      const segments = bank
        .runsOf(0)
        .map((run) => ({ ...run, learningRate: 0.1, weightDecay: 0.01, gradScale: 1, step }));
      const grads = flatGrad;
      backend.kernels.adamW({
        params: flat,
        grads,
        moment1,
        moment2,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        segments,
      });
    }
    const a = bank.parameters
      .get(`${qProj.name}.lora_A`)
      .readSync()
      .subarray(0, 3 * qProj.inSize);
    assert.ok(
      a.subarray(qProj.inSize).every((value) => value === 0),
      "rows 1 and 2 of A are padding",
    );
    const b = bank.parameters
      .get(`${qProj.name}.lora_B`)
      .readSync()
      .subarray(0, 3 * qProj.outSize);
    assert.ok(
      b.every((value, i) => (i % 3 === 0 ? value !== 0 : value === 0)),
      "columns 1 and 2 of B are padding",
    );
    assert.notDeepEqual(bank.extract(0), before[0]);
    assert.deepEqual(bank.extract(1), before[1]);
  });

  test("refuses adapters of another rank, of another model and of other sizes", () => {
    using bank = new LoraBank(createReferenceBackend(), layers, [config(2)]);
    const adapter = bank.extract(0);
    const withModule = (name: string, length: number) => ({
      ...adapter,
      modules: new Map([[name, { loraA: new Float32Array(length), loraB: new Float32Array(2 * qProj.outSize) }]]),
    });
    assert.throws(() => bank.insert(0, { ...adapter, loraRank: 3 }), {
      code: "adapter-mismatch",
      message: /expected rank 2 and alpha 4, got 3/,
    });
    assert.throws(() => bank.insert(0, withModule("layers.9.q_proj", 8)), /"layers.9.q_proj" is not a linear layer/);
    assert.throws(() => bank.insert(0, withModule(qProj.name, 7)), /other sizes than the model/);
  });

  test("adapts chosen blocks alone, beside an adapter of all of them", () => {
    const deep = [0, 1, 2].map((block) => ({ name: `layers.${block}.q_proj`, inSize: 4, outSize: 6 }));
    const chosen = { ...config(2), layers: lastBlocks(deep, 2) };
    using bank = new LoraBank(createReferenceBackend(), deep, [chosen, config(2)]);
    fillBank(bank);
    const [last, all] = [bank.extract(0), bank.extract(1)];
    assert.deepEqual([...last.modules.keys()], ["layers.1.q_proj", "layers.2.q_proj"]);
    assert.equal(all.modules.size, 3);
    using copy = bankOf(createReferenceBackend(), deep, [last, all]);
    assert.deepEqual([copy.extract(0), copy.extract(1)], [last, all]);
    assert.throws(() => bank.insert(0, all), /"layers.0.q_proj" is not a linear layer of this model, or not a target/);
    using alone = bankOf(createReferenceBackend(), deep, [last]);
    assert.deepEqual(
      alone.layers.map(({ name }) => name),
      ["layers.1.q_proj", "layers.2.q_proj"],
    );
  });

  test("refuses blocks that the model does not have", () => {
    const create = () => new LoraBank(createReferenceBackend(), layers, [{ ...config(2), layers: [0, 4] }]);
    assert.throws(create, {
      code: "bad-option",
      message: /LoRA layers: expected indices of the model's blocks, got 4/,
    });
    assert.throws(() => lastBlocks(layers, 2), /lastBlocks: expected 1 to 1 blocks, got 2/);
  });

  test("refuses targets that no layer has", () => {
    const create = () => new LoraBank(createReferenceBackend(), layers, [config(2, 4, ["w_nowhere"])]);
    assert.throws(create, { code: "bad-option", message: /LoRA targets: expected .* got \[\["w_nowhere"\]\]/ });
  });

  test("returns its memory", () => {
    const backend = createReferenceBackend();
    const bank = new LoraBank(backend, layers, [config(2)]);
    bank.parameters.enableGrad();
    bank[Symbol.dispose]();
    assert.equal(backend.memory().liveTensors, 0);
  });
});

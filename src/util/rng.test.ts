import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { createRng, philox, rngAt, uniformsOf } from "./rng.ts";

const hex = (words: readonly number[]): string => words.map((word) => word.toString(16).padStart(8, "0")).join(" ");

describe("Philox4x32-10 gives the known answers of the Random123 distribution", () => {
  test("for zeros", () => {
    assert.equal(hex(philox([0, 0, 0, 0], [0, 0])), "6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  });
  test("for ones", () => {
    const ones = 0xffffffff;
    assert.equal(hex(philox([ones, ones, ones, ones], [ones, ones])), "408f276d 41c83b0e a20bc7c6 6d5451fd");
  });
  test("for the digits of pi", () => {
    const counter = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const;
    assert.equal(hex(philox(counter, [0xa4093822, 0x299f31d0])), "d16cfe09 94fdcceb 5001e420 24126ea1");
  });
});

const draw = (rng: { nextUint32(): number }, count: number): number[] =>
  Array.from({ length: count }, () => rng.nextUint32());

describe("a stream", () => {
  test("repeats for the same seed and differs for another", () => {
    assert.deepEqual(draw(createRng(1), 9), draw(createRng(1), 9));
    assert.notDeepEqual(draw(createRng(1), 9), draw(createRng(2), 9));
  });

  test("does not depend on what other streams drew, nor on the order of forking", () => {
    const root = createRng("run");
    const early = draw(root.fork("rollout", 3), 6);
    draw(root, 100);
    draw(root.fork("rollout", 2), 5);
    assert.deepEqual(draw(root.fork("rollout", 3), 6), early);
    assert.notDeepEqual(draw(root.fork("rollout", 2), 6), early);
  });

  test("is named by its labels, one by one", () => {
    const root = createRng(0);
    assert.notDeepEqual(draw(root.fork("a/b"), 4), draw(root.fork("a", "b"), 4));
    assert.notDeepEqual(draw(root.fork("ab"), 4), draw(root.fork("a", "b"), 4));
    assert.notDeepEqual(draw(root.fork("1", "23"), 4), draw(root.fork("12", "3"), 4));
  });

  test("draws uniforms in [0, 1) with the mean, the variance and the independence of uniforms", () => {
    const rng = createRng("uniform");
    const values = Array.from({ length: 20_000 }, () => rng.uniform());
    assert.ok(values.every((value) => value >= 0 && value < 1));
    const mean = (items: readonly number[]): number => items.reduce((total, item) => total + item, 0) / items.length;
    assert.ok(Math.abs(mean(values) - 1 / 2) < 0.01); // five standard errors of 0.00204
    assert.ok(Math.abs(mean(values.map((value) => (value - 0.5) ** 2)) - 1 / 12) < 0.003);
    const products = values.slice(1).map((value, i) => (value - 0.5) * (values[i]! - 0.5));
    assert.ok(Math.abs(mean(products)) < 0.003); // five standard errors of 1/12/√20000
  });

  test("hands out blocks that hold the numbers it would have drawn", () => {
    const drawn = createRng("blocks");
    const taken = createRng("blocks");
    const expected = Array.from({ length: 12 }, () => drawn.uniform());
    const values: number[] = [];
    for (const count of [3, 4, 3])
      uniformsOf(taken.takeBlocks(Math.ceil(count / 2)), count, (value) => values.push(value));
    assert.deepEqual(values, [...expected.slice(0, 3), ...expected.slice(4, 8), ...expected.slice(8, 11)]);
    assert.equal(taken.uniform(), drawn.uniform());
  });

  test("draws normals with the moments of a normal", () => {
    const rng = createRng("normal");
    const values = Array.from({ length: 20_000 }, () => rng.normal());
    const moment = (power: number): number =>
      values.reduce((total, value) => total + value ** power, 0) / values.length;
    assert.ok(Math.abs(moment(1)) < 0.035);
    assert.ok(Math.abs(moment(2) - 1) < 0.05);
    assert.ok(Math.abs(moment(4) - 3) < 0.35);
  });

  test("draws every integer below a bound about equally often", () => {
    const rng = createRng("integer");
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 7000; i++) counts[rng.integer(7)]!++;
    assert.ok(
      counts.every((count) => Math.abs(count - 1000) < 150),
      counts.join(" "),
    );
  });

  test("shuffles into a permutation, leaving the list alone, each order about equally often", () => {
    const rng = createRng("shuffle");
    const items = Object.freeze([0, 1, 2]);
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const shuffled = rng.shuffle(items);
      assert.deepEqual(shuffled.toSorted(), items);
      counts.set(shuffled.join(""), (counts.get(shuffled.join("")) ?? 0) + 1);
    }
    assert.equal(counts.size, 6);
    assert.ok([...counts.values()].every((count) => Math.abs(count - 1000) < 150));
  });

  test("chooses from a list and refuses an empty one", () => {
    const rng = createRng("choice");
    const seen = new Set(Array.from({ length: 100 }, () => rng.choice(["a", "b", "c"])));
    assert.equal(seen.size, 3);
    assert.throws(() => rng.choice([]), /choice: expected at least one item, got none/);
  });

  test("goes on from a recorded position, within a block and after taking whole ones", () => {
    for (const drawn of [0, 1, 3, 4, 5, 8]) {
      const rng = createRng("state").fork("a", drawn);
      for (let i = 0; i < drawn; i++) rng.nextUint32();
      if (drawn === 5) rng.takeBlocks(2);
      const copy = rngAt(structuredClone(rng.state()));
      const next = Array.from({ length: 9 }, () => rng.nextUint32());
      assert.deepEqual(
        Array.from({ length: 9 }, () => copy.nextUint32()),
        next,
      );
      assert.equal(copy.fork("b").uniform(), rng.fork("b").uniform());
    }
  });
});

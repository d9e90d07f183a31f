import assert from "node:assert/strict";
import { test } from "node:test";
import { createReferenceBackend, Scope } from "../tensor/index.ts";
import { KvCache } from "./kv-cache.ts";

const sizes = { numRows: 8, numLayers: 2, width: 2, dtype: "f32" } as const;
const layoutOf = (sequences: readonly (readonly [start: number, queries: number, length: number])[]) => {
  const qOffsets = [0];
  for (const [, queries] of sequences) qOffsets.push(qOffsets.at(-1)! + queries);
  return {
    qOffsets: Int32Array.from(qOffsets),
    kStarts: Int32Array.from(sequences, ([start]) => start),
    kLengths: Int32Array.from(sequences, ([, , length]) => length),
  };
};

test("a pass writes each token to the row behind those of its sequence", () => {
  const backend = createReferenceBackend();
  using cache = new KvCache(backend, sizes);
  const [a, b] = [cache.allocate(3)!, cache.allocate(4)!];
  assert.deepEqual(
    [
      ...cache.extend(
        layoutOf([
          [a, 2, 2],
          [b, 1, 1],
        ]),
      ),
    ],
    [0, 1, 3],
  );
  const rows = cache.extend(
    layoutOf([
      [b, 2, 3],
      [a, 1, 3],
    ]),
  );
  assert.deepEqual([...rows], [4, 5, 2]);
  using scope = new Scope(backend);
  const [k, v] = [scope.from([1, 2, 3, 4, 5, 6], [3, 2]), scope.from([7, 8, 9, 10, 11, 12], [3, 2])];
  const { keys, values } = cache.write(1, rows, k, v);
  const stored = keys.readSync(); // rows 0, 1 and 3 were of a pass that wrote to no layer
  assert.deepEqual([...stored.subarray(4, 6), ...stored.subarray(8, 12)], [5, 6, 1, 2, 3, 4]);
  assert.deepEqual([...values.readSync().subarray(4, 6)], [11, 12]);
  assert.equal(cache.bytesPerRow, 2 * 2 * 2 * 4, "keys and values of two layers, two f32 each");
});

test("a copied prefix is in every layer, and the room of a freed sequence is given again", () => {
  const backend = createReferenceBackend();
  using cache = new KvCache(backend, sizes);
  const [a, b] = [cache.allocate(4)!, cache.allocate(4)!];
  assert.equal(cache.allocate(1), null);
  const rows = cache.extend(layoutOf([[a, 3, 3]]));
  using scope = new Scope(backend);
  for (const layer of [0, 1]) {
    const k = scope.from(
      [1, 2, 3, 4, 5, 6].map((value) => value + 10 * layer),
      [3, 2],
    );
    cache.write(layer, rows, k, k);
  }
  cache.copy(a, b, 2);
  const next = cache.extend(layoutOf([[b, 1, 3]]));
  assert.deepEqual([...next], [6]);
  for (const layer of [0, 1]) {
    const x = scope.from([-1, -2], [1, 2]);
    const { values } = cache.write(layer, next, x, x);
    const expected = [1, 2, 3, 4].map((value) => value + 10 * layer);
    assert.deepEqual([...values.readSync().subarray(8, 14)], [...expected, -1, -2]);
  }
  cache.free(a);
  assert.equal(cache.allocate(4), a);
});

test("a cache that grows keeps its sequences and gives the new room out", () => {
  const backend = createReferenceBackend();
  {
    using cache = new KvCache(backend, { ...sizes, numRows: 0 });
    assert.equal(cache.allocate(1), null);
    cache.grow(3);
    const a = cache.allocate(3)!;
    const rows = cache.extend(layoutOf([[a, 2, 2]]));
    using scope = new Scope(backend);
    const x = scope.from([1, 2, 3, 4], [2, 2]);
    for (const layer of [0, 1]) cache.write(layer, rows, x, x);
    cache.grow(7);
    assert.deepEqual([cache.numRows, cache.allocate(4)], [7, 3]);
    const next = cache.extend(layoutOf([[a, 1, 3]]));
    const y = scope.from([5, 6], [1, 2]);
    const { values } = cache.write(1, next, y, y);
    assert.deepEqual([...values.readSync().subarray(0, 6)], [1, 2, 3, 4, 5, 6]);
    assert.throws(() => cache.grow(6), /at least 7 rows, got 6/);
  }
  assert.equal(backend.memory().liveTensors, 0);
});

test("a pass that does not go on where its sequence stands is refused, and so is room that was never given", () => {
  using cache = new KvCache(createReferenceBackend(), sizes);
  const [a, b] = [cache.allocate(4)!, cache.allocate(2)!];
  cache.extend(layoutOf([[a, 3, 3]]));
  assert.throws(
    () => cache.extend(layoutOf([[a, 1, 3]])),
    /kLengths\[0\]: expected 3 cached and 1 new tokens within 4 rows, got 3/,
  );
  assert.throws(
    () =>
      cache.extend(
        layoutOf([
          [b, 1, 1],
          [a, 2, 5],
        ]),
      ),
    /kLengths\[1\]: expected 3 cached and 2 new/,
  );
  assert.deepEqual([...cache.extend(layoutOf([[b, 1, 1]]))], [4], "a refused pass leaves no sequence longer");
  assert.throws(() => cache.extend(layoutOf([[1, 1, 1]])), /expected a sequence that was allocated, got row 1/);
  cache.truncate(a, 1);
  assert.deepEqual([...cache.extend(layoutOf([[a, 2, 3]]))], [1, 2]);
  assert.throws(() => cache.truncate(a, 4), /at most 3 tokens, got 4/);
  assert.throws(() => cache.copy(a, b, 1), /to an empty sequence/);
  cache.truncate(b, 0);
  assert.throws(() => cache.copy(a, b, 3), /room for 2, got 3 tokens/);
  cache.free(b);
  assert.throws(() => cache.free(b), { code: "unknown-name" });
});

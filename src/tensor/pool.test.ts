import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { Pool } from "./pool.ts";

/** A pool and the sizes it asked for. */
function observedPool(maxPooledBytes?: number): { pool: Pool; sizes: number[] } {
  const sizes: number[] = [];
  const allocate = (numBytes: number): ArrayBuffer => {
    sizes.push(numBytes);
    return new ArrayBuffer(numBytes);
  };
  return { pool: new Pool(allocate, maxPooledBytes), sizes };
}

describe("a pool", () => {
  test("hands released memory out again, whatever the dtype", () => {
    const { pool, sizes } = observedPool();
    const first = pool.allocate("f32", 1000);
    pool.release(first);
    const second = pool.allocate("bf16", 2000);
    assert.equal(second.buffer, first.buffer);
    assert.equal(second.length, 2000);
    assert.equal(sizes.length, 1);
  });

  test("gives memory that is in use to nobody else", () => {
    const { pool } = observedPool();
    assert.notEqual(pool.allocate("f32", 10).buffer, pool.allocate("f32", 10).buffer);
  });

  test("refuses memory released twice, and memory of others", () => {
    const { pool } = observedPool();
    const data = pool.allocate("f32", 4);
    pool.release(data);
    assert.throws(() => pool.release(data), { code: "not-allocated" });
    assert.throws(() => pool.release(new Float32Array(4)), { code: "not-allocated" });
  });

  test("takes memory back through any view of it", () => {
    const { pool } = observedPool();
    pool.release(pool.allocate("f32", 100).subarray(10, 20) as Float32Array<ArrayBuffer>);
    assert.equal(pool.stats().liveTensors, 0);
  });

  test("wastes at most an eighth, and shares buffers between nearby sizes", () => {
    for (let length = 130; length < 5_000_000; length = Math.floor(length * 1.37) + 1) {
      const { pool, sizes } = observedPool();
      assert.equal(pool.allocate("f32", length).length, length);
      assert.ok(
        sizes[0]! >= length * 4 && sizes[0]! <= length * 4 * 1.125,
        `${length} elements took ${sizes[0]} bytes`,
      );
    }
    const { pool, sizes } = observedPool();
    pool.release(pool.allocate("f32", 10_000));
    pool.allocate("f32", 9_900);
    assert.equal(sizes.length, 1);
  });

  test("serves tensors without elements", () => {
    const { pool } = observedPool();
    const data = pool.allocate("f32", 0);
    assert.equal(data.length, 0);
    pool.release(data);
  });

  test("counts what is out, the peak, and what it holds", () => {
    const { pool } = observedPool();
    const [a, b] = [pool.allocate("f32", 256), pool.allocate("f64", 256)];
    assert.deepEqual(pool.stats(), { liveTensors: 2, liveBytes: 3072, peakBytes: 3072, pooledBytes: 0 });
    pool.release(a);
    assert.deepEqual(pool.stats(), { liveTensors: 1, liveBytes: 2048, peakBytes: 3072, pooledBytes: 1024 });
    pool.resetPeak();
    assert.equal(pool.stats().peakBytes, 2048);
    pool.release(b);
  });

  test("lets go of what exceeds its limit", () => {
    const { pool } = observedPool(1024);
    const [a, b] = [pool.allocate("f32", 256), pool.allocate("f32", 256)];
    pool.release(a);
    pool.release(b);
    assert.equal(pool.stats().pooledBytes, 1024);
    assert.equal(pool.stats().liveBytes, 0);
  });
});

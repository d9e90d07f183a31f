import assert from "node:assert/strict";
import { test } from "node:test";
import { createRng } from "../util/index.ts";
import { CacheRows } from "./cache-rows.ts";

test("rows are handed out first fit and merge when they come back", () => {
  const rows = new CacheRows(10);
  assert.deepEqual([rows.take(4), rows.take(3), rows.take(3)], [0, 4, 7]);
  assert.equal(rows.take(1), null);
  rows.give(0, 4);
  rows.give(7, 3);
  assert.equal(rows.take(5), null, "seven rows are free, but in two runs");
  rows.give(4, 3);
  assert.equal(rows.take(10), 0);
});

test("giving rows back twice is an error", () => {
  const rows = new CacheRows(8);
  rows.take(4);
  rows.give(0, 4);
  assert.throws(() => rows.give(0, 4), /already free/);
  assert.throws(() => rows.give(2, 1), /already free/);
});

test("no two holders ever share a row, whatever the order of calls", () => {
  const rng = createRng("cache rows");
  const rows = new CacheRows(64);
  const owner = new Int32Array(64);
  let held: { start: number; length: number }[] = [];
  for (let turn = 1; turn <= 2000; turn++) {
    const length = 1 + rng.integer(12);
    const start = rows.take(length);
    if (start !== null) {
      for (let row = start; row < start + length; row++) {
        assert.equal(owner[row], 0);
        owner[row] = turn;
      }
      held.push({ start, length });
    }
    if (start === null || rng.uniform() < 0.5) {
      const leaving = rng.choice(held);
      held = held.filter((run) => run !== leaving);
      rows.give(leaving.start, leaving.length);
      owner.fill(0, leaving.start, leaving.start + leaving.length);
    }
  }
  for (const { start, length } of held) rows.give(start, length);
  assert.equal(rows.take(64), 0, "all rows came back as one run");
});

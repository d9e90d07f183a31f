/** @file Time left on synthetic timelines: right at a steady rate, quick to follow a change, never negative or jumping. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createEta, createStagedEta } from "./eta.ts";
import { formatBytes, formatLeft } from "./format.ts";

/** What is said at each of these times, seconds, of work that has done `doneAt(time)` of `total`. */
function follow(times: readonly number[], doneAt: (time: number) => number, total: number): (number | null)[] {
  const eta = createEta();
  return times.map((time) => eta.update(doneAt(time), total, 1000 * time));
}
const every = (seconds: number, until: number) =>
  Array.from({ length: Math.round(until / seconds) + 1 }, (_, i) => i * seconds);

describe("time left", () => {
  test("is right at a steady rate, from the third second to the last", () => {
    const times = every(0.5, 100);
    for (const [index, left] of follow(times, (time) => time, 100).entries())
      if (times[index]! < 2) assert.equal(left, null);
      else assert.ok(Math.abs(left! - (100 - times[index]!)) < 0.6, `${times[index]} s: ${left}`);
  });

  test("follows when the rate falls to a half, within half a minute and without overshooting", () => {
    const times = every(1, 150);
    const said = follow(times, (time) => Math.min(time, 50 + (time - 50) / 2), 100);
    assert.ok(Math.abs(said[49]! - 51) < 2);
    assert.ok(Math.abs(said[85]! - 65) < 10, `${said[85]}`);
    for (const [index, left] of said.entries()) if (left !== null) assert.ok(left <= 1.15 * Math.max(150 - index, 51));
  });

  test("steps that come in bursts do not make it jump", () => {
    const times = every(0.25, 60);
    const said = follow(times, (time) => 5 * Math.floor(time / 5), 60).map((left) => left ?? -1);
    for (let index = times.indexOf(15); index < times.indexOf(50); index++)
      assert.ok(
        Math.abs(said[index]! - said[index - 1]!) < 4,
        `${times[index]} s: ${said[index - 1]} to ${said[index]}`,
      );
  });

  test("starts again with other work, and says nothing of no work", () => {
    const eta = createEta();
    for (let second = 0; second <= 10; second++) eta.update(second, 20, 1000 * second);
    assert.equal(eta.update(0, 20, 11_000), null);
    assert.equal(eta.update(1, 20, 12_000), null);
    assert.ok(Math.abs(eta.update(2, 20, 13_000)! - 18) < 1);
    assert.equal(eta.update(20, 20, 14_000), 0);
    assert.equal(eta.update(0, 0, 15_000), null);
    assert.equal(eta.update(Number.NaN, 5, 16_000), null);
  });

  test("is finite and not negative on any timeline", () => {
    const step = fc.record({ ms: fc.integer({ min: -50, max: 20_000 }), done: fc.integer({ min: 0, max: 9 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 200 }), (steps, total) => {
        const eta = createEta();
        let [now, done] = [0, 0];
        for (const { ms, done: more } of steps) {
          now += ms;
          done = Math.min(total, done + more);
          const left = eta.update(done, total, now);
          assert.ok(left === null || (Number.isFinite(left) && left >= 0), `${left}`);
        }
      }),
    );
  });
});

describe("time left of work in stages", () => {
  test("later stages count with what they are expected to take, corrected by how the first went", () => {
    const eta = createStagedEta({ write: 10, train: 30, ask: 10 });
    let left: number | null = null;
    for (let second = 0; second <= 20; second++) left = eta.update("write", second / 2, 10, 1000 * second); // twice as slow
    assert.ok(Math.abs(left! - 80) < 4, `${left}`);
    for (let second = 21; second <= 80; second++) left = eta.update("train", (second - 20) / 2, 30, 1000 * second);
    assert.ok(Math.abs(left! - 20) < 2, `${left}`);
    assert.equal(eta.update("unknown", 1, 2, 81_000), null);
  });

  test("stages that a resumed run finds finished do not look like speed", () => {
    const eta = createStagedEta({ write: 100, train: 100, ask: 100 });
    eta.update("write", 0, 1, 0);
    eta.update("train", 50, 100, 10);
    let left: number | null = null;
    for (let second = 1; second <= 20; second++) left = eta.update("train", 50 + second, 100, 10 + 1000 * second);
    assert.ok(Math.abs(left! - 130) < 8, `${left}`);
  });
});

test("times left and sizes as people say them", () => {
  const times = [0.2, 1, 9.4, 59.2, 61, 80, 599, 600, 3599, 3600, 5400].map(formatLeft);
  assert.deepEqual(times, ["1 s", "1 s", "10 s", "1 min", "1 min 5 s", "1 min 20 s", "10 min", "10 min", "1 h", "1 h", "1 h 30 min"]); // biome-ignore format: one line
  assert.deepEqual([0, 5e7, 1.2 * 2 ** 30].map(formatBytes), ["1 MiB", "48 MiB", "1.2 GiB"]);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { studentInterval, studentQuantile, studentWithin } from "./student.ts";

describe("Student's t", () => {
  test("quantiles are those of printed tables (two-sided)", () => {
    const printed: readonly (readonly [within: number, freedom: number, t: number])[] = [
      [0.95, 1, 12.706],
      [0.95, 2, 4.303],
      [0.95, 3, 3.182],
      [0.95, 4, 2.776],
      [0.95, 5, 2.571],
      [0.95, 9, 2.262],
      [0.95, 10, 2.228],
      [0.95, 30, 2.042],
      [0.95, 120, 1.98],
      [0.99, 1, 63.657],
      [0.99, 4, 4.604],
      [0.99, 29, 2.756],
      [0.9, 7, 1.895],
      [0.5, 3, 0.765],
    ];
    for (const [within, freedom, t] of printed)
      assert.equal(studentQuantile(within, freedom).toFixed(3), t.toFixed(3), `${within} with ${freedom}`);
  });

  test("one and two degrees of freedom have closed forms", () => {
    for (const t of [0.1, 1, 7]) {
      assert.ok(Math.abs(studentWithin(t, 1) - (2 / Math.PI) * Math.atan(t)) < 1e-15, "Cauchy");
      assert.ok(Math.abs(studentWithin(t, 2) - t / Math.sqrt(2 + t * t)) < 1e-15);
    }
    assert.throws(() => studentWithin(1, 1.5), /whole degrees of freedom/);
    assert.throws(() => studentQuantile(0.95, 0), /at least 1/);
  });

  test("an interval by hand: three runs at 64, 72 and 80", () => {
    // spread 8, standard error 8 / √3 = 4.6188, times 4.3027
    const { mean, low, high } = studentInterval([64, 72, 80])!;
    assert.equal(mean, 72);
    assert.ok(Math.abs(high - mean - 19.873) < 1e-3, `${high}`);
    assert.ok(Math.abs(mean - low - 19.873) < 1e-3);
  });

  test("one run has no interval, equal runs one of no width", () => {
    assert.equal(studentInterval([3]), null);
    assert.deepEqual(studentInterval([3, 3, 3]), { mean: 3, low: 3, high: 3 });
  });
});

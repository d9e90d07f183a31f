import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createRng } from "./rng.ts";
import { crossedComponents, type RepeatedDesign, reliability, varianceComponents } from "./variance.ts";

const near = (got: number, wanted: number, tolerance = 1e-9): void =>
  assert.ok(Math.abs(got - wanted) <= tolerance, `expected ${wanted}, got ${got}`);

/** Passages × edits × repetitions with known standard deviations. */
function simulate(sizes: readonly [number, number, number], deviations: readonly [number, number, number, number]) {
  const [numGroups, numUnits, numRepeats] = sizes;
  const [group, unit, shared, noise] = deviations;
  const rng = createRng("simulated-design");
  return Array.from({ length: numGroups }, () => {
    const centre = group * rng.normal();
    const conditions = Array.from({ length: numRepeats }, () => shared * rng.normal());
    return Array.from({ length: numUnits }, () => {
      const value = centre + unit * rng.normal();
      return conditions.map((condition) => value + condition + noise * rng.normal());
    });
  });
}

const balanced = fc.integer({ min: 2, max: 4 }).chain((numRepeats) =>
  fc.array(
    fc.array(fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: numRepeats, maxLength: numRepeats }), {
      minLength: 2,
      maxLength: 5,
    }),
    { minLength: 2, maxLength: 6 },
  ),
);

describe("variance components", () => {
  test("of one group by hand: means 1 and 5, variance 2 in each", () => {
    const { between, within } = varianceComponents([
      [
        [0, 2],
        [4, 6],
      ],
    ]);
    assert.deepEqual([within, between], [2, 8 - 2 / 2]);
  });

  test("of unequal repetitions by hand: three of one unit, one of the other", () => {
    const { between, within } = varianceComponents([[[1, 2, 3], [6]]]);
    assert.equal(within, 1); // two degrees of freedom, sum of squares 2
    near(between, 8 - (1 / 3 + 1) / 2); // means 2 and 6
  });

  test("recover the variances that made the data, nested and crossed", () => {
    const nested = varianceComponents(simulate([4000, 5, 3], [0.5, 0.3, 0, 0.6]));
    near(nested.groups, 0.25, 0.02);
    near(nested.between, 0.09, 0.01);
    near(nested.within, 0.36, 0.01);
    const crossed = crossedComponents(simulate([4000, 5, 3], [0.5, 0.3, 0.4, 0.2]));
    near(crossed.groups, 0.25, 0.02);
    near(crossed.between, 0.09, 0.01);
    near(crossed.shared, 0.16, 0.01);
    near(crossed.within, 0.04, 0.002);
  });

  test("stay unbiased when repetitions are unequal", () => {
    const cut = simulate([6000, 4, 4], [0.5, 0.3, 0, 0.6]).map((units) =>
      units.map((values, index) => values.slice(0, index + 1)),
    );
    const { between, within, groups } = varianceComponents(cut);
    near(groups, 0.25, 0.02);
    near(between, 0.09, 0.012);
    near(within, 0.36, 0.012);
  });

  test("do not depend on order or origin, and scale with the square of the unit", () => {
    fc.assert(
      fc.property(balanced, fc.double({ min: -5, max: 5, noNaN: true }), (design, shift) => {
        const moved: RepeatedDesign = [...design]
          .reverse()
          .map((units) =>
            [...units].reverse().map((values) => [...values].reverse().map((value) => 3 * value + shift)),
          );
        for (const components of [varianceComponents, crossedComponents]) {
          const [before, after] = [components(design), components(moved)];
          for (const key of ["between", "within", "groups"] as const) near(after[key], 9 * before[key], 1e-6);
        }
      }),
    );
  });

  test("say NaN for what a design cannot tell", () => {
    const { between, within, groups } = varianceComponents([[[1], [2]]]);
    assert.deepEqual([between, within, groups], [Number.NaN, Number.NaN, Number.NaN]);
    assert.equal(varianceComponents([[[1, 3]]]).within, 2);
    assert.ok(Number.isNaN(varianceComponents([[[1, 3]]]).between));
  });

  test("of a crossed design refuse unequal repetitions", () => {
    assert.throws(() => crossedComponents([[[1, 2], [1]]]), /expected 2 measurements.*got 1/);
  });
});

describe("reliability", () => {
  test("by hand, and more repetitions follow Spearman and Brown", () => {
    near(reliability({ between: 7, within: 2, groups: 0 }), 7 / 9);
    fc.assert(
      fc.property(
        fc.double({ min: 1e-3, max: 9, noNaN: true }),
        fc.double({ min: 0, max: 9, noNaN: true }),
        (between, within) => {
          const one = reliability({ between, within, groups: 0 });
          for (const k of [2, 3, 10])
            near(reliability({ between, within, groups: 0 }, k), (k * one) / (1 + (k - 1) * one));
        },
      ),
    );
  });

  test("is 0 without signal and NaN without knowledge", () => {
    assert.equal(reliability({ between: -0.1, within: 1, groups: 0 }), 0);
    assert.equal(reliability({ between: 0, within: 0, groups: 0 }), 0);
    assert.ok(Number.isNaN(reliability({ between: 1, within: Number.NaN, groups: 0 })));
  });

  test("is the correlation of a measurement with its repetition", () => {
    const design = simulate([6000, 4, 2], [0.5, 0.4, 0, 0.5]);
    const centred = design.flatMap((units) => {
      const centre = [0, 1].map((r) => units.reduce((total, unit) => total + unit[r]!, 0) / units.length);
      return units.map((unit) => [unit[0]! - centre[0]!, unit[1]! - centre[1]!] as const);
    });
    const dot = (a: 0 | 1, b: 0 | 1) => centred.reduce((total, pair) => total + pair[a] * pair[b], 0);
    near(reliability(varianceComponents(design)), dot(0, 1) / Math.sqrt(dot(0, 0) * dot(1, 1)), 0.01);
  });

  test("rises when a common disturbance is taken out", () => {
    const design = simulate([500, 5, 3], [0.5, 0.3, 0.5, 0.2]);
    near(reliability(crossedComponents(design)), 0.09 / (0.09 + 0.04), 0.03);
    assert.ok(reliability(varianceComponents(design)) < 0.35);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compact, expand, type JsonValue, roundNumbers } from "./compact.ts";

const key = fc.constantFrom("a", "b", "c");
const scalar = fc.oneof(
  fc.constantFrom(null, true, "x", "y", ""),
  fc.integer(),
  fc.integer({ min: 0, max: 12 }).map((count) => count / 12),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
);
const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("tree"), { maxLength: 5 }),
    fc.dictionary(key, tie("tree"), { maxKeys: 3 }),
  ),
}));

describe("records in short", () => {
  test("any JSON comes back as it was, through text as well", () => {
    fc.assert(
      fc.property(tree, (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as JsonValue;
        assert.deepEqual(expand(JSON.parse(JSON.stringify(compact(plain))) as JsonValue), plain);
      }),
      { numRuns: 500 },
    );
  });

  test("records become columns, equal values one, shares counts, names places", () => {
    const rows = [0.25, 1, 1 / 3, 0].map((share, index) => ({
      arm: index < 2 ? "raw" : "rule",
      share,
      seed: 3,
      at: { x: index },
    }));
    assert.deepEqual(compact(rows), {
      ...{ $rows: 4, arm: { $of: ["raw", "rule"], $at: [0, 0, 1, 1] } },
      share: { $over: 12, $at: [3, 12, 4, 0] },
      seed: { $same: 3, $times: 4 },
      at: { $rows: 4, x: [0, 1, 2, 3] },
    });
  });

  test("unlike records stay a list, and names that would be misread are refused", () => {
    assert.deepEqual(compact([{ a: 1 }, { b: 2 }]), [{ a: 1 }, { b: 2 }]);
    assert.throws(() => compact([{ $at: 1 }, { $at: 2 }]), /do not begin with "\$"/);
    assert.throws(() => compact({ $rows: 1 }), /got "\$rows"/);
  });

  test("rounding keeps whole numbers and as many digits as asked", () => {
    assert.deepEqual(roundNumbers({ a: [1234567, 0.123456789, null] }, 3), { a: [1234567, 0.123, null] });
  });
});

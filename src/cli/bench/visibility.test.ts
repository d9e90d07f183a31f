import assert from "node:assert/strict";
import { test } from "node:test";
import { packedLayout } from "../../tensor/index.ts";
import { parseVisibility, visibilityOf } from "./visibility.ts";

const ends = async (text: string): Promise<readonly number[] | null> => {
  const rule = await visibilityOf(parseVisibility(text));
  const { visible } = rule(packedLayout(Int32Array.of(0, 5)));
  return visible ? [...visible.begin, ...visible.end] : null;
};

test("the five rules by name", async () => {
  assert.equal(await ends("causal"), null);
  assert.deepEqual(await ends("full"), [0, 0, 0, 0, 0, 5, 5, 5, 5, 5]);
  assert.deepEqual(await ends("sliding:2"), [0, 0, 1, 2, 3, 1, 2, 3, 4, 5]);
  assert.deepEqual(await ends("block:2"), [0, 0, 0, 0, 0, 2, 2, 4, 4, 5]);
  assert.deepEqual(await ends("prefix:3"), [0, 0, 0, 0, 0, 3, 3, 3, 4, 5]);
});

test("anything else is refused", () => {
  for (const text of ["", "half", "sliding", "sliding:0", "sliding:-1", "block:1.5", "full:3", "prefix:x", "causal "])
    assert.throws(() => parseVisibility(text), /Expected causal, full, sliding:512/);
});

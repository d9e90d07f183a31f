import assert from "node:assert/strict";
import { test } from "node:test";
import { medianOf, summarize, toMarkdown } from "./statistics.ts";

test("the median is the middle value, or the mean of the two middle ones", () => {
  assert.equal(medianOf([9, 1, 5]), 5);
  assert.equal(medianOf([4, 1, 2, 9]), 3);
  assert.throws(() => medianOf([]), /at least one value/);
});

test("the spread is the range over the median", () => {
  assert.deepEqual(summarize([8, 10, 13]), { values: [8, 10, 13], median: 10, spread: 0.5 });
});

test("the table has one row per comparison with both programs' figures and memory", () => {
  const comparison = {
    name: "decode",
    unit: "tokens/s",
    selkie: summarize([100, 120, 110]),
    peer: summarize([50, 55, 52]),
    ratio: 2.1154,
    selkiePeakMib: 300.4,
    peerPeakMib: 900,
  };
  assert.equal(
    toMarkdown([comparison], "PyTorch").split("\n")[2],
    "| decode | tokens/s | 110 | 18 % | 52.0 | 10 % | **2.12** | 300 | 900 |",
  );
});

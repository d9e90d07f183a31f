/** @file What `bench` prints where nobody asked for JSON. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFigures } from "./figures.ts";

test("figures are lines of names and values, and what is nested is left to the table of the profile", () => {
  const text = describeFigures({ engine: "selkie 1", tokens_per_s: 12.5, batch: 3, profile: [{ kernel: "gemm" }] });
  assert.equal(text, "engine        selkie 1\ntokens per s  12.5\nbatch         3");
});

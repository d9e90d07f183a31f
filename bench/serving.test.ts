/** @file The measurement of serving measures something. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { measureServing } from "./serving.ts";

test("opening and serving are timed on a store that serves", async () => {
  const { numRecords, openMs, serveMs } = await measureServing(2, 2);
  assert.equal(numRecords, 2);
  assert.ok(openMs > 0 && serveMs > 0, `${openMs} ${serveMs}`);
});

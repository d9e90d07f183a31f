/** @file No change of the trainers may change a result: recorded loss curves and weights, to the bit. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createReferenceBackend } from "../src/tensor/index.ts";
import { type RecordedRun, recordedRuns } from "./support/training-runs.ts";

const records: Record<string, RecordedRun> = JSON.parse(
  readFileSync(new URL("./oracles/fixtures/training-runs.json", import.meta.url), "utf8"),
);

test("every run is on record", () => {
  assert.deepEqual(Object.keys(records), Object.keys(recordedRuns));
});

for (const [name, run] of Object.entries(recordedRuns))
  test(`${name}: the recorded losses and weights, to the bit`, async () => {
    const { losses, weights } = await run(createReferenceBackend());
    assert.deepEqual(losses, records[name]!.losses);
    assert.equal(weights, records[name]!.weights);
  });

/**
 * @file Records the loss curves and the digests of the final weights of the runs in test/support/training-runs.ts, on the
 * reference backend, whose arithmetic is the same on every machine. Run this only when a result is meant to change:
 *
 *     npx node test/oracles/record-training-runs.ts > test/oracles/fixtures/training-runs.json
 */
import { createReferenceBackend } from "../../src/tensor/index.ts";
import { type RecordedRun, recordedRuns } from "../support/training-runs.ts";

const records: Record<string, RecordedRun> = {};
for (const [name, run] of Object.entries(recordedRuns)) records[name] = await run(createReferenceBackend());
process.stdout.write(`${JSON.stringify(records, null, 1)}\n`);

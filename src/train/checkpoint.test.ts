/** @file Training states that somebody else wrote; that exact resume works is tested with the trainers. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { digestOf, runKey } from "../registry/index.ts";
import { createReferenceBackend, tensorOf } from "../tensor/index.ts";
import { loadLatestCheckpoint, saveCheckpoint } from "./checkpoint.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-checkpoint-"));
after(() => rmSync(root, { recursive: true, force: true }));
process.env["XDG_CONFIG_HOME"] = join(root, "config");

test("a training state that somebody else changed and gave a fitting digest is refused; a torn one is passed over", () => {
  const weights = tensorOf(createReferenceBackend(), [1, 2, 3], [3]);
  const state = { step: 4, fingerprint: "f" };
  const path = saveCheckpoint(join(root, "training"), state, { weights });
  assert.notEqual(runKey(), null);
  assert.equal(loadLatestCheckpoint(join(root, "training"), "f", { weights })?.step, 4);
  const bytes = readFileSync(path);
  const dataStart = 8 + Number(bytes.readBigUInt64LE());
  const changed = Buffer.from(bytes);
  changed.writeFloatLE(100, dataStart);
  writeFileSync(path, changed);
  assert.equal(loadLatestCheckpoint(join(root, "training"), "f", { weights }), null, "as after a kill");
  const digestOfState = (file: Buffer) => digestOf(JSON.stringify(state), file.subarray(dataStart));
  const forged = Buffer.from(
    changed.toString("latin1").replace(digestOfState(bytes), digestOfState(changed)),
    "latin1",
  );
  writeFileSync(path, forged);
  assert.throws(() => loadLatestCheckpoint(join(root, "training"), "f", { weights }), {
    code: "run-changed",
    message: /not written by a training under this person's key/,
  });
});

/** @file What the grader says of a gate that is none; what it decides is in `src/cli/registry.test.ts`. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { putRecord } from "../../test/support/store-steps.ts";
import { checkGate, defaultGate } from "../adapt/index.ts";
import { type Json, openStore } from "../registry/index.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-grader-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const { signal } = new AbortController();
const { minGain: _, ...incomplete } = defaultGate.thresholds;

const gates: readonly (readonly [what: string, gate: unknown, said: RegExp])[] = [
  ["nothing in it", {}, /gate: expected a whole gate, got thresholds: .*received undefined.*; pass defaultGate/],
  ["no gate", null, /gate: expected a whole gate, got as a whole: .*received null/],
  ["a field missing", { ...defaultGate, thresholds: incomplete }, /got thresholds\.minGain: .*received undefined/],
  [
    "an odd field",
    { ...defaultGate, budgets: { ...defaultGate.budgets, maxRank: "64" } },
    /budgets\.maxRank: .*string/,
  ],
  ["an unknown field", { ...defaultGate, treshholds: {} }, /treshholds/],
];

test("store.promote and store.examine refuse a gate with what is wrong in it, and change nothing", async () => {
  using store = openStore(join(folder, "store"), { clock: Date.now, create: true });
  const id = putRecord(store, "x");
  store.sealCanaries(store.get(id).base!, '{"question":"Who?","answer":"Ann"}\n');
  for (const [what, gate, message] of gates.slice(0, 3)) {
    const options = { gate: gate as Json, modelDirectory: folder, signal };
    await assert.rejects(store.promote(id, options), { code: "bad-option", message }, what);
  }
  await assert.rejects(store.examine(id, { gate: {}, modelDirectory: folder, signal }), { code: "bad-option" });
  assert.deepEqual([store.get(id).state, store.get(id).verdict], ["candidate", null]);
});

test("a gate is whole, and knows its fields and their bounds", () => {
  for (const [what, gate, message] of gates)
    assert.throws(() => checkGate(gate, "gate"), { code: "bad-option", message }, what);
  assert.deepEqual(checkGate(JSON.parse(JSON.stringify(defaultGate)), "gate"), defaultGate);
});

/** @file What is said where the model that records belong to was changed in place. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { lineageOf, openTestStore, promoteTold } from "../../test/support/store-steps.ts";
import { writeTinyModel } from "../../test/support/tiny-model.ts";
import { loadEngine } from "../engine/index.ts";
import { digestCheckpoint } from "../models/index.ts";
import { readAdapter } from "./adapter.ts";
import { requireDigest } from "./policies.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-changed-model-"));
process.env["XDG_CONFIG_HOME"] = join(folder, "config"); // no pin of a test's store in anybody's own folder
after(() => rmSync(folder, { recursive: true, force: true }));

test("a base model that was changed in place is refused with the verb that names the file", async () => {
  const model = await writeTinyModel(folder);
  const base = await digestCheckpoint(model);
  const directory = join(folder, "store");
  {
    using store = openTestStore(directory, { clock: Date.now, create: true });
    const { id } = store.put({ lineage: { ...lineageOf("x"), base }, files: new Map([["weights", "w"]]) });
    await promoteTold(store, id);
  }
  writeFileSync(join(model, "chat_template.jinja"), "{{ messages }}");
  const said = { code: "adapter-mismatch", message: /changed in place, selkie registry verify names the file/ };
  await assert.rejects(requireDigest(model, base, "gate"), said);
  await using engine = await loadEngine(model, { threads: 1 });
  await assert.rejects(readAdapter("@current", engine.model, { store: directory }), said);
});

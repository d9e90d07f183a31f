/** @file Tables again from their record: the same to the digit, others where the record is another, and clear refusals. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { meanOver, meanOverSeeds, type SeedTable } from "../../lab/index.ts";
import { createRun } from "../../registry/index.ts";
import type { Experiment } from "./experiment.ts";
import { complete, readRecord, recompute, recordFile } from "./recompute.ts";
import { createStageClock } from "./stage-clock.ts";
import { writeReport } from "./write.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-recompute-"));
after(() => rmSync(folder, { recursive: true }));

const experiment: Experiment = {
  ...{ name: "toy", summary: "", config: () => null },
  run: () => Promise.reject(new Error("no model here")),
  async tabulate({ scores }: { readonly scores: SeedTable }) {
    const cells = [meanOver(scores, "toy"), meanOverSeeds(scores)];
    const columns = ["right", "t over seeds"].map((name) => ({ name, unit: "percent" as const }));
    return { tables: [{ title: "Toy", caption: "", columns, rows: [{ name: "all", cells }], drawn: "right" }] };
  },
};
const scores = [1, 2, 3].map((seed) => Array.from({ length: 12 }, (_, index) => ((seed * index) % 12) / 12));
const origin = { command: "selkie experiment toy", machine: "none", seconds: 3, stages: { trials: 2 }, split: "test" };

describe("recompute", () => {
  test("gives every figure again, intervals included, and notices a table that is not the record's", async () => {
    const report = await complete(experiment, { record: { scores }, rewards: { loops: [] }, data: { note: [1, 2] } });
    writeReport(folder, "toy", origin, report);
    recordFile(folder, "toy", "toy", origin, report);
    const files = ["toy.json", "toy.md", "toy.svg"].map((file) => join(folder, file));
    const before = files.map((file) => readFileSync(file, "utf8"));
    const again = await recompute(experiment, folder, "toy");
    assert.ok(again.isSame);
    assert.match(again.text, /every figure is what it was$/);
    assert.deepEqual(
      files.map((file) => readFileSync(file, "utf8")),
      before,
      "files too, figures that no table shows among them",
    );
    assert.match(before[1]!, /read the test set\n\nTime by part: trials 2\.0 s/);
    const wrong = before[0]!.replace(/"mean": 0\.\d/, '"mean": 0.9');
    writeFileSync(files[0]!, wrong);
    const mended = await recompute(experiment, folder, "toy");
    assert.ok(!mended.isSame);
    assert.equal(readFileSync(files[0]!, "utf8"), before[0]);
  });

  test("refuses what is no record of this experiment, and says where records come from", async () => {
    await assert.rejects(
      recompute(experiment, join(folder, "none"), "toy"),
      /toy\.trials\.json: expected the record .* run the experiment first/,
    );
    for (const text of ["{", "{}", '{"experiment": "toy", "version": 99, "origin": {}}']) {
      writeFileSync(join(folder, "odd.trials.json"), text);
      assert.throws(() => readRecord(join(folder, "odd.trials.json")), { code: "bad-input" });
    }
    await assert.rejects(
      recompute({ ...experiment, name: "other" }, folder, "toy"),
      /a record of other, got one of toy/,
    );
  });

  test("a record without an experiment that tabulates it is refused", async () => {
    const { tabulate: _tabulate, ...mute } = experiment;
    await assert.rejects(complete(mute, { record: {}, data: {} }), /expected tables, got a record alone/);
  });
});

test("a clock takes the time of stages that are computed, by part, across processes", async () => {
  using run = createRun(folder, { kind: "clock", config: null, inputs: {}, seed: 0 });
  const values = new Map<string, unknown>();
  const store = {
    read: async (name: string) => values.get(name) ?? null,
    write: async (name: string, value: unknown) => void values.set(name, value),
  };
  let now = 0;
  const runOnce = async (names: readonly string[]) => {
    using clock = createStageClock(run, store, () => now);
    for (const name of names) {
      if ((await clock.store.read(name)) !== null) continue;
      now += 2000;
      await clock.store.write(name, 1);
    }
    clock.add("outer loops", 7);
    return clock.seconds();
  };
  assert.deepEqual(await runOnce(["pronoun/seed-0/raw/0/held-out/60"]), { "outer loops": 7, "pronoun/raw": 2 });
  const names = ["pronoun/seed-0/raw/0/held-out/60", "pronoun/seed-1/raw/1/held-out/0", "named/seed-1/rule-2"];
  assert.deepEqual(await runOnce(names), { "outer loops": 7, "pronoun/raw": 4, "named/rule-2": 2 });
});

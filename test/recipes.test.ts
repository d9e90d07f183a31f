/** @file Every long experiment, for two steps: the nano recipe and the results tables, on a model too small to learn. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { defaultSettings, loadCanaries, loadPrompts, stagesOf } from "../src/adapt/index.ts";
import { measureFormats, tabulateFormats } from "../src/cli/experiments/formats.ts";
import { describeResultTable } from "../src/cli/experiments/write.ts";
import { arithmeticOf, loadEngine } from "../src/engine/index.ts";
import { nanoRecipe, type PretrainArgs, pretrainNano, runMainJobTable } from "../src/lab/index.ts";
import { f32Precision } from "../src/models/index.ts";
import { createRun } from "../src/registry/index.ts";
import { createWorld } from "../src/tasks/index.ts";
import { openBackend } from "../src/tensor/index.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-recipes-"));
after(() => rmSync(folder, { recursive: true }));
const backend = openBackend();
const directory = join(folder, "nano");

describe("recipes run", () => {
  test("pretrain nano: killed after one step and resumed, the checkpoint has the same digest", async () => {
    const recipe = {
      ...nanoRecipe(),
      vocabSize: 400,
      tokenizerDocuments: 50,
      hiddenSize: 16,
      intermediateSize: 24,
      numLayers: 1,
      numHeads: 2,
      steps: 2,
      tokensPerStep: 1500,
      measuredPeople: 1,
    };
    const args = (name: string): PretrainArgs => ({
      backend,
      precision: f32Precision,
      recipe,
      directory: join(folder, name),
      workDirectory: join(folder, `${name}-work`),
    });
    const whole = await pretrainNano(args("nano"));
    const stop = new AbortController();
    const halted = await pretrainNano({ ...args("halted"), signal: stop.signal, onProgress: () => stop.abort() });
    assert.equal(halted, null, "stopped between the steps");
    assert.equal((await pretrainNano(args("halted")))?.digest, whole?.digest);
    const side = JSON.parse(readFileSync(join(directory, "selkie.json"), "utf8")) as { digest: string; recipe: object };
    assert.deepEqual([side.digest, side.recipe], [whole?.digest, recipe]);
  });

  test("main-job table: two people, two edits; a second call reads every stage and gives the same table", async () => {
    await using engine = await loadEngine(directory, { precision: "f32" });
    using run = createRun(folder, { kind: "test", config: null, inputs: {}, seed: 0 });
    const args = {
      engine,
      templates: await loadPrompts(directory),
      canaries: await loadCanaries(directory, 2),
      people: createWorld().test.slice(0, 2),
      numEdits: 2,
      innerLoop: { ...defaultSettings.innerLoop, epochs: 1 },
      seed: 1,
      bankSize: 5,
      store: stagesOf(run),
    };
    const table = await runMainJobTable(args);
    assert.deepEqual(table.rows.map(({ name }) => name).slice(0, 4), [
      "base",
      "raw passage",
      "one self-edit",
      "best of 2",
    ]);
    assert.equal(table.rows[1]?.overRaw.mean, 0, "the raw passage does not differ from itself");
    assert.equal(table.rows[4]?.meanDocuments, 2, "the passage as often as there are edits");
    assert.equal(table.rows[5]?.meanDocuments, 7, "six facts and the passage");
    assert.deepEqual(await runMainJobTable(args), table);
  });

  test("quantisation table: every format is measured, and f32 does not differ from itself", async () => {
    using run = createRun(folder, { kind: "test", config: "quantisation", inputs: {}, seed: 0 });
    const rows = await measureFormats({
      modelDirectory: directory,
      arithmetic: await arithmeticOf(),
      numTexts: 3,
      numPeople: 1,
      seed: 0,
      seconds: 0.01,
      size: "nano",
      store: stagesOf(run),
      signal: new AbortController().signal,
      onEvent: () => {},
    });
    assert.deepEqual(
      rows.map(({ format }) => format),
      ["f32", "bf16", "int8", "nf4"],
    );
    const weights = rows.map(({ speeds }) => speeds["decode, batch 1"].weightsMib);
    assert.ok(
      weights.every((mib, index) => index === 0 || mib < weights[index - 1]!),
      weights.join(),
    );
    const [f32, ...others] = rows.map(({ accuracy }) => accuracy.fidelity);
    assert.deepEqual([f32!.meanAbsoluteDifferenceNats, f32!.top1Agreement], [0, 1]);
    for (const { meanAbsoluteDifferenceNats } of others) assert.ok(meanAbsoluteDifferenceNats > 0);
    assert.match(tabulateFormats(rows, "nano", "m").map(describeResultTable).join(), /^\| nf4 \|/m);
  });
});

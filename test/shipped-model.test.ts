/** @file What ships is what its manifest says: the weights, what they know, and the examples they have never read. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { accuracy, examine, loadCanaries, loadKnown, loadPrompts } from "../src/adapt/index.ts";
import { loadEngine } from "../src/engine/index.ts";
import { nanoRecipe } from "../src/lab/index.ts";
import { digestCheckpoint } from "../src/models/index.ts";
import { createWorld, examinationPassage } from "../src/tasks/index.ts";
import { repositoryRoot } from "./support/source.ts";

const directory = join(repositoryRoot, "models", "nano");
const manifest = JSON.parse(readFileSync(join(directory, "selkie.json"), "utf8")) as {
  digest: string;
  recipe: object;
};

describe("the shipped model", () => {
  test("has the digest and the recipe of its manifest, and at most 16 MiB", async () => {
    assert.equal(await digestCheckpoint(directory), manifest.digest);
    assert.deepEqual(manifest.recipe, nanoRecipe());
    const numBytes = readdirSync(directory).reduce((total, name) => total + statSync(join(directory, name)).size, 0);
    assert.ok(numBytes <= 16 * 2 ** 20, `${numBytes} bytes`);
  });

  test("answers its canaries, in f32 as in the bf16 it was trained in", async () => {
    await using engine = await loadEngine(directory, { precision: "f32" });
    const { items } = await loadCanaries(directory);
    assert.equal(items.length, 240);
    const room = { engine, templates: await loadPrompts(directory) };
    const [answers] = await examine(room, [{ adapter: null, items }]);
    // drawn from what it answered right in the precision it was measured in; another one may tip what was close
    assert.ok(accuracy(answers!)! >= 0.97, `${accuracy(answers!)}`);
  });
});

test("what the model knows lies beside it, and the canaries are among that", async () => {
  const known = new Set((await loadKnown(directory)).map(({ question }) => question));
  assert.ok(known.size > 2500, `${known.size}`);
  for (const { question } of (await loadCanaries(directory)).items) assert.ok(known.has(question), question);
});

test("the examples are passages of the validation split, as the generator writes them today", () => {
  const folder = join(repositoryRoot, "examples", "documents");
  const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8").trim());
  const passages = createWorld()
    .validation.slice(0, texts.length)
    .map((person) => examinationPassage(person, "report").context);
  assert.deepEqual(texts.toSorted(), passages.toSorted());
});

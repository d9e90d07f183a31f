import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { chooseNear, formatKnown, knownFile, loadKnown, parseKnown } from "./near.ts";

const known = [
  { question: "Where was Ivo Brand born?", answer: "Harle", title: "" },
  { question: "What was the trade of Ivo Brand?", answer: "potter", title: "" },
  { question: "Who employed Mara Stone?", answer: "Keel Mills", title: "" },
  { question: "When was Lena Fox born?", answer: "1911", title: "" },
  { question: "Where was Nils Ode born?", answer: "Tarn", title: "" },
];

describe("known facts near new passages", () => {
  test("are those that share names and values, the rarest first", () => {
    const near = chooseNear(known, ["Owen Brand was born in Harle in 1911."], 10);
    assert.deepEqual(
      near.map(({ question }) => question),
      ["Where was Ivo Brand born?", "When was Lena Fox born?", "What was the trade of Ivo Brand?"],
    );
    assert.equal(chooseNear(known, ["Owen Brand was born in Harle in 1911."], 1).length, 1);
  });

  test("leave out what shares nothing but ways of speaking, and what is asked already", () => {
    assert.deepEqual(chooseNear(known, ["The kettle was made in Oslo; who employed its designer?"], 10), []);
    const left = chooseNear(known, ["Mara Stone"], 10, ["Who employed Mara Stone?"]);
    assert.deepEqual(left, []);
  });

  test("come from known.jsonl, and a model without one has none", async (t) => {
    const directory = mkdtempSync(join(tmpdir(), "selkie-known-"));
    t.after(() => rmSync(directory, { recursive: true }));
    assert.deepEqual(await loadKnown(directory), []);
    writeFileSync(join(directory, knownFile), formatKnown(known));
    assert.deepEqual(await loadKnown(directory), known);
    assert.throws(() => parseKnown('{"question": "Who?"}', "k"), { message: /k, line 1: expected .*"answer"/ });
  });
});

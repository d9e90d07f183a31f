/** @file The entrance of `adapt`, from the real command line: what is read, what is refused before any work, what is said first. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createLlama, f32Precision, plainLlama, saveCheckpoint, trainByteLevelBpe } from "../models/index.ts";
import { nativeInstructionSets, openBackend } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";

const mainFile = fileURLToPath(new URL("main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "selkie-entrance-"));
after(() => rmSync(folder, { recursive: true }));

const put = (name: string, content: string): string => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
  return name;
};

/** A random model of so many positions, with a tokenizer of about a byte a token. */
async function makeModel(maxSeqLen: number): Promise<string> {
  const json = trainByteLevelBpe(["the mill is old and the mill is wide"], {
    vocabSize: 300,
    specialTokens: ["<end>"],
  });
  using lm = createLlama(
    openBackend(),
    {
      ...plainLlama,
      vocabSize: 300,
      hiddenSize: 16,
      intermediateSize: 24,
      numLayers: 1,
      numHeads: 2,
      numKvHeads: 2,
      headDim: 8,
      maxSeqLen,
    },
    f32Precision,
    { rng: createRng(maxSeqLen) },
  );
  const directory = join(folder, `model-${maxSeqLen}`);
  await saveCheckpoint(directory, { lm, tokenizer: { json } });
  return directory;
}

function run(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", mainFile, ...args], { cwd: folder });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

interface Told {
  readonly report: {
    readonly passages: readonly { id: string; exam: string; answers: readonly { question: string }[] }[];
  };
  readonly documents: { readonly numDocuments: number; readonly leftOut: readonly { path: string; reason: string }[] };
  readonly familiarity: { readonly isForeign: boolean; readonly bitsPerByte: number };
}

const skip = nativeInstructionSets().length === 0 ? "native kernels are not built; too slow without" : false;

describe("adapt with a short context", { skip }, () => {
  const text = put("mill.txt", "The mill of Orrin is old and wide. ".repeat(30));
  test("cuts passages to what leaves room for an edit, and says so", async () => {
    const model = await makeModel(512);
    const { code, stdout, stderr } = await run([
      "adapt",
      text,
      "--edits",
      "1",
      "--epochs",
      "1",
      "--model",
      model,
      "--json",
    ]);
    assert.ok(code === 0 || JSON.parse(stdout).report !== undefined, stderr); // a rejection may have an exit code of its own
    assert.match(stderr, /the model reads 512 tokens at once: passages have at most \d+/);
    assert.ok((JSON.parse(stdout) as Told).report.passages.length > 2);
  });
  test("too short for any passage is refused before any work, with the way out", async () => {
    const model = await makeModel(128);
    const { code, stderr } = await run(["adapt", text, "--model", model]);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /expected max_position_embeddings of at least \d+ .* got 128; take a model with a longer context/,
    );
    assert.ok(!existsSync(join(folder, "runs", "lock")));
  });
});

describe("adapt reads a folder as people keep it", { skip }, () => {
  test("questions beside the documents, output and other kinds in between; it says what suits the model", async () => {
    const model = await makeModel(1024);
    const line = (passage: string, question: string) => `${JSON.stringify({ passage, question, answer: "1788" })}\n`;
    put("notes/documents/mill.md", "---\ntitle: Mill\n---\n# Mill\n\nThe mill was built in 1788.\n");
    put("notes/documents/picture.png", "x");
    put("notes/.trash/gone.md", "My password is swordfish.");
    put("notes/questions.jsonl", line("mill.md", "When was the mill built?"));
    const args = [
      "adapt",
      "notes",
      "--edits",
      "1",
      "--epochs",
      "1",
      "--model",
      model,
      "--out",
      "notes/learned",
      "--json",
    ];
    for (const seed of ["0", "1"]) {
      const { stdout, stderr } = await run([...args, "--seed", seed]);
      const { report, documents, familiarity } = JSON.parse(stdout) as Told;
      assert.deepEqual(
        report.passages.map(({ id, exam, answers }) => [id, exam, answers.map(({ question }) => question)]),
        [["mill.md", "given", ["When was the mill built?"]]],
        stderr,
      );
      const reasons = documents.leftOut.map(({ path, reason }) => `${path}: ${reason}`);
      assert.ok(reasons.includes("notes/documents/picture.png: unknown kind"), reasons.join(", "));
      assert.ok(reasons.includes("notes/.trash: hidden"));
      if (seed === "1")
        assert.ok(
          reasons.some((text) => /notes\/learned.*: made by Selkie/.test(text)),
          reasons.join(", "),
        );
      assert.match(stderr, /documents: left out: .*1 of unknown kind \(notes\/documents\/picture\.png\)/);
      assert.equal(familiarity.isForeign, true, "a random model knows nothing");
      assert.match(stderr, /it does not know their language; take a checkpoint/);
    }
  });
  test("--limit counts documents", async () => {
    const rows = Array.from({ length: 3 }, (_, index) => `{"text": "Number ${index} is a mill."}\n`).join("");
    const model = join(folder, "model-1024");
    const { stdout, stderr } = await run([
      "adapt",
      put("rows.jsonl", rows),
      "--limit",
      "2",
      "--edits",
      "1",
      "--epochs",
      "1",
      "--model",
      model,
      "--json",
    ]);
    assert.equal((JSON.parse(stdout) as Told).documents.numDocuments, 2, stderr);
    assert.match((await run(["adapt", "--help"])).stdout, /--limit <n>\s+take the first n documents/);
  });
});

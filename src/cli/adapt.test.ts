/** @file `selkie adapt` as people run it, with the shipped model: what it refuses, and that an interrupted run goes on. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { nativeInstructionSets } from "../tensor/index.ts";
import { shippedModelDirectory } from "./paths.ts";

const mainFile = fileURLToPath(new URL("main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "selkie-adapt-"));
after(() => rmSync(folder, { recursive: true }));

const put = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in `folder`; `interruptAt` sends Ctrl-C once stderr shows that text. */
function run(args: readonly string[], interruptAt?: RegExp): Promise<Ended> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", mainFile, ...args], { cwd: folder });
  let [stdout, stderr, isSent] = ["", "", false];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    if (interruptAt?.test(stderr) && !isSent) isSent = child.kill("SIGINT");
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

describe("adapt refuses bad input with exit code 2 and leaves nothing behind", () => {
  const good = put("good.txt", "Ann Marlow was born in Dover.");
  const noTokenizer = join(folder, "no-tokenizer");
  cpSync(shippedModelDirectory, noTokenizer, { recursive: true });
  rmSync(join(noTokenizer, "tokenizer.json"));
  mkdirSync(join(folder, "void"));
  const cases: readonly (readonly [what: string, args: readonly string[], message: RegExp])[] = [
    ["an empty file", [put("empty.txt", "")], /empty\.txt: expected text, got an empty file/],
    ["a binary file", [put("binary.txt", new Uint8Array([1, 0, 2]))], /binary\.txt: expected text, got binary data/],
    ["invalid UTF-8", [put("latin.txt", new Uint8Array([65, 0xe9, 66]))], /latin\.txt: expected UTF-8/],
    ["10 MB on one line", [put("long.txt", "word ".repeat(2_000_000))], /expected at most 200 passages .*--large/],
    ["a folder without documents", [join(folder, "void")], /expected at least one of \.md/],
    ["a missing path", [join(folder, "nowhere")], /found nothing there/],
    [
      "questions that name no passage",
      [
        good,
        put("other.txt", "Ben Hale was born in Whitby."),
        "--questions",
        put("q.jsonl", '{"question": "q", "answer": "a"}\n'),
      ],
      /q\.jsonl:1: expected "passage" to name one of/,
    ],
    ["a checkpoint without tokenizer", [good, "--model", noTokenizer], /tokenizer\.json: expected the tokenizer/],
    ["a missing checkpoint", [good, "--model", join(folder, "nowhere")], /expected a checkpoint directory/],
    ["no edits", [good, "--edits", "0"], /at least 1/],
    ["an unknown precision", [good, "--precision", "f8"], /expected f32 or bf16/],
  ];
  for (const [what, args, message] of cases)
    test(what, async () => {
      const { code, stdout, stderr } = await run(["adapt", ...args]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.equal(stdout, "");
      assert.doesNotMatch(stderr, /\n\s+at /, "no stack");
    });
});

const skip = nativeInstructionSets().length === 0 ? "native kernels are not built; too slow without" : false;

describe("adapt end to end", { skip }, () => {
  const document = put("ann.txt", "Ann Fox was born in Whitby. She was an engraver. She sailed on the Tempest.");
  const questions = put("ann.jsonl", '{"question": "In what town was Ann Fox born?", "answer": "Whitby"}\n');
  const args = ["adapt", document, "--questions", questions, "--edits", "2", "--json"];

  test("stopped with Ctrl-C and started again, it gives the adapter of a run that was never stopped", async () => {
    const stopped = await run(args, /the model writes self-edits|trying the edits/);
    assert.equal(stopped.code, 130, stopped.stderr);
    const resumed = await run([...args, "--out", "resumed"]);
    const whole = await run([...args, "--fresh", "--out", "whole"]);
    const first = JSON.parse(resumed.stdout) as { report: { decision: string } };
    assert.equal(resumed.code, first.report.decision === "kept" ? 0 : 3, resumed.stderr);
    const name = first.report.decision === "kept" ? "adapter" : "rejected-adapter";
    assert.deepEqual(first.report, (JSON.parse(whole.stdout) as typeof first).report);
    const weights = (out: string) => readFileSync(join(folder, out, name, "adapter_model.safetensors"));
    assert.ok(weights("resumed").equals(weights("whole")));
  });

  test("its adapter answers through ask, and is refused by another base", async () => {
    const { stdout } = await run(args);
    const { runDirectory, report, isRepeated } = JSON.parse(stdout) as {
      runDirectory: string;
      isRepeated: boolean;
      report: { decision: string; passages: { answers: { adapted: { prediction: string } }[] }[] };
    };
    assert.equal(isRepeated, true, "the finished run is not done twice");
    const adapter = join(
      folder,
      runDirectory,
      "artifacts",
      report.decision === "kept" ? "adapter" : "rejected-adapter",
    );
    const asked = await run(["ask", "In what town was Ann Fox born?", "--adapter", adapter, "--json"]);
    assert.equal(
      (JSON.parse(asked.stdout) as { answer: string }).answer,
      report.passages[0]?.answers[0]?.adapted.prediction,
    );
    const other = join(folder, "other");
    cpSync(shippedModelDirectory, other, { recursive: true });
    const config = JSON.parse(readFileSync(join(other, "config.json"), "utf8")) as Record<string, unknown>;
    writeFileSync(join(other, "config.json"), JSON.stringify({ ...config, rms_norm_eps: 1e-6 }));
    const refused = await run(["ask", "Who?", "--model", other, "--adapter", adapter]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /base/);
  });
});

/** @file `score` on long texts, pipes and devices: the same figures, bounded memory and waiting, and Ctrl-C is heard. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { encodePieces, scoreLongText, scoreText } from "../app/index.ts";
import { createEngine } from "../engine/index.ts";
import {
  type Checkpoint,
  type ConfiguredLm,
  createLlama,
  createTokenizer,
  encodePrompt,
  f32Precision,
  plainLlama,
  saveCheckpoint,
  trainByteLevelBpe,
} from "../models/index.ts";
import { openBackend } from "../tensor/index.ts";
import { createRng } from "../util/index.ts";
import { readText } from "./score-input.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-score-"));
after(() => rmSync(root, { recursive: true }));

const json = trainByteLevelBpe(["the sea is calm and the sea is wide, said the old man; é and 海 too"], {
  vocabSize: 300,
  specialTokens: ["<end>"],
});
const tokenizer = createTokenizer(json, "<end>");
const lm: ConfiguredLm = createLlama(
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
    maxSeqLen: 64,
  },
  f32Precision,
  { rng: createRng("score") },
);
after(() => lm[Symbol.dispose]());
const engine = await createEngine({ lm, tokenizer } as Checkpoint);
const modelDirectory = join(root, "model");
await saveCheckpoint(modelDirectory, { lm, tokenizer: { json } });

const output = {
  isJson: false,
  isTerminal: false,
  result: () => {},
  progress: () => {},
  note: () => {},
  close: () => {},
};
const rng = createRng("texts");
const makeText = (words: number): string =>
  Array.from({ length: words }, () =>
    rng.choice(["the", "sea", "is", "calm,", "é", "海海", "said\n", "\n\nold", "  man;", "🦭"]),
  ).join(" ");

test("pieces have the ids of the whole text", () => {
  for (const pieceLength of [40, 100, 333])
    for (const text of [makeText(400), "海".repeat(500), "a b\n".repeat(300)]) {
      const pieces = [...encodePieces(tokenizer, text, pieceLength)];
      assert.deepEqual(
        pieces.flatMap(({ ids }) => ids),
        encodePrompt(tokenizer, text),
      );
      assert.equal(pieces.at(-1)?.end, text.length);
      assert.ok(pieces.length > 1);
    }
});

test("a long text has the figures that a short one has", async () => {
  const context = { output, signal: new AbortController().signal };
  for (const words of [3, 90, 800]) {
    const text = makeText(words);
    const whole = await scoreText(engine, null, { text }, context);
    const long = await scoreLongText(engine, null, { text }, context, { pieceLength: 200, maxWindow: 4096 });
    assert.deepEqual([long.numTokens, long.numScored], [whole.numTokens, whole.numScored]);
    assert.ok(Math.abs(long.totalNats - whole.totalNats) < 1e-6 * Math.abs(whole.totalNats));
    assert.ok(Math.abs(long.bitsPerByte! - whole.bitsPerByte!) < 1e-6);
    assert.equal(long.windows.count, whole.windows?.count ?? 1);
  }
});

const mainFile = fileURLToPath(new URL("main.ts", import.meta.url));
const start = (args: readonly string[]) =>
  spawn(process.execPath, ["--disable-warning=ExperimentalWarning", mainFile, ...args, "--model", modelDirectory]);

/** Ends a run with Ctrl-C once stderr shows `sign`; how long it took to end, and how. */
async function interrupted(args: readonly string[], sign: RegExp) {
  const child = start(args);
  let stderr = "";
  await new Promise<void>((resolve) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      if (sign.test(stderr)) resolve();
    });
    child.on("close", () => resolve());
  });
  const began = performance.now();
  child.kill("SIGINT");
  const code = await new Promise((resolve) =>
    child.exitCode === null ? child.on("close", resolve) : resolve(child.exitCode),
  );
  return { code, stderr, ms: performance.now() - began };
}

const skip = process.platform === "win32" && "signals and pipes differ";

describe("score", { skip }, () => {
  test("of a long text shows how far it is, and hears Ctrl-C", async () => {
    const file = join(root, "long.txt");
    writeFileSync(file, "the sea is calm and the sea is wide, said the old man. ".repeat(200_000));
    const { code, stderr, ms } = await interrupted(["score", file], /scoring, characters \d/);
    assert.equal(code, 130, stderr);
    assert.match(stderr, /scoring, characters \d+\/11000000/);
    assert.ok(ms < 3000, `${ms} ms`); // a second on a machine that does nothing else
  });

  test("of a text over a million characters gives sums without tokens", async () => {
    const file = join(root, "million.txt");
    writeFileSync(file, "the sea is calm and the sea is wide, ".repeat(29_000));
    const child = start(["score", file, "--json"]);
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    await new Promise((resolve) => child.on("close", resolve));
    const { tokens, numTokens, numScored, windows } = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(tokens, null);
    assert.equal(numScored, (numTokens as number) - 1);
    assert.equal((windows as { maxTokens: number }).maxTokens, 64);
  });

  test("waits for a pipe's writer for a bounded time, and hears Ctrl-C", async () => {
    const pipe = join(root, "pipe");
    assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
    await assert.rejects(
      readText(pipe, { pipeWaitMs: 60 }),
      /expected somebody to write to the pipe .*pipe, got nobody within 0.06 s/,
    );
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 60);
    await assert.rejects(readText(pipe, { signal: controller.signal }));
    const { code, ms, stderr } = await interrupted(["score", pipe], /waiting for somebody to write/);
    assert.equal(code, 130, stderr);
    assert.ok(ms < 3000, `${ms} ms`);
  });

  test("reads a pipe to its end, however slowly it is written", async () => {
    const pipe = join(root, "slow");
    assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
    const reading = readText(pipe, { pipeWaitMs: 2000 });
    const writer = await open(pipe, "w");
    for (const part of ["the sea ", "is ", "calm"]) {
      await writer.write(part);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await writer.close();
    assert.equal(await reading, "the sea is calm");
  });

  test("bounds what it reads and refuses what is no file", async () => {
    const file = join(root, "big.txt");
    writeFileSync(file, "x".repeat(5000));
    await assert.rejects(readText(file, { maxBytes: 4096 }), /expected at most .* MiB, got more in .*big\.txt/);
    const pipe = join(root, "endless");
    assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
    const writer = spawn("sh", ["-c", `yes > ${pipe}`]);
    await assert.rejects(readText(pipe, { maxBytes: 2 ** 20 }), /expected at most 1 MiB/);
    writer.kill();
    for (const device of ["/dev/zero", "/dev/null"])
      await assert.rejects(readText(device), new RegExp(`expected a text file, got a device, ${device}`));
  });

  test("takes standard input under its names, and ends with a stream of zeros", async () => {
    for (const name of ["-", "/dev/stdin"]) {
      const child = start(["score", name, "--json"]);
      let stdout = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
      });
      child.stdin.end("the sea");
      await new Promise((resolve) => child.on("close", resolve));
      assert.equal((JSON.parse(stdout) as { numTokens: number }).numTokens, tokenizer.encode("the sea").length);
    }
    const { status, stderr } = spawnSync(
      "sh",
      [
        "-c",
        `head -c 100000000 /dev/zero | "$0" --disable-warning=ExperimentalWarning "$1" score - --model "$2"`,
        process.execPath,
        mainFile,
        modelDirectory,
      ],
      { encoding: "utf8" },
    );
    assert.deepEqual([status, /a zero byte at 0/.test(stderr)], [2, true], stderr);
  });
});

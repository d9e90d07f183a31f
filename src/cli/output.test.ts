import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { planWindows } from "../app/index.ts";
import { wrapProse } from "./format.ts";
import { createOutput } from "./output.ts";

/** A stream that keeps what was written. */
function record(options: { isTTY?: boolean; columns?: number } = {}) {
  const written: string[] = [];
  const stream = new Writable({
    write(text, _encoding, done) {
      written.push(String(text));
      done();
    },
  });
  return Object.assign(stream, options, { written });
}

test("results go to stdout as text or as one JSON line, everything else to stderr", () => {
  for (const [isJson, expected] of [
    [false, "done\n"],
    [true, '{"a":1}\n'],
  ] as const) {
    const [stdout, stderr] = [record(), record()];
    const output = createOutput({ isJson, stdout, stderr });
    output.note("careful");
    output.progress("half way");
    output.result({ a: 1 }, "done");
    assert.deepEqual(stdout.written, [expected]);
    assert.deepEqual(stderr.written, ["careful\n", "half way\n"]);
  }
});

test("progress overwrites one line on a terminal, cut to its width, and the line is gone before other text", () => {
  const [stdout, stderr] = [record(), record({ isTTY: true, columns: 8 })];
  let nowMs = 0;
  const output = createOutput({ isJson: false, stdout, stderr, now: () => nowMs });
  output.progress("1234567890");
  nowMs = 50;
  output.progress("too soon");
  nowMs = 150;
  output.progress("two");
  output.result({}, "end");
  assert.deepEqual(stderr.written, ["\r123456…\u001b[K", "\rtwo\u001b[K", "\r\u001b[K"]);
});

test("progress into a file is sparse whole lines without escape codes", () => {
  const [stdout, stderr] = [record(), record()];
  let nowMs = 0;
  const output = createOutput({ isJson: false, stdout, stderr, now: () => nowMs });
  for (; nowMs < 25_000; nowMs += 100) output.progress(`at ${nowMs}`);
  output.close();
  assert.deepEqual(stderr.written, ["at 0\n", "at 10000\n", "at 20000\n"]);
});

test("windows score every token but the first exactly once, with half a window of context", () => {
  for (const [numTokens, maxTokens] of [
    [5, 8],
    [8, 8],
    [9, 8],
    [100, 8],
    [101, 7],
    [2, 2],
    [10, 2],
  ] as const) {
    const scored: number[] = [];
    for (const { start, end, scoredFrom } of planWindows(numTokens, maxTokens)) {
      assert.ok(end - start <= maxTokens && scoredFrom > start);
      if (start > 0) assert.ok(scoredFrom - start >= Math.floor(maxTokens / 2));
      for (let i = scoredFrom; i < end; i++) scored.push(i);
    }
    assert.deepEqual(
      scored,
      Array.from({ length: numTokens - 1 }, (_, i) => i + 1),
    );
  }
});

test("notes are broken between words on a terminal, but for indented commands, which are there to be copied", () => {
  const stderr = record({ isTTY: true, columns: 24 });
  const { COLUMNS } = process.env;
  delete process.env["COLUMNS"];
  createOutput({ isJson: false, stderr }).note("one two three four five six\n  a command with many words in it");
  if (COLUMNS !== undefined) process.env["COLUMNS"] = COLUMNS;
  assert.deepEqual(stderr.written, ["one two three four five\nsix\n  a command with many words in it\n"]);
});

test("prose in a list is broken at the output's width, wherever it stands in the list", () => {
  const sentences = ["The change is kept.", "Nothing was left out.", "All of it was examined."];
  assert.deepEqual(sentences.map(wrapProse), sentences);
});

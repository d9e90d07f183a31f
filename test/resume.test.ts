/** @file A training that samples its own policy ends with the same bits, however it was interrupted. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { adamW } from "../src/nn/index.ts";
import { sampledRun, steps } from "./support/sampled-run.ts";

const folder = mkdtempSync(join(tmpdir(), "selkie-resume-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const whole = sampledRun(null);

test("the source saw the policy change: later samples are not those of the first policy", async () => {
  const { sampled } = await whole;
  const idle = await sampledRun(null, { transform: adamW({ learningRate: 0 }) });
  assert.equal(sampled.length, (4 * steps) / 2);
  assert.deepEqual(sampled.slice(0, 4), idle.sampled.slice(0, 4));
  assert.notDeepEqual(sampled.slice(4), idle.sampled.slice(4));
});

test("killed between two updates on one batch, it goes on from before that batch and ends with the same bits", async () => {
  const directory = join(folder, "killed");
  const script = `
    const { sampledRun } = await import(${JSON.stringify(new URL("./support/sampled-run.ts", import.meta.url).href)});
    const onProgress = ({ step }) => { if (step === 5) process.kill(process.pid, "SIGKILL"); };
    await sampledRun(${JSON.stringify(directory)}, { onProgress });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const [, signal] = await once(child, "close");
  assert.equal(signal, "SIGKILL", errors);
  const resumed = await sampledRun(directory);
  assert.equal(resumed.resumedFrom, 4);
  assert.deepEqual(resumed.weights, (await whole).weights);
  assert.deepEqual(resumed.sampled, (await whole).sampled.slice(8));
});

test("stopped by its signal, it finishes the batch, saves and goes on", async () => {
  const directory = join(folder, "stopped");
  const controller = new AbortController();
  await sampledRun(directory, {
    signal: controller.signal,
    onProgress: ({ step }) => {
      if (step === 7) controller.abort();
    },
  });
  const resumed = await sampledRun(directory);
  assert.equal(resumed.resumedFrom, 8);
  assert.deepEqual(resumed.weights, (await whole).weights);
});

test("a checkpoint of another chain is refused even where its settings are called the same", async () => {
  const directory = join(folder, "other");
  await sampledRun(directory, { settings: "same" });
  const other = sampledRun(directory, { settings: "same", transform: adamW({ learningRate: 1 }) });
  await assert.rejects(other, { code: "checkpoint-mismatch", message: /moment1 .* got params .* momentum/ });
});

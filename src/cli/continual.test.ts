/** @file `selkie experiment continual` as people run it, for two steps of the shipped model: killed, resumed, repeated. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { nativeInstructionSets } from "../tensor/index.ts";

const mainFile = fileURLToPath(new URL("main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "selkie-continual-cli-"));
after(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the experiment in `folder`; `isEnough` may have it killed. */
function run(args: readonly string[], isEnough?: () => boolean): Promise<Ended> {
  const command = ["--disable-warning=ExperimentalWarning", mainFile, "experiment", "continual", ...args];
  const child = spawn(process.execPath, command, { cwd: folder });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const timer = isEnough && setInterval(() => isEnough() && child.kill("SIGKILL"), 5);
  return new Promise((resolve) =>
    child.on("close", (code) => {
      clearInterval(timer);
      resolve({ code, stdout, stderr });
    }),
  );
}

/** Finished streams of the first method, whatever the run is called. */
function finishedStreams(): string[] {
  const runs = join(folder, "runs");
  if (!existsSync(runs)) return [];
  return readdirSync(runs).flatMap((name) => {
    const stages = join(runs, name, "artifacts", "stages", "policy-0", "stream-0");
    if (!existsSync(stages)) return [];
    return readdirSync(stages)
      .filter((file) => file.startsWith("merge-") && file.endsWith(".json"))
      .map((file) => join(stages, file));
  });
}

describe("selkie experiment continual", () => {
  test("refuses an unknown method by name", async () => {
    const { code, stderr } = await run(["--methods", "merge,prayer"]);
    assert.equal(code, 2);
    assert.match(stderr, /expected one of merge, .* got "prayer"/);
  });

  test("goes on after kill -9 with the streams it had finished, and repeats its result", {
    skip: nativeInstructionSets().length === 0 && "needs the native kernels",
  }, async () => {
    const args = ["--length", "2", "--rounds", "0", "--streams", "1", "--methods", "merge,rehearse,bank", "--json"];
    const killed = await run(args, () => finishedStreams().length > 0);
    assert.equal(killed.code, null, "ended by the signal");
    const [finished] = finishedStreams();
    const record = readFileSync(finished!, "utf8");
    const resumed = await run(args);
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.match(resumed.stderr, /going on with/);
    assert.equal(readFileSync(finished!, "utf8"), record, "not done twice, to the measured second");
    const { tables, split } = JSON.parse(resumed.stdout) as {
      split: string;
      tables: { rows: { name: string; cells: { mean: number }[] }[] }[];
    };
    assert.equal(split, "validation");
    assert.deepEqual(
      tables[0]!.rows.map(({ name }) => name),
      ["merge", "rehearse", "bank"],
    );
    assert.ok(
      tables[0]!.rows.every(({ cells }) => cells[0]!.mean > 0),
      "all learn something",
    );
    for (const file of [
      "continual-2.trials.json",
      "continual-2.json",
      "continual-2.md",
      "continual-2.svg",
      "continual-2-matrix.svg",
    ])
      assert.ok(existsSync(join(folder, "runs/tables", file)), file);
    const repeated = await run(args);
    assert.equal(repeated.stdout, resumed.stdout);
  });
});

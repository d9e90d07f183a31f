/** @file `selkie learn knowledge` as people run it, with the shipped model: killed and resumed, and what it refuses. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { nativeInstructionSets } from "../tensor/index.ts";

const mainFile = fileURLToPath(new URL("main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "selkie-learn-cli-"));
after(() => rmSync(folder, { recursive: true }));

const put = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in `folder`; `watch` may end it, told of the child every few milliseconds. */
function run(args: readonly string[], watch?: (kill: () => void) => void): Promise<Ended> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", mainFile, "learn", ...args], {
    cwd: folder,
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const timer = watch && setInterval(() => watch(() => child.kill("SIGKILL")), 5);
  return new Promise((resolve) =>
    child.on("close", (code) => {
      clearInterval(timer);
      resolve({ code, stdout, stderr });
    }),
  );
}

describe("learn refuses bad input with exit code 2 and leaves nothing behind", () => {
  const passages = put(
    "one.jsonl",
    '{"context": "Ann Fox was born in Whitby.", "questions": [{"question": "Where was Ann Fox born?", "answer": "Whitby"}]}\n',
  );
  const good = ["knowledge", "--passages", passages, "--out", "bad"];
  const cases: readonly (readonly [what: string, args: readonly string[], message: RegExp])[] = [
    ["an unknown domain", ["wisdom", "--passages", passages], /Allowed choices are knowledge, curve/],
    ["no passages", ["knowledge"], /--passages/],
    ["passages of curves", ["curve", "--passages", passages], /no --passages, because tasks are drawn/],
    ["a store for curves", ["curve", "--register"], /no --register, because without canaries no gate/],
    ["another precision for curves", ["curve", "--precision", "bf16"], /no --precision, because it computes in f32/],
    ["a reward of prose for curves", ["curve", "--reward", "proxy"], /got proxy \(proxy reads prose/],
    [
      "a reward of canaries for curves",
      ["curve", "--reward", "retention"],
      /got retention \(retention counts canaries/,
    ],
    ["a missing file", ["knowledge", "--passages", join(folder, "nowhere")], /found nothing there/],
    ["a broken file", ["knowledge", "--passages", put("broken.jsonl", "{")], /broken\.jsonl:1: expected JSON/],
    ["a missing model", [...good, "--model", join(folder, "nowhere")], /expected a checkpoint directory/],
    ["an unknown reward", [...good, "--reward", "praise"], /expected a reward among .*got "praise"/],
    ["an unknown update", [...good, "--update", "ppo"], /Allowed choices are rest-em/],
    ["no rounds", [...good, "--rounds", "0"], /at least 1/],
    ["settings that say nothing known", [...good, "--settings", put("s.json", '{"epocs": 1}')], /s\.json: .*epocs/],
    ["prompts that are none", [...good, "--prompts", put("p.json", "{}")], /p\.json: expected prompt templates/],
    [
      "a teacher that is nowhere",
      [...good, "--teacher", join(folder, "nowhere")],
      /expected a checkpoint directory, got .*nowhere/,
    ],
    ["a replay file that is missing", [...good, "--replay", join(folder, "nowhere")], /expected a file/],
  ];
  for (const [what, args, message] of cases)
    test(what, async () => {
      const { code, stdout, stderr } = await run(args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.equal(stdout, "");
      assert.doesNotMatch(stderr, /\n\s+at /, "no stack");
      assert.ok(!existsSync(join(folder, "bad")), "no run was begun");
    });

  test("too few passages for the rounds", async () => {
    const { code, stderr } = await run(good);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /expected at least 2 passages with questions for 2 rounds of different ones, got 1/);
  });
});

const skip = nativeInstructionSets().length === 0 ? "native kernels are not built; too slow without" : false;

interface Result {
  readonly runDirectory: string;
  readonly policies: readonly string[];
  readonly isRepeated: boolean;
  readonly report: {
    readonly rounds: readonly { readonly numTrials: number; readonly policy: { readonly digest: string } }[];
    readonly evaluations: readonly { readonly accuracy: { readonly mean: number } }[];
  };
}

describe("learn end to end", { skip }, () => {
  const settings = put(
    "settings.json",
    JSON.stringify({ innerLoop: { epochs: 2 }, update: { epochs: 1 }, numReplay: 20, groupSize: 4 }),
  );
  const args = [
    ...["knowledge", "--passages", "almanac", "--passages-per-round", "2", "--held-out", "almanac"],
    ...["--held-out-limit", "2", "--edits", "2", "--repetitions", "2", "--settings", settings, "--json"],
  ];
  const stagesOf = (out: string): readonly string[] => {
    const root = join(folder, out);
    const runs = existsSync(root) ? readdirSync(root) : [];
    const stages = join(root, runs[0] ?? "none", "artifacts", "stages");
    return existsSync(stages) ? readdirSync(stages, { recursive: true }).map(String) : [];
  };
  const digestsOf = ({ stdout }: Ended) =>
    (JSON.parse(stdout) as Result).report.rounds.map(({ policy }) => policy.digest);

  test("killed with SIGKILL again and again, it ends with the policies and report of a run that was never killed", async () => {
    const whole = await run([...args, "--out", "whole"]);
    assert.equal(whole.code, 0, whole.stderr);
    const kept: string[] = [];
    let numKilled = 0;
    for (const goal of [/replay/, /round-1\/rung-0\/trials-4/, /round-1\/policy/, /round-2\/edits/]) {
      const ended = await run([...args, "--out", "killed"], (kill) => {
        if (stagesOf("killed").some((name) => goal.test(name))) kill();
      });
      if (ended.code === null) numKilled++;
      const now = stagesOf("killed");
      for (const name of kept) assert.ok(now.includes(name), `${name} is kept`);
      kept.push(...now.filter((name) => name.endsWith(".json") && !kept.includes(name)));
    }
    assert.equal(numKilled, 4);
    const resumed = await run([...args, "--out", "killed"]);
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.match(resumed.stderr, /going on with/);
    assert.deepEqual(digestsOf(resumed), digestsOf(whole));
    const [a, b] = [whole, resumed].map(({ stdout }) => JSON.parse(stdout) as Result);
    assert.deepEqual(b!.report, a!.report);
    const weights = ({ policies }: Result) => readFileSync(join(folder, policies[1]!, "model.safetensors"));
    assert.ok(weights(a!).equals(weights(b!)));
    assert.equal(a!.report.rounds[0]?.numTrials, 2 * 2 * 2);
    assert.equal(a!.report.evaluations.length, 3);
  });

  test("a finished run is not done twice, and its policy is a checkpoint like any other", async () => {
    const again = await run([...args, "--out", "whole"]);
    const { isRepeated, policies } = JSON.parse(again.stdout) as Result;
    assert.equal(isRepeated, true);
    const next = ["knowledge", "--passages", "almanac", "--passages-per-round", "1", "--rounds", "1", "--edits", "1"];
    const from = join(folder, policies[1]!);
    const teach = ["--repetitions", "1", "--settings", settings, "--teacher", from, "--model", from, "--out", "next"];
    const { code, stdout, stderr } = await run([...next, ...teach]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /The last policy: .*policies\/round-1/);
  });
});

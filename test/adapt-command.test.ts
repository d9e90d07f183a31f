/** @file `selkie adapt` around its work, on a model of no size: exit codes, output folders, options, and refused writes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createSigningKey } from "../src/registry/index.ts";
import { repositoryRoot } from "./support/source.ts";
import { tinyText, writeTinyModel } from "./support/tiny-model.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "selkie-adapt-command-")));
after(() => rmSync(root, { recursive: true }));
let model = "";
before(async () => {
  model = await writeTinyModel(root);
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const nodeArgs = ["--disable-warning=ExperimentalWarning", join(repositoryRoot, "src", "cli", "main.ts")];

/** Runs the command line in `cwd`; `limits` are shell words run before it. */
function run(cwd: string, args: readonly string[], limits = ""): Promise<Ended> {
  const words = [process.execPath, ...nodeArgs, ...args];
  const child =
    limits === ""
      ? spawn(words[0]!, words.slice(1), { cwd })
      : spawn("sh", ["-c", `${limits}; exec "$0" "$@"`, ...words], { cwd });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

let numRooms = 0;
/** A working folder with a document and its question. */
function newRoom(): string {
  const room = join(root, `room-${numRooms++}`);
  mkdirSync(room);
  writeFileSync(join(room, "ann.txt"), tinyText);
  writeFileSync(join(room, "bob.txt"), "Bob Lane was born in Deal. He kept a dog.");
  const line = (question: string, answer: string, passage: string) => JSON.stringify({ question, answer, passage });
  writeFileSync(join(room, "ann.jsonl"), line("Where was Ann Marlow born?", "Dover", "ann.txt"));
  writeFileSync(join(room, "bob.jsonl"), line("Where was Bob Lane born?", "Deal", "bob.txt"));
  return room;
}

const adapt = (name: string, ...more: readonly string[]): string[] => [
  ...["adapt", `${name}.txt`, "--questions", `${name}.jsonl`, "--model", model],
  ...["--edits", "2", "--epochs", "1", "--rank", "2", ...more],
];

describe("a run whose change is rejected", () => {
  test("exits with 3, and ask says where its adapter is instead of failing on a missing file", async () => {
    const room = newRoom();
    const { code, stdout, stderr } = await run(room, adapt("ann", "--out", "X", "--json"));
    assert.equal(code, 3, stderr);
    const { report, runDirectory, adapterDirectory } = JSON.parse(stdout) as {
      report: { decision: string };
      runDirectory: string;
      adapterDirectory: string | null;
    };
    assert.equal(report.decision, "rejected");
    assert.equal(adapterDirectory, null);
    for (const place of ["X", runDirectory]) {
      const asked = await run(room, ["ask", "Who?", "--model", model, "--adapter", place]);
      assert.equal(asked.code, 2);
      assert.match(asked.stderr, /a run whose change was not kept.*the adapter is in \S*rejected-adapter/);
      const hint = /the adapter is in (\S*rejected-adapter)/.exec(asked.stderr)![1]!;
      const looked = await run(room, ["ask", "Who?", "--model", model, "--adapter", hint, "--max-new-tokens", "3"]);
      assert.equal(looked.code, 0, looked.stderr);
    }
  });
});

describe("an output folder", () => {
  test("holds one run: the next takes its place whole, and what is somebody else's is refused before the work", async () => {
    const room = newRoom();
    await run(room, adapt("ann", "--out", "X"));
    writeFileSync(join(room, "X", "selkie-run.json"), readFileSync(join(room, "X", "selkie-run.json")));
    cpSync(join(room, "X", "rejected-adapter"), join(room, "X", "adapter"), { recursive: true });
    const mixed = await run(room, adapt("bob", "--out", "X"));
    assert.equal(mixed.code, 2, "an adapter that no run wrote there is somebody else's");
    assert.match(mixed.stderr, /--out .*X: .*somebody else \(adapter\//);
    assert.doesNotMatch(mixed.stderr, /preparing the exam/);
    rmSync(join(room, "X", "adapter"), { recursive: true });
    const second = JSON.parse((await run(room, adapt("bob", "--out", "X", "--json"))).stdout) as {
      runDirectory: string;
    };
    const mark = JSON.parse(readFileSync(join(room, "X", "selkie-run.json"), "utf8")) as { run: string };
    assert.equal(`runs/${mark.run}`, second.runDirectory);
    assert.deepEqual(
      readFileSync(join(room, "X", "rejected-adapter", "adapter_model.safetensors")),
      readFileSync(join(room, second.runDirectory, "artifacts", "rejected-adapter", "adapter_model.safetensors")),
    );
    const report = JSON.parse(readFileSync(join(room, "X", "report.json"), "utf8")) as { passages: { id: string }[] };
    assert.equal(report.passages[0]!.id, "bob.txt");
  });

  test("that another run has claimed is refused", async () => {
    const room = newRoom();
    const [first, second] = await Promise.all([
      run(room, adapt("ann", "--out", "X", "--edits", "24", "--epochs", "120")),
      new Promise((resolve) => setTimeout(resolve, 20)).then(() =>
        run(room, adapt("bob", "--out", "X", "--edits", "24", "--epochs", "120")),
      ),
    ]);
    const codes = [first.code, second.code].sort();
    assert.deepEqual(codes, [1, 3], `${first.stderr}${second.stderr}`);
    const refused = first.code === 1 ? first : second;
    assert.match(refused.stderr, /--out X: expected no other process on it, got process \d+/);
    assert.deepEqual(
      readdirSync(room).filter((name) => name.startsWith(".")),
      [],
    );
  });
});

describe("what must be right is checked before the work", () => {
  const cases: [what: string, args: readonly string[], message: RegExp][] = [
    ["a rank wider than the model", ["--rank", "100000"], /rank: expected a whole number from 1 to 8, got 100000/],
    ["a learning rate nobody means", ["--learning-rate", "50"], /learning rate: expected .* at most 1, got 50/],
    ["no learning rate", ["--learning-rate", "Infinity"], /Expected a number above 0/],
    ["too many edits", ["--edits", "5000"], /edits: expected a whole number from 1 to 100/],
    ["a gate without --register", ["--gate", "g.json"], /--gate: expected --register beside it.*leave --gate out/],
    ["a key without --register", ["--signing-key", "k.pem"], /--signing-key: expected --register beside it/],
    ["a store without --register", ["--store", "s"], /--store: expected --register beside it/],
    ["a gate that is not there", ["--register", "--gate", "g.json"], /--gate: expected a readable file, got g\.json/],
    ["a gate that is none", ["--register", "--gate", "ann.txt"], /ann\.txt: expected/],
    ["a key that is not there", ["--register", "--signing-key", "k.pem"], /signing key: expected a PEM file/],
    ["a store that is a file", ["--register", "--store", "ann.txt"], /ann\.txt.*(could not be written|expected)/],
    ["an output that is a file", ["--out", "ann.txt"], /--out .*ann\.txt: expected a new or empty folder.*got a file/],
  ];
  for (const [what, args, message] of cases)
    test(what, async () => {
      const room = newRoom();
      const { code, stdout, stderr } = await run(room, adapt("ann", ...args));
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /preparing the exam|\n\s+at /);
      assert.ok(code === 2 || code === 1, `exit code ${code}`);
      assert.equal(stdout, "");
      assert.equal(existsSync(join(room, "runs")), false, "no run is begun");
    });

  test("a key of another store", async () => {
    const room = newRoom();
    for (const name of ["one", "two"])
      writeFileSync(join(room, `${name}.pem`), createSigningKey().privateKey, { mode: 0o600 });
    const register = (key: string) => run(room, adapt("ann", "--register", "--store", "s", "--signing-key", key));
    assert.equal((await register("one.pem")).code, 3);
    rmSync(join(room, "runs"), { recursive: true });
    const { code, stderr } = await register("two.pem");
    assert.equal(code, 2);
    assert.match(stderr, /signing key: expected the key of .*got/);
    assert.equal(existsSync(join(room, "runs")), false);
  });

  test("ask refuses a store that nothing in the command uses", async () => {
    const { code, stderr } = await run(newRoom(), ["ask", "Who?", "--model", model, "--store", "s"]);
    assert.equal(code, 2);
    assert.match(stderr, /--store: expected a model or an adapter of the store \(@alias\) beside it/);
  });
});

describe("a write that the system refuses is told in words, with exit code 1", {
  skip: process.platform === "win32" && "no ulimit",
}, () => {
  test("an adapter too large for what may be written", async () => {
    const room = newRoom();
    const small = "trap '' XFSZ; ulimit -f 8"; // blocks of 512 bytes or of 1024, by the shell
    const { code, stderr } = await run(room, adapt("ann", "--rank", "8", "--out", "X"), small);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /runs\/\S+: could not be written \(EFBIG\); /);
    assert.doesNotMatch(stderr, /unexpected|\n\s+at /);
    assert.equal(existsSync(join(room, "X")), false);
    const left = readdirSync(join(room, "runs"), { recursive: true }).map(String);
    assert.deepEqual(
      left.filter((name) => name.endsWith(".partial")),
      [],
    );
    assert.equal((await run(room, adapt("ann", "--rank", "8", "--out", "X"))).code, 3, "the same command goes on");
  });

  test("a file where the runs should be", async () => {
    const room = newRoom();
    writeFileSync(join(room, "runs"), "");
    const { code, stderr } = await run(room, adapt("ann"));
    assert.equal(code, 1);
    assert.match(stderr, /runs\/adapt-\w+: could not be written \((ENOTDIR|EEXIST)\)/);
  });
});

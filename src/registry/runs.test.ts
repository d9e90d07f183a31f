import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { digestOf, digestPath } from "./digests.ts";
import { canonicalJson } from "./json.ts";
import { createRun, runDirectory } from "./runs.ts";

interface TestContext {
  after(clean: () => void): void;
}

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "selkie-runs-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const request = {
  kind: "adapt",
  config: { epochs: 3, lora: { rank: 8, alpha: 16 } },
  inputs: { text: digestOf("hello") },
  seed: 7,
};

test("the digest is SHA-256 of the bytes, and of names and contents for a directory", (t) => {
  const directory = temporaryDirectory(t);
  assert.equal(digestOf("a", "bc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); // FIPS 180-2, "abc"
  writeFileSync(join(directory, "x"), "abc");
  assert.equal(digestPath(join(directory, "x")), digestOf("abc"));
  const before = digestPath(directory);
  mkdirSync(join(directory, "inner"));
  writeFileSync(join(directory, "inner", "y"), "1");
  const after = digestPath(directory);
  writeFileSync(join(directory, "inner", "y"), "2");
  assert.equal(new Set([before, after, digestPath(directory)]).size, 3);
  assert.throws(() => digestPath(join(directory, "absent")), { code: "missing-file" });
});

test("canonical JSON does not depend on the order of keys", () => {
  assert.equal(canonicalJson({ b: [1, { d: 2, c: null }], a: "x" }), '{"a":"x","b":[1,{"c":null,"d":2}]}');
});

test("equal requests share a directory; any difference in config, inputs, seed or kind makes another", () => {
  const same = runDirectory("runs", { ...request, config: { lora: { alpha: 16, rank: 8 }, epochs: 3 } });
  assert.equal(same, runDirectory("runs", request));
  const others = [
    { ...request, config: { ...request.config, epochs: 4 } },
    { ...request, inputs: { text: digestOf("other") } },
    { ...request, seed: 8 },
    { ...request, kind: "train" },
  ];
  assert.equal(new Set([same, ...others.map((other) => runDirectory("runs", other))]).size, 5);
  assert.throws(() => runDirectory("runs", { ...request, kind: "../x" }), { code: "bad-option" });
});

test("a run is new, then resumed, then finished; events and artifacts survive", (t) => {
  const root = temporaryDirectory(t);
  {
    using run = createRun(root, request, { clock: () => 1234 });
    assert.equal(run.status, "new");
    assert.deepEqual(run.manifest.inputs, request.inputs);
    run.event({ type: "step-end", step: 1 });
    assert.equal(run.writeArtifact("adapters/a.bin", Uint8Array.of(1, 2)).sha256, digestOf(Uint8Array.of(1, 2)));
  }
  {
    using run = createRun(root, request);
    assert.equal(run.status, "resumed");
    assert.deepEqual([...run.readArtifact("adapters/a.bin")!], [1, 2]);
    assert.deepEqual(
      run.readEvents().map(({ type }) => type),
      ["run-open", "step-end", "artifact-write", "run-open"],
    );
    assert.equal(run.readEvents()[1]!["time"], 1234);
    assert.equal(run.readResult(), null);
    run.finish({ "score/mean": 0.5 });
  }
  using run = createRun(root, request);
  assert.equal(run.status, "finished");
  assert.deepEqual(run.readResult(), { "score/mean": 0.5 });
  assert.deepEqual(readdirSync(join(run.directory, "artifacts", "adapters")), ["a.bin"]); // no partial files
});

test("an event that a kill left half written is dropped", (t) => {
  const root = temporaryDirectory(t);
  createRun(root, request)[Symbol.dispose]();
  appendFileSync(join(runDirectory(root, request), "events.ndjson"), '{"type":"step-e');
  using run = createRun(root, request);
  assert.deepEqual(
    run.readEvents().map(({ type }) => type),
    ["run-open", "run-open"],
  );
});

test("a run in work is locked with its process named; disposal frees it", (t) => {
  const root = temporaryDirectory(t);
  const run = createRun(root, request);
  assert.throws(() => createRun(root, request), {
    code: "run-locked",
    message: new RegExp(`process ${process.pid} on`),
  });
  run[Symbol.dispose]();
  createRun(root, request)[Symbol.dispose]();
});

test("the lock of a dead process and a torn lock are taken over; that of another machine is not", (t) => {
  const root = temporaryDirectory(t);
  const lock = join(runDirectory(root, request), "lock");
  createRun(root, request)[Symbol.dispose]();
  const { pid } = spawnSync(process.execPath, ["-e", ""]); // has ended by now
  for (const text of [JSON.stringify({ pid, host: hostname() }), "{"]) {
    writeFileSync(lock, text);
    createRun(root, request)[Symbol.dispose]();
    assert.ok(!existsSync(lock));
  }
  writeFileSync(lock, JSON.stringify({ pid, host: "elsewhere" }));
  assert.throws(() => createRun(root, request), { code: "run-locked" });
  assert.match(readFileSync(lock, "utf8"), /elsewhere/);
});

test("a process that was killed and that its parent has not noticed does not hold a lock", async (t) => {
  if (!existsSync("/proc/self/stat")) return t.skip("needs /proc");
  const root = temporaryDirectory(t);
  createRun(root, request)[Symbol.dispose]();
  const parent = spawn("sh", ["-c", "sleep 0.5 & echo $!; exec sleep 30"]); // sleep never waits for its child
  t.after(() => parent.kill("SIGKILL"));
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(line.toString());
  const hold = () =>
    writeFileSync(join(runDirectory(root, request), "lock"), JSON.stringify({ pid, host: hostname() }));
  hold();
  assert.throws(() => createRun(root, request), { code: "run-locked" }, "while it lives");
  while (!/\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) await new Promise((done) => setTimeout(done, 10));
  process.kill(pid, 0); // still listed
  createRun(root, request)[Symbol.dispose]();
});

test("artifacts cannot leave the run", (t) => {
  using run = createRun(temporaryDirectory(t), request);
  for (const name of ["../x", "a/../../x", "", "/x"])
    assert.throws(() => run.writeArtifact(name, ""), { code: "bad-option" });
});

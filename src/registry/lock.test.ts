/** @file Locks across processes, pid namespaces and machines. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { acquireLock } from "./lock.ts";
import {
  describeSelf,
  goneAfterMs,
  judgeOwner,
  type LockOwner,
  type OwnerState,
  type Probe,
  parseOwner,
} from "./lock-owner.ts";
import { createRun } from "./runs.ts";

interface TestContext {
  after(clean: () => void): void;
}

function temporaryLock(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "selkie-lock-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "lock");
}

describe("an owner is judged by where it runs", () => {
  const self: LockOwner = {
    ...{ pid: 7, host: "here", started: "100", boot: "boot-a", pidNamespace: "pid:[1]", hasKernelLock: true },
  };
  const none: Probe = { isAlive: () => false, startOf: () => null, silentMs: 0, hasKernelLock: false };
  const alive: Probe = { ...none, isAlive: () => true, startOf: () => "50" };
  const other = { ...self, pid: 9, started: "50", hasKernelLock: false };
  const cases: readonly (readonly [what: string, owner: LockOwner, probe: Probe, state: OwnerState])[] = [
    ["alive beside us", other, alive, "working"],
    ["dead beside us", other, none, "gone"],
    ["another process under its number", { ...other, started: "49" }, alive, "gone"],
    ["in another container, no such number here", { ...other, pidNamespace: "pid:[2]" }, none, "silent"],
    ["in another container, our number by chance", { ...other, pid: 7, pidNamespace: "pid:[2]" }, alive, "silent"],
    [
      "in another container, long silent",
      { ...other, pidNamespace: "pid:[2]" },
      { ...none, silentMs: goneAfterMs + 1 },
      "gone",
    ],
    [
      "in another container, its system lock free",
      { ...other, pidNamespace: "pid:[2]", hasKernelLock: true },
      { ...none, hasKernelLock: true },
      "gone",
    ],
    ["on a machine of our name", { ...other, boot: "boot-b" }, none, "silent"],
    [
      "on a machine of our name, its system lock not ours to see",
      { ...other, boot: "boot-b", hasKernelLock: true },
      { ...none, hasKernelLock: true },
      "silent",
    ],
    [
      "on another machine, long silent",
      { ...other, host: "there", boot: "boot-b" },
      { ...none, silentMs: goneAfterMs + 1 },
      "gone",
    ],
    ["in a container of another host name", { ...other, host: "there" }, alive, "working"],
    ["of an earlier version, alive", { ...other, started: null, boot: null, pidNamespace: null }, alive, "working"],
    ["of an earlier version, dead", { ...other, started: null, boot: null, pidNamespace: null }, none, "gone"],
    [
      "of an earlier version, elsewhere",
      { ...other, host: "there", started: null, boot: null, pidNamespace: null },
      none,
      "silent",
    ],
  ];
  for (const [what, owner, probe, state] of cases)
    test(`${what}: ${state}`, () => assert.equal(judgeOwner(owner, self, probe), state));
  test("a torn lock has no owner", () => {
    for (const text of ["", "{", "null", "7", '{"pid":"x","host":"y"}']) assert.equal(parseOwner(text), null);
    assert.equal(parseOwner('{"pid":1,"host":"y"}')?.hasKernelLock, false);
  });
});

test("a failed attempt leaves the holder its lock, and disposal frees it once", (t) => {
  const path = temporaryLock(t);
  const lock = acquireLock(path, "test");
  for (let attempt = 0; attempt < 3; attempt++)
    assert.throws(() => acquireLock(path, "test"), { code: "run-locked", message: /test: expected no other process/ });
  lock[Symbol.dispose]();
  const next = acquireLock(path, "test");
  lock[Symbol.dispose](); // again: must not free what others hold
  assert.throws(() => acquireLock(path, "test"), { code: "run-locked" });
  next[Symbol.dispose]();
  assert.deepEqual(readdirSync(join(path, "..")), ["lock.held"]);
});

test("a holder whose lock was taken over stops at its next write", (t) => {
  const path = temporaryLock(t);
  using run = createRun(join(path, ".."), { kind: "test", config: null, inputs: {}, seed: 0 });
  run.event({ type: "one" });
  writeFileSync(join(run.directory, "lock"), JSON.stringify({ pid: 1, host: "elsewhere" }));
  for (const write of [() => run.event({ type: "two" }), () => run.writeArtifact("a", "b"), () => run.finish(null)])
    assert.throws(write, { code: "run-locked", message: /process 1 on elsewhere/ });
});

test("--fresh waits for its turn, then forgets", (t) => {
  const root = join(temporaryLock(t), "..");
  const request = { kind: "test", config: null, inputs: {}, seed: 0 };
  const first = createRun(root, request);
  first.writeArtifact("a", "b");
  assert.throws(() => createRun(root, request, { isFresh: true }), { code: "run-locked" });
  assert.equal(first.readArtifact("a")?.toString(), "b");
  first[Symbol.dispose]();
  using second = createRun(root, request, { isFresh: true });
  assert.deepEqual([second.status, second.readArtifact("a"), second.readEvents().length], ["new", null, 1]);
});

test("on another machine a sign of life counts, and its end after minutes", (t) => {
  const path = temporaryLock(t);
  const far = { ...describeSelf(true), host: "elsewhere", boot: "another" };
  writeFileSync(path, JSON.stringify(far));
  assert.throws(() => acquireLock(path, "test"), {
    code: "run-locked",
    message:
      /on elsewhere; it runs in another container or on another machine and gave a sign of life \d+ s ago; .* 5 minutes/,
  });
  const past = (Date.now() - goneAfterMs) / 1000 - 5;
  utimesSync(path, past, past);
  acquireLock(path, "test")[Symbol.dispose]();
});

const lockFile = fileURLToPath(new URL("lock.ts", import.meta.url));
/** Takes the lock and holds it; `try` says what came and ends. */
const program = (path: string, then: "hold" | "try"): string => `
  const { acquireLock } = await import(${JSON.stringify(lockFile)});
  try { globalThis.lock = acquireLock(${JSON.stringify(path)}, "test"); console.log("taken"); } catch (error) { console.log(error.code); }
  ${then === "hold" ? "setInterval(() => {}, 1000);" : "process.exit();"}`;
const nodeArgs = (path: string, then: "hold" | "try") => [
  "--disable-warning=ExperimentalWarning",
  "--input-type=module",
  "-e",
  program(path, then),
];
const firstLine = async (child: ChildProcess): Promise<string> =>
  String(((await once(child.stdout!, "data")) as [Buffer])[0]).trim();

test("after kill -9 the next process goes on at once", async (t) => {
  const path = temporaryLock(t);
  const holder = spawn(process.execPath, nodeArgs(path, "hold"));
  assert.equal(await firstLine(holder), "taken");
  assert.throws(() => acquireLock(path, "test"), {
    code: "run-locked",
    message: new RegExp(`process ${holder.pid} on`),
  });
  holder.kill("SIGKILL");
  await once(holder, "close");
  assert.ok(existsSync(path), "it could not tidy up");
  const began = performance.now();
  acquireLock(path, "test")[Symbol.dispose]();
  assert.ok(performance.now() - began < 1000);
});

const unshare = ["--pid", "--fork", "--mount-proc"];
const skip =
  spawnSync("unshare", [...unshare, "true"]).status === 0 ? false : "needs unshare --pid, which takes Linux and root";

describe("across pid namespaces", { skip }, () => {
  const inside = (path: string, then: "hold" | "try") =>
    spawn("unshare", [...unshare, "--kill-child", process.execPath, ...nodeArgs(path, then)]);

  test("a lock holds in both directions, and ends with its process", async (t) => {
    const path = temporaryLock(t);
    const outer = acquireLock(path, "test");
    assert.equal(await firstLine(inside(path, "try")), "run-locked");
    outer[Symbol.dispose]();
    const holder = inside(path, "hold");
    assert.equal(await firstLine(holder), "taken");
    assert.equal(parseOwner(readFileSync(path, "utf8"))?.pid, 1, "a number that means nothing here");
    assert.throws(() => acquireLock(path, "test"), { code: "run-locked" });
    holder.kill("SIGKILL");
    await once(holder, "close");
    acquireLock(path, "test")[Symbol.dispose]();
  });

  test("without a system lock the name alone holds too", async (t) => {
    const path = temporaryLock(t);
    const holder = inside(path, "hold");
    t.after(() => holder.kill("SIGKILL"));
    await firstLine(holder);
    const name = { ...parseOwner(readFileSync(path, "utf8"))!, hasKernelLock: false };
    const second = join(path, "..", "second");
    writeFileSync(second, JSON.stringify(name));
    assert.throws(() => acquireLock(second, "test"), { code: "run-locked", message: /another container/ });
  });
});

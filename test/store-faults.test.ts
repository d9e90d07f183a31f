/** @file The store broken off before every single write, by an error and by SIGKILL, and two processes at once. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createSigningKey, type Store, verifyStore, type WriteHook } from "../src/registry/index.ts";
import { base, litter, openTestStore, putRecord, type StoreStep, storeSteps } from "./support/store-steps.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-faults-"));
after(() => rmSync(root, { recursive: true, force: true }));
const program = fileURLToPath(new URL("support/store-steps.ts", import.meta.url));
const nodeFlags = ["--disable-warning=ExperimentalWarning"];
const open = (directory: string, onWrite: WriteHook = () => {}): Store =>
  openTestStore(directory, { clock: () => 1000, create: true, onWrite });

/** Per step, a store to which all steps before it were applied, in a folder with the holder's key. */
const prepared: { readonly step: StoreStep; readonly folder: string }[] = [];
for (const [index, step] of storeSteps.entries()) {
  const folder = join(root, `before-${index}`);
  prepared.push({ step, folder });
  if (index === 0) {
    mkdirSync(folder);
    writeFileSync(join(folder, "holder.pem"), createSigningKey().privateKey, { mode: 0o600 });
    continue;
  }
  cpSync(join(root, `before-${index - 1}`), folder, { recursive: true });
  using store = open(join(folder, "store"));
  await storeSteps[index - 1]!.run(store);
  if (step.name === "gc") litter(store);
}

let numCopies = 0;
function copyOf(folder: string): string {
  const copy = join(root, `copy-${numCopies++}`);
  cpSync(folder, copy, { recursive: true });
  return join(copy, "store");
}

/** The store opens, verifies, takes the step if it was not made, and keeps nothing that gc would not clear away. */
async function checkRecovery(directory: string, step: StoreStep, when: string): Promise<void> {
  using store = open(directory);
  assert.deepEqual(verifyStore(store).problems, [], when);
  if (!step.isDone(store)) await step.run(store);
  assert.ok(step.isDone(store), when);
  assert.deepEqual(verifyStore(store).problems, [], when);
  store.gc();
  assert.deepEqual(verifyStore(store).problems, [], when);
  assert.equal(readdirSync(join(directory, "objects")).length, store.list().length, when);
  rmSync(join(directory, ".."), { recursive: true });
}

class InjectedFault extends Error {}

/** Takes `step` with a fault before write `failAt`; `null` when it has fewer writes, else what was to be written. */
async function failAtWrite(directory: string, step: StoreStep, failAt: number): Promise<string | null> {
  let numWrites = 0;
  let faulted: string | null = null;
  try {
    using store = open(directory, (what) => {
      if (++numWrites < failAt) return;
      faulted ??= what;
      throw new InjectedFault(what); // nothing is written after the first fault, clean-up included
    });
    await step.run(store);
  } catch (error) {
    if (!(error instanceof InjectedFault)) throw error;
  }
  return faulted;
}

describe("a fault before any write leaves a store that opens, verifies and takes the change again", () => {
  for (const { step, folder } of prepared)
    test(step.name, async () => {
      let failAt = 1;
      for (; ; failAt++) {
        const directory = copyOf(folder);
        const what = await failAtWrite(directory, step, failAt);
        await checkRecovery(directory, step, `fault before "${what}"`);
        if (what === null) break;
      }
      assert.ok(failAt > 3, `it has ${failAt - 1} writes`); // at least the commit, the line and the mark
    });
});

describe("so does SIGKILL", () => {
  for (const { step, folder } of prepared)
    test(step.name, async () => {
      const kill = async (killAt: number): Promise<boolean> => {
        const directory = copyOf(folder);
        const child = spawn(process.execPath, [...nodeFlags, program, directory, step.name, `${killAt}`], {
          stdio: "inherit",
        });
        const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
          child.on("exit", (...end) => resolve(end)),
        );
        assert.ok(code === 0 || signal === "SIGKILL", `ended with ${code}`);
        await checkRecovery(directory, step, `killed before write ${killAt}`);
        return signal !== null;
      };
      for (let killAt = 1; ; killAt += 2) {
        const isKilled = await Promise.all([kill(killAt), kill(killAt + 1)]);
        if (isKilled.includes(false)) break;
      }
    });
});

test("a line of the log torn by a kill is written whole by whoever opens the store next", async () => {
  for (let failAt = 1; ; failAt++) {
    const torn = copyOf(prepared[1]!.folder);
    const what = await failAtWrite(torn, prepared[1]!.step, failAt);
    assert.notEqual(what, null, "there is a write to the log");
    if (!what!.startsWith("append")) continue;
    appendFileSync(join(torn, "audit.ndjson"), '{"base":"bbbb');
    await checkRecovery(torn, prepared[1]!.step, "torn line");
    break;
  }
});

test("a log cut by a line, by all lines, or emptied is found by verify", () => {
  for (const keep of [0, 1, 2]) {
    const directory = copyOf(prepared[4]!.folder);
    using store = open(directory);
    const path = join(directory, "audit.ndjson");
    const text = readFileSync(path, "utf8");
    const end = text
      .split("\n")
      .slice(0, keep)
      .reduce((sum, line) => sum + line.length + 1, 0);
    truncateSync(path, end);
    assert.match(verifyStore(store).problems.join("\n"), /its end was cut off|the log is gone or empty/);
  }
});

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

/**
 * Starts a process that opens the store, runs `body`, and waits for a byte on its input where that calls `wait()`. The
 * grader of its store waits too, so that what it says is of the store as it was.
 */
function contender(
  directory: string,
  body: string,
): { go(): void; readonly ready: Promise<unknown>; readonly ended: Promise<Ended> } {
  const door = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const code = `import { readSync } from "node:fs"; import { openStoreWith } from ${door("../src/registry/store-open.ts")};
    import { gradeAsTold, passed, told } from ${door("support/store-steps.ts")};
    const wait = () => { process.stdout.write("ready"); readSync(0, Buffer.alloc(1)); };
    const grade = (request) => { wait(); return gradeAsTold(request); };
    using store = openStoreWith(process.argv[1], { clock: () => 1000, create: true }, grade); ${body}`;
  const child = spawn(process.execPath, [...nodeFlags, "--input-type=module", "-e", code, directory]);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ready = new Promise((resolve) => child.stdout.once("data", resolve));
  return {
    ready,
    go: () => void ready.then(() => child.stdin.end("!")),
    ended: new Promise((resolve) => child.on("close", (exit) => resolve({ code: exit, stderr }))),
  };
}

describe("two processes at once", () => {
  test("that promote to one alias leave one winner, and the loser is told", async () => {
    const directory = copyOf(prepared[0]!.folder);
    const ids: string[] = [];
    {
      using store = open(directory);
      for (const seed of ["one", "two"]) ids.push(putRecord(store, seed));
      store.sealCanaries(base, '{"question":"Who?","answer":"Ann"}\n');
    }
    const both = ids.map((id) => contender(directory, `await store.promote("${id}", told(passed));`));
    await Promise.all(both.map(({ ready }) => ready)); // both were examined against the same
    for (const { go } of both) go();
    const ends = await Promise.all(both.map(({ ended }) => ended));
    assert.deepEqual(ends.map(({ code }) => code).toSorted(), [0, 1], ends.map(({ stderr }) => stderr).join());
    assert.match(ends.find(({ code }) => code === 1)!.stderr, /promotion-conflict|another process was faster/);
    using store = open(directory);
    assert.deepEqual(verifyStore(store).problems, []);
    assert.equal(store.serve("current").record!.id, ids[ends.findIndex(({ code }) => code === 0)]);
    assert.equal(store.history("current").length, 1);
  });

  test("that make the store and put into it both get through, under one key", async () => {
    const directory = join(copyOf(prepared[0]!.folder), "shared");
    const lineage = (seed: number) =>
      `{ kind: "adapter", base: null, parents: [], data: [], selfEdits: [], config: {}, seed: ${seed}, metrics: {}, origin: null }`;
    const all = [1, 2, 3].map((seed) =>
      contender(
        directory,
        `wait(); for (const part of ["a", "b", "c"]) store.put({ lineage: ${lineage(seed)}, files: new Map([["w", part]]) });`,
      ),
    );
    for (const { go } of all) go();
    const ends = await Promise.all(all.map(({ ended }) => ended));
    assert.deepEqual(
      ends.map(({ code }) => code),
      [0, 0, 0],
      ends.map(({ stderr }) => stderr).join(),
    );
    using store = open(directory);
    assert.equal(store.list().length, 9);
    assert.deepEqual(verifyStore(store).problems, []);
  });
});

test("the program that the kills use does what it is told", () => {
  const directory = copyOf(prepared[0]!.folder);
  const { status, stderr } = spawnSync(process.execPath, [...nodeFlags, program, directory, "put one", "0"], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  using store = open(directory);
  assert.equal(store.list().length, 1);
});

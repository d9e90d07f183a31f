/** @file What somebody who can write the folder of a run can do to it, and what the run says then. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { digestOf } from "./digests.ts";
import { createRun, type Run, runDirectory } from "./runs.ts";
import { runKey, sealOfText, userFolder } from "./user-files.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-run-log-"));
after(() => rmSync(root, { recursive: true, force: true }));
const key = Buffer.alloc(32, 7);
const request = { kind: "adapt", config: { epochs: 3 }, inputs: { text: digestOf("hello") }, seed: 7 };
let numRoots = 0;

/** A finished run with a stage and an adapter folder, and its files. */
function finished(runKeyUsed: Buffer | null = key): {
  folder: string;
  place: string;
  open: (with_?: Buffer | null) => Run;
} {
  const folder = join(root, `runs-${numRoots++}`);
  const open = (used: Buffer | null = runKeyUsed) => createRun(folder, request, { key: used });
  using run = open();
  run.writeArtifact("stages/after.json", '{"accuracy":0.25}');
  mkdirSync(run.artifactPath("adapter"), { recursive: true });
  writeFileSync(join(run.artifactPath("adapter"), "weights"), "trained");
  run.sealArtifact("adapter");
  run.writeArtifact("report.json", '{"decision":"rejected"}');
  run.finish({ decision: "rejected" });
  return { folder, place: runDirectory(folder, request), open };
}

const isChanged = { code: "run-changed", message: /--fresh/ };
/** Lines of the log, changed and written back. */
function edit(place: string, change: (lines: string[]) => readonly string[]): void {
  const path = join(place, "events.ndjson");
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  writeFileSync(path, `${change(lines).join("\n")}\n`);
}

describe("what a run left is checked before it is used", () => {
  test("a stage set to another accuracy is refused, also when report and result are deleted", () => {
    const { place, open } = finished();
    writeFileSync(join(place, "artifacts", "stages", "after.json"), '{"accuracy":1}');
    for (const name of ["artifacts/report.json", "result.json"]) rmSync(join(place, name));
    using run = open();
    assert.equal(run.status, "resumed");
    assert.throws(() => run.readArtifact("stages/after.json"), isChanged);
    assert.equal(run.readArtifact("report.json"), null, "what is gone is made again");
  });

  test("an edited report, an edited result and a swapped adapter file are refused", () => {
    const { place, open } = finished();
    {
      using run = open();
      assert.equal(run.checkArtifact("adapter"), run.artifactPath("adapter"));
      writeFileSync(join(place, "artifacts", "report.json"), '{"decision":"kept"}');
      writeFileSync(join(place, "artifacts", "adapter", "weights"), "swapped");
      assert.throws(() => run.readArtifact("report.json"), isChanged);
      assert.throws(() => run.checkArtifact("adapter"), isChanged);
      rmSync(join(place, "artifacts", "adapter"), { recursive: true });
      assert.throws(() => run.checkArtifact("adapter"), isChanged);
    }
    writeFileSync(join(place, "result.json"), '{"decision":"kept"}\n');
    assert.throws(open, isChanged);
  });

  test("a file that no line of the log knows is refused, and so is a manifest that was edited", () => {
    const { place, open } = finished();
    writeFileSync(join(place, "artifacts", "stages", "planted.json"), "{}");
    {
      using run = open();
      assert.throws(() => run.readArtifact("stages/planted.json"), isChanged);
    }
    const manifest = join(place, "manifest.json");
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace("0.1.0", "9.9.9"));
    assert.throws(open, { code: "run-changed", message: /manifest\.json/ });
  });

  const changes: readonly (readonly [what: string, change: (lines: string[]) => readonly string[]])[] = [
    ["edited", (lines) => lines.map((line) => line.replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${digestOf("x")}"`))],
    ["taken out", (lines) => lines.filter((_, index) => index !== 1)],
    ["moved", (lines) => [lines[0]!, lines[2]!, lines[1]!, ...lines.slice(3)]],
    ["replaced by something that is no event", (lines) => ["{", ...lines.slice(1)]],
  ];
  for (const [what, change] of changes)
    test(`a line of the log that was ${what} is found, with a key and without`, () => {
      for (const used of [key, null]) {
        const { place, open } = finished(used);
        edit(place, change);
        assert.throws(open, isChanged);
      }
    });

  test("a line written without the key is refused although its chain is right", () => {
    const { place, open } = finished();
    const last = readFileSync(join(place, "events.ndjson"), "utf8").trimEnd().split("\n").at(-1)!;
    const forged = JSON.stringify({
      type: "artifact-write",
      name: "stages/after.json",
      sha256: digestOf("{}"),
      previous: digestOf(last),
    });
    appendFileSync(join(place, "events.ndjson"), `${forged}\n`);
    assert.throws(open, { code: "run-changed", message: /not written by a run under this key/ });
    edit(place, (lines) => [
      ...lines.slice(0, -1),
      `${forged.slice(0, -1)},"mac":"${sealOfText(forged, Buffer.alloc(32, 8))}"}`,
    ]);
    assert.throws(open, isChanged);
  });

  test("a log of another run, of another key or of no key is not this run's", () => {
    const { place, open } = finished();
    assert.throws(() => open(Buffer.alloc(32, 9)), isChanged);
    const other = join(root, "other-runs");
    {
      using _ = createRun(other, { ...request, seed: 8 }, { key });
    }
    cpSync(join(runDirectory(other, { ...request, seed: 8 }), "events.ndjson"), join(place, "events.ndjson"));
    assert.throws(open, isChanged);
    const chained = finished(null);
    assert.throws(() => chained.open(key), isChanged);
    assert.equal(chained.open(null).status, "finished");
  });

  test("an emptied or deleted log does not make the files that lie there the run's own", () => {
    const { place, open } = finished();
    writeFileSync(join(place, "events.ndjson"), "");
    assert.throws(open, isChanged);
    rmSync(join(place, "events.ndjson"));
    assert.throws(open, isChanged);
  });

  test("a log whose end was cut, with the files of then, goes on from there", () => {
    const { place, open } = finished();
    edit(place, (lines) => lines.slice(0, 2)); // opened, one stage written
    rmSync(join(place, "result.json"));
    using run = open();
    assert.equal(run.status, "resumed");
    assert.equal(run.readArtifact("stages/after.json")?.toString(), '{"accuracy":0.25}');
    assert.throws(() => run.readArtifact("report.json"), isChanged, "it was not written yet");
  });
});

test("a kill between the line and its file leaves the old content, which is still the run's", () => {
  const folder = join(root, "killed");
  using run = createRun(folder, request, { key });
  run.writeArtifact("state.json", "1");
  run.event({ type: "artifact-write", name: "state.json", sha256: digestOf("2") }); // killed before the file
  assert.equal(run.readArtifact("state.json")?.toString(), "1");
  run.writeArtifact("state.json", "2");
  assert.equal(run.readArtifact("state.json")?.toString(), "2");
});

describe("the key of runs", () => {
  const before = { ...process.env };
  after(() => Object.assign(process.env, before));
  test("is made once, for its owner alone, outside of the runs; one with other rights or content is refused", () => {
    process.env["XDG_CONFIG_HOME"] = join(root, "config");
    const made = runKey();
    assert.equal(made?.length, 32);
    assert.equal(runKey(), made);
    const path = join(userFolder(), "run.key");
    assert.ok(existsSync(path) && path.startsWith(root));
    process.env["SELKIE_RUN_KEY"] = join(root, "shared.key");
    assert.throws(runKey, { code: "bad-file", message: /got nothing/ });
    writeFileSync(join(root, "shared.key"), "abc", { mode: 0o600 });
    assert.throws(runKey, { message: /got something else/ });
    writeFileSync(join(root, "open.key"), "ab".repeat(32), { mode: 0o644 });
    process.env["SELKIE_RUN_KEY"] = join(root, "open.key");
    if (process.platform !== "win32") assert.throws(runKey, { message: /chmod 600/ });
    delete process.env["SELKIE_RUN_KEY"];
  });

  test("is absent where the home folder cannot be written, and runs are chained then", () => {
    writeFileSync(join(root, "file"), "");
    process.env["XDG_CONFIG_HOME"] = join(root, "file");
    assert.equal(runKey(), null);
  });
});

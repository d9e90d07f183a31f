/** @file An output folder belongs to one run and is replaced as a whole, or not at all; what is not ours stays. */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { SelkieError } from "../util/index.ts";
import { claimOutput, markFile, readMark } from "./output-folder.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-output-"));
after(() => rmSync(root, { recursive: true }));

let numFolders = 0;
const newFolder = (): string => {
  const folder = join(root, `${numFolders++}`);
  mkdirSync(folder);
  return folder;
};

/** Content of a run: names of files, `/` for those in folders. */
function artifacts(...names: readonly string[]): ReadonlyMap<string, string> {
  const folder = newFolder();
  for (const name of names) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), `content of ${name}`);
  }
  return new Map([...new Set(names.map((name) => name.split("/")[0]!))].map((top) => [top, join(folder, top)]));
}

const mark = (run: string, decision = "kept") => ({ run, decision, reasons: [] });

function write(directory: string, run: string, content: ReadonlyMap<string, string>): void {
  using output = claimOutput(directory, "--out");
  output.replace(mark(run), content);
}

const refusal = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SelkieError);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test("a second run takes the place of the first whole: nothing of the first is left", () => {
  const directory = join(newFolder(), "deep", "out");
  write(directory, "a", artifacts("adapter/config.json", "adapter/weights", "report.json"));
  assert.deepEqual(readMark(directory)?.names, ["adapter/config.json", "adapter/weights", "report.json"]);
  write(directory, "b", artifacts("rejected-adapter/config.json", "report.json"));
  assert.deepEqual(readdirSync(directory).sort(), ["rejected-adapter", "report.json", markFile].sort());
  assert.equal(readMark(directory)?.run, "b");
  assert.deepEqual(readdirSync(join(directory, "..")), ["out"], "nothing is left beside it");
});

test("an empty folder and a link to one are taken", () => {
  const folder = newFolder();
  const directory = join(folder, "empty");
  mkdirSync(directory);
  write(directory, "a", artifacts("report.json"));
  symlinkSync(directory, join(folder, "link"));
  write(join(folder, "link"), "b", artifacts("report.json"));
  assert.equal(readMark(directory)?.run, "b");
});

test("a folder with anything that is not a run's is refused, before the work and after it, and stays as it is", () => {
  const cases: [what: string, spoil: (directory: string) => void, got: RegExp][] = [
    ["a file", (at) => writeFileSync(join(at, "notes.md"), "mine"), /1 file of somebody else \(notes\.md\)/],
    ["a folder", (at) => mkdirSync(join(at, "adapter", "mine")), /1 file of somebody else \(adapter\/mine\/\)/],
    ["a hidden file", (at) => writeFileSync(join(at, ".env"), "key"), /\(\.env\)/],
    ["a mark that is none", (at) => writeFileSync(join(at, markFile), "{}"), /2 files of somebody else/],
  ];
  for (const [what, spoil, got] of cases) {
    const directory = join(newFolder(), "out");
    const content = artifacts("adapter/weights", "report.json");
    write(directory, "a", content);
    spoil(directory);
    const before = readdirSync(directory, { recursive: true });
    assert.throws(() => claimOutput(directory, "--out"), refusal("bad-option", got), what);
    assert.deepEqual(readdirSync(directory, { recursive: true }), before, what);
  }
  const late = join(newFolder(), "out");
  using output = claimOutput(late, "--out");
  mkdirSync(late);
  writeFileSync(join(late, "mine"), "");
  assert.throws(() => output.replace(mark("a"), artifacts("report.json")), refusal("bad-option", /\(mine\)/));
  assert.deepEqual(readdirSync(late), ["mine"]);
});

test("a file in its place and the folder one is in are refused", () => {
  const folder = newFolder();
  writeFileSync(join(folder, "file"), "");
  assert.throws(() => claimOutput(join(folder, "file"), "--out"), refusal("bad-option", /got a file; /));
  assert.throws(() => claimOutput(join(folder, "file", "out"), "--out"), refusal("write-failed", /ENOTDIR|EEXIST/));
  assert.throws(() => claimOutput(".", "--out"), refusal("bad-option", /the folder you are in/));
  assert.throws(() => claimOutput("..", "--out"), refusal("bad-option", /the folder you are in/));
});

test("two runs at once do not share a folder", () => {
  const directory = join(newFolder(), "out");
  {
    using _ = claimOutput(directory, "--out");
    assert.throws(() => claimOutput(directory, "--out"), refusal("run-locked", /--out .*expected no other process/));
  }
  claimOutput(directory, "--out")[Symbol.dispose]();
  assert.deepEqual(readdirSync(join(directory, "..")), [], "a claim that wrote nothing leaves nothing");
});

test("what cannot be copied leaves the old folder whole", () => {
  const directory = join(newFolder(), "out");
  write(directory, "a", artifacts("adapter/weights", "report.json"));
  using output = claimOutput(directory, "--out");
  const broken = new Map([...artifacts("report.json"), ["adapter", join(root, "nowhere")]]);
  assert.throws(() => output.replace(mark("b"), broken), refusal("write-failed", /--out .*ENOENT/));
  assert.equal(readMark(directory)?.run, "a");
  assert.ok(existsSync(join(directory, "adapter", "weights")));
});

test("a kill between the two renames is put right by the next run", () => {
  const folder = newFolder();
  const directory = join(folder, "out");
  write(directory, "a", artifacts("report.json"));
  renameSync(directory, join(folder, ".out.old"));
  mkdirSync(join(folder, ".out.partial"));
  write(directory, "b", artifacts("adapter/weights"));
  assert.equal(readMark(directory)?.run, "b");
  assert.deepEqual(readdirSync(folder), ["out"]);
  assert.equal(readFileSync(join(directory, "adapter", "weights"), "utf8"), "content of adapter/weights");
});

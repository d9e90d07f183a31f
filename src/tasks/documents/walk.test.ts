/** @file Which files of a folder are documents: hidden ones, links, output of ours, questions, and what is neither. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, describe, test } from "node:test";
import { loadDocuments } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-walk-"));
after(() => rmSync(root, { recursive: true }));

/** A folder of files by path; `-> x` makes a link. */
function makeFolder(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    if (content.startsWith("-> ")) symlinkSync(content.slice(3), join(folder, path));
    else writeFileSync(join(folder, path), content);
  }
  return folder;
}

/** Files read, and what was left out with its reason, by paths inside the folder. */
async function read(folder: string, paths: readonly string[] = [folder], outputs: readonly string[] = []) {
  const { passages, leftOut, notes } = await loadDocuments(paths, { outputs });
  return {
    files: passages.map(({ file }) => relative(folder, file)),
    leftOut: Object.fromEntries(leftOut.map(({ path, reason }) => [relative(folder, path), reason])),
    notes,
    passages,
  };
}

describe("hidden", () => {
  const folder = makeFolder("hidden", {
    "a.md": "A.",
    ".b.md": "B.",
    ".trash/c.md": "C.",
    "sub/.git/deep/d.md": "D.",
    "sub/e.txt": "E.",
    ".sets/inner/f.md": "F.",
    "node_modules/pack/README.md": "G.",
    "sub/node_modules/pack/README.md": "H.",
  });
  test("things are left out, and whatever lies below a hidden folder", async () => {
    const { files, leftOut } = await read(folder);
    assert.deepEqual(files, ["a.md", "sub/e.txt"]);
    assert.deepEqual(leftOut, {
      ".b.md": "hidden",
      ".sets": "hidden",
      ".trash": "hidden",
      node_modules: "node_modules",
      "sub/.git": "hidden",
      "sub/node_modules": "node_modules",
    });
  });
  test("things that are given by name are taken", async () => {
    const paths = [".b.md", ".sets", ".trash/c.md", "node_modules"].map((path) => join(folder, path));
    assert.deepEqual((await read(folder, paths)).files, [
      ".b.md",
      ".sets/inner/f.md",
      ".trash/c.md",
      "node_modules/pack/README.md",
    ]);
  });
});

describe("links", () => {
  test("count as what they lead to, once, and loops end", async () => {
    const folder = makeFolder("links", {
      "blobs/0f3a": '{"text": "A."}\n',
      "snapshot/a.jsonl": "-> ../blobs/0f3a",
      "snapshot/again.jsonl": "-> a.jsonl",
      "snapshot/loop": "-> ..",
      "snapshot/lost.md": "-> nowhere.md",
      "snapshot/self": "-> self",
      "snapshot/more": "-> ../.elsewhere",
      ".elsewhere/b.md": "B.",
      "c.txt": "C.",
      "b-link.txt": "-> c.txt",
    });
    const { files, leftOut } = await read(folder);
    assert.deepEqual(files, ["c.txt", "snapshot/a.jsonl", "snapshot/more/b.md"]);
    assert.deepEqual(leftOut, {
      "b-link.txt": "read already",
      "snapshot/again.jsonl": "read already",
      "snapshot/loop": "read already",
      "snapshot/lost.md": "broken link",
      "snapshot/self": "broken link",
    });
    assert.deepEqual((await read(folder, [join(folder, "snapshot")])).files.slice(0, 1), ["snapshot/a.jsonl"]);
  });
  test("are taken by their own names where they lead to hidden things, and only those are", async () => {
    const folder = makeFolder("annexed", {
      ".annex/1f": "A.",
      ".annex/2e": "B.",
      ".drafts/c.md": "C.",
      ".d.md": "D.",
      "a.md": "-> .annex/1f",
      drafts: "-> .drafts",
      "d.md": "-> .d.md",
      ".e.md": "-> d.md",
    });
    const { files, leftOut } = await read(folder);
    assert.deepEqual(files, ["a.md", "d.md", "drafts/c.md"]);
    assert.deepEqual(leftOut, { ".annex": "hidden" }, "of which one file was linked");
  });
  test("to nothing are refused when given by name", async () => {
    const folder = makeFolder("dangling", { "x.md": "-> nowhere.md", "y.md": "-> y.md" });
    await assert.rejects(
      read(folder, [join(folder, "x.md")]),
      /x\.md: expected a file or folder, found a link to nothing/,
    );
    await assert.rejects(read(folder, [join(folder, "y.md")]), /a link that leads to itself/);
  });
  test("and a file given twice, or beside its folder, is read once", async () => {
    const folder = makeFolder("twice", { "a.md": "A.", "b.md": "B." });
    const a = join(folder, "a.md");
    assert.deepEqual((await read(folder, [a, a, folder, folder])).files, ["a.md", "b.md"]);
  });
});

describe("what Selkie made", () => {
  const report = JSON.stringify({ numQuestions: 0, numDocuments: 1, adapted: {}, decision: "kept", passages: [] });
  const folder = makeFolder("made", {
    "a.md": "A.",
    "mine/adapter/adapter_config.json": "{}",
    "mine/adapter/selkie-lineage.json": "{}",
    "mine/report.json": report,
    "runs/adapt-1/manifest.json": "{}",
    "runs/adapt-1/events.ndjson": "{}\n",
    "model/config.json": "{}",
    "model/model.safetensors": "",
    "planned/notes.md": "B.",
  });
  test("is not read as a document", async () => {
    const { files, leftOut } = await read(folder, [folder], [join(folder, "planned"), join(folder, "not-there-yet")]);
    assert.deepEqual(files, ["a.md"]);
    assert.deepEqual(leftOut, {
      "mine/adapter": "made by Selkie",
      "mine/report.json": "made by Selkie",
      "runs/adapt-1": "made by Selkie",
      model: "made by Selkie",
      planned: "made by Selkie",
    });
  });
  test("nor taken when given by name, where it is a report", async () => {
    await assert.rejects(read(folder, [join(folder, "mine/report.json")]), /a report that Selkie wrote/);
  });
});

test("files of unknown kind are counted and named", async () => {
  const folder = makeFolder("kinds", {
    "a.MD": "A.",
    "b.pdf": "B",
    "c.html": "C",
    LICENSE: "D",
    "e.epub": "E",
    "f.markdown": "F.",
  });
  const { files, notes } = await read(folder);
  assert.deepEqual(files, ["a.MD", "f.markdown"]);
  assert.match(notes.join("\n"), /left out: 4 of unknown kind \(.*LICENSE, .*b\.pdf, .*c\.html, …\)/);
  const none = makeFolder("none", { "b.pdf": "B" });
  await assert.rejects(
    read(none),
    /expected at least one of \.md .* found none \(left out: 1 of unknown kind \(.*b\.pdf\)\); name/,
  );
});

test("pipes and devices are left out of a folder and refused by name", {
  skip: process.platform === "win32",
}, async () => {
  const folder = makeFolder("special", { "a.md": "A." });
  assert.equal(spawnSync("mkfifo", [join(folder, "p.md")]).status, 0);
  const { files, leftOut } = await read(folder);
  assert.deepEqual([files, leftOut], [["a.md"], { "p.md": "special file" }]);
  await assert.rejects(read(folder, [join(folder, "p.md")]), /p\.md: expected a file or folder, got a pipe/);
  await assert.rejects(read(folder, ["/dev/zero"]), /\/dev\/zero: expected a file or folder, got a device/);
});

describe("questions among the documents", () => {
  const line = (passage: string | undefined, question: string) =>
    `${JSON.stringify({ passage, question, answer: "x" })}\n`;
  const folder = makeFolder("asked", {
    "documents/a.md": "A.",
    "documents/b.md": "B.",
    "questions.jsonl": line("a.md", "A?") + line("b.md", "B?") + line("gone.md", "Gone?"),
    "stray.jsonl": line("elsewhere.md", "Where?"),
  });
  test("are asked, not learned; those about no document are counted", async () => {
    const { passages, leftOut, notes } = await read(folder);
    assert.deepEqual(
      passages.map(({ id, questions }) => [id, questions[0]?.question]),
      [
        ["a.md", "A?"],
        ["b.md", "B?"],
      ],
    );
    assert.deepEqual(leftOut, { "stray.jsonl": "questions" });
    assert.match(notes.join("\n"), /questions\.jsonl: 2 questions, asked and not learned(\n|$)/);
    assert.match(notes.join("\n"), /questions\.jsonl: 1 question not used, .* as "gone\.md"/);
  });
  test("give way to a file that is named, which may be one of them", async () => {
    const questions = join(folder, "questions.jsonl");
    const limited = await loadDocuments([folder], { limit: 1, questions });
    assert.deepEqual(
      limited.passages.map(({ questions: asked }) => asked.length),
      [1],
    );
    const own = makeFolder("own", { "q.jsonl": line("b.md", "Own?") });
    const { passages, notes } = await loadDocuments([folder], { questions: join(own, "q.jsonl") });
    assert.deepEqual(
      passages.flatMap(({ questions: asked }) => asked.map(({ question }) => question)),
      ["Own?"],
    );
    assert.match(notes.join("\n"), /not used: the questions of .*questions\.jsonl/);
  });
  test("are told by what they are for, and so are the documents that have none", async () => {
    const use = (passage: string, kind: string) =>
      `${JSON.stringify({ passage, question: `${kind}?`, answer: "x", use: kind })}\n`;
    const mixed = makeFolder("mixed", {
      "documents/a.md": "A.",
      "documents/b.md": "B.",
      "documents/c.md": "C.",
      "q.jsonl": use("b.md", "selection") + use("b.md", "report") + use("b.md", "both"),
    });
    const documents = join(mixed, "documents");
    for (const [paths, questions] of [
      [[mixed], undefined],
      [[documents], join(mixed, "q.jsonl")],
    ] as const) {
      const { notes } = await loadDocuments(paths, { questions });
      assert.match(
        notes.join("\n"),
        /q\.jsonl: 3 questions, asked and not learned: 2 to choose among edits, 2 to examine what was learned/,
      );
      assert.match(notes.join("\n"), /no question is about 2 of the 3 documents \(a\.md, c\.md\); add some/);
    }
    assert.deepEqual((await loadDocuments([documents])).notes, [], "without any the model writes its own");
  });
  test("are found past the limit", async () => {
    const { passages } = await loadDocuments([folder], { limit: 1 });
    assert.deepEqual(
      passages.map(({ id, questions }) => [id, questions.length]),
      [["a.md", 1]],
    );
  });
  test("alone are no documents, and given by name must name one", async () => {
    await assert.rejects(loadDocuments([join(folder, "stray.jsonl")]), /expected documents, found questions alone/);
    await assert.rejects(
      loadDocuments([join(folder, "documents"), join(folder, "stray.jsonl")]),
      /stray\.jsonl:1: expected "passage" to name one of: a\.md, b\.md, got "elsewhere\.md"/,
    );
  });
});

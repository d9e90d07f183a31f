/** @file The map in the README shows the territory: every path listed exists, and no folder is missing from it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readTree } from "./support/readme-tree.ts";
import { listFiles, repositoryRoot } from "./support/source.ts";

const entries = readTree(readFileSync(join(repositoryRoot, "README.md"), "utf8"));
const listed = new Set(entries.map(({ path }) => path));
const isLocal = (name: string): boolean =>
  name.startsWith(".") || ["node_modules", "dist", "build", "runs"].includes(name);

/** Folders in `folder` that a clone has: not the empty ones. */
const foldersIn = (folder: string): string[] =>
  readdirSync(join(repositoryRoot, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !isLocal(entry.name))
    .map((entry) => `${folder}${entry.name}/`)
    .filter((path) => listFiles(path, () => true).length > 0);

describe("the tree in the README", () => {
  test("names only paths that exist", () => {
    assert.ok(entries.length > 0, 'expected a ```text block under the heading "The tree"');
    const missing = entries.filter(({ path }) => !existsSync(join(repositoryRoot, path))).map(({ path }) => path);
    assert.deepEqual(missing, []);
  });

  test("says of each path what it is", () => {
    assert.deepEqual(
      entries.filter(({ clause }) => clause.trim() === "").map(({ path }) => path),
      [],
    );
  });

  test("lists every folder at the top and every layer", () => {
    assert.deepEqual(
      [...foldersIn(""), ...foldersIn("src/")].filter((folder) => !listed.has(folder)),
      [],
    );
  });
});

/** @file Every line of the threat model in docs/leash.md names a test that exists, or says that it is out of scope. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

const root = join(import.meta.dirname, "..");
const text = readFileSync(join(root, "docs", "leash.md"), "utf8");
const model = text.slice(text.indexOf("## Who can do what"), text.indexOf("## Documents that lie"));
const rows = model
  .split("\n")
  .filter((line) => line.startsWith("|") && !/^\|[ -]+\|/.test(line) && !line.startsWith("| does"))
  .map((line) => line.split("|").map((cell) => cell.trim()));

/** The name as source may have it: `…` stands for what a loop puts there. */
const inSource = (name: string): RegExp =>
  new RegExp(
    name
      .split("…")
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join("\\$\\{[^}]*\\}"),
  );

describe("the threat model of docs/leash.md", () => {
  test("has a line for every access and says of each what is prevented, detected or out of scope", () => {
    assert.ok(rows.length > 40, `${rows.length} lines`);
    for (const [, does, is] of rows) assert.match(is ?? "", /^(prevented|detected|out of scope|measured)$/, does);
  });

  test("names for each of them a test that exists", () => {
    for (const [, does, is, , named] of rows) {
      const found = [...(named ?? "").matchAll(/`([^`]+\.test\.ts)`(?: “([^”]+)”)?/g)];
      assert.ok(found.length > 0 || is === "out of scope", `${does}: no test`);
      for (const [, file, name] of found) {
        const path = join(root, file!);
        assert.ok(existsSync(path), `${does}: ${file} does not exist`);
        if (name !== undefined)
          assert.match(readFileSync(path, "utf8"), inSource(name), `${does}: no test of that name`);
      }
    }
  });
});

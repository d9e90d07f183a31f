/** @file "1 tokens" does not come back: a number before a plural in what people read goes through `countOf`. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { countOf } from "../util/index.ts";

const nouns =
  "tokens passages documents questions records entries steps rounds windows edits canaries streams people parameters seeds texts trials answers files";
const bare = new RegExp(String.raw`\$\{[^{}]*\} (?:held-out |training )?(?:${nouns.replaceAll(" ", "|")})\b(?!/s)`);

/** Lines where a bare number stands before a plural; numbers that cannot be 1, as of a vocabulary, are written otherwise. */
const offences = (text: string): string[] =>
  text.split("\n").filter((line) => bare.test(line) && !/^\s*(?:\/?\*|\/\/)/.test(line));

test("one is one", () => {
  assert.deepEqual([0, 1, 2].map((count) => countOf(count, "token")), ["0 tokens", "1 token", "2 tokens"]); // biome-ignore format: one line
  assert.equal(countOf(1, "entry", "entries"), "1 entry");
});

test("no text of the command line puts a bare number before a plural", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the very thing that is looked for
  assert.equal(offences("`answering, ${numTokens} tokens`").length, 1);
  for (const folder of ["../cli/", "../app/"]) {
    const root = new URL(folder, import.meta.url);
    for (const name of readdirSync(root, { recursive: true, encoding: "utf8" }))
      if (name.endsWith(".ts") && !name.endsWith(".test.ts"))
        assert.deepEqual(offences(readFileSync(new URL(name, root), "utf8")), [], name);
  }
});

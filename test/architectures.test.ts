/**
 * @file Shared code asks properties and never names an architecture: outside its own file, a `model_type` occurs in the
 * catalog's list, in the door that exports it, and where such a model is really meant.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { architectures } from "../src/models/index.ts";
import { readSources, repositoryRoot, type SourceFile } from "./support/source.ts";

const modelTypes = architectures.modelTypes;
/** Files that name architectures because naming them is their job. */
const lists = ["src/models/catalog.ts", "src/models/index.ts"];
/** Files that make a Llama on purpose: what ships, what is measured, what tests train. Nothing else of it is known there. */
const makers = /\/nano\.ts$|\/curve-base\.ts$|^src\/cli\/bench\/(?:setup|runs)\.ts$|^src\/train\/tiny-model\.ts$/;
const makerWords = /\b(?:createLlama|plainLlama|LlamaConfig|LlamaLm)\b/g;
/** A kind of rotary scaling and a class of tokenizers that are called after a model and used by others. */
const otherWords = /llama3\b|\bLlamaTokenizer\b/gi;

/** Source without comments; strings stay. The lexer blanks both, so comments are what is blank and begins with a slash or star. */
function withoutComments({ text, code }: SourceFile): string {
  const codeLines = code.split("\n");
  return text
    .split("\n")
    .map((line, index) => {
      if (/^\s*(?:\/\*|\*|\/\/)/.test(line)) return "";
      const comment = /\s\/\/ .*$/.exec(line);
      return comment !== null && codeLines[index]!.slice(comment.index).trim() === ""
        ? line.slice(0, comment.index)
        : line;
    })
    .join("\n");
}

/** Lines of code and strings that name an architecture. */
function namings(file: SourceFile, names: readonly string[]): string[] {
  const pattern = new RegExp(names.join("|"), "i");
  return withoutComments(file)
    .replaceAll(otherWords, "")
    .split("\n")
    .flatMap((line, index) => {
      const rest = makers.test(file.path) ? line.replaceAll(makerWords, "") : line;
      return pattern.test(rest) ? [`${file.path}:${index + 1}: ${line.trim()}`] : [];
    });
}

describe("the architectures", () => {
  const sources = readSources();

  test("each has a file named by its model_type, which the scan finds", () => {
    for (const modelType of modelTypes) {
      const own = sources.find(({ path }) => path === `src/models/${modelType}.ts`);
      assert.ok(own !== undefined, `src/models/${modelType}.ts`);
      assert.ok(namings(own, [modelType]).some((line) => line.includes(`"${modelType}"`)));
    }
  });

  test("no other code names one", () => {
    const found = sources.flatMap((file) =>
      modelTypes
        .filter((modelType) => file.path !== `src/models/${modelType}.ts` && !lists.includes(file.path))
        .flatMap((modelType) => namings(file, [modelType])),
    );
    assert.deepEqual(found, [], "ask a property of the model, or move the code to the architecture's file");
  });

  test("the catalog holds a list of them and no more", () => {
    const text = readFileSync(join(repositoryRoot, "src/models/catalog.ts"), "utf8");
    for (const modelType of modelTypes) assert.equal(text.match(new RegExp(modelType, "gi"))?.length, 3); // import (name, file) and list
  });
});

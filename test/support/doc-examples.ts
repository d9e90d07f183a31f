/**
 * @file Finds the TypeScript examples of the documentation (fenced `ts` blocks of Markdown, `@example` of TSDoc) and
 * turns each into a program. `// => value` at the end of a line becomes a check of the value on that line. Examples in
 * TSDoc may use what the index.ts of their own layer and of lower ones export without importing it.
 */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { layers } from "../../src/util/index.ts";
import type { PublicName } from "./api-surface.ts";
import { lineOf, listFiles, repositoryRoot } from "./source.ts";

/** One example and where it stands. */
export interface DocExample {
  readonly path: string;
  /** Line of the file on which `code` starts. */
  readonly line: number;
  readonly code: string;
}

const read = (path: string): string => readFileSync(join(repositoryRoot, path), "utf8");

/** Fenced `ts` blocks of one Markdown file. */
export function examplesOfMarkdown(path: string, text: string): DocExample[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => ({
    path,
    line: lineOf(text, match.index) + 1,
    code: match[1]!,
  }));
}

/** `@example` parts of the doc comments of one source file, with or without a fence. */
export function examplesOfSource(path: string, text: string): DocExample[] {
  return [...text.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap((comment) =>
    [...comment[0].matchAll(/@example[^\n]*\n([\s\S]*?)(?=\n\s*\* @|\*\/)/g)].map((match) => ({
      path,
      line: lineOf(text, comment.index + match.index) + 1,
      code: match[1]!.replace(/^\s*\*? ?/gm, "").replace(/^```.*$/gm, ""),
    })),
  );
}

/** Every example of the README, `docs/` (the log and results aside) and `src/`. */
export function findExamples(): DocExample[] {
  const pages = listFiles(
    "docs",
    (path) => path.endsWith(".md") && path !== "docs/log.md" && !path.startsWith("docs/results/"),
  );
  const sources = listFiles("src", (path) => path.endsWith(".ts") && !path.endsWith(".test.ts"));
  return [
    ...["README.md", "CONTRIBUTING.md", ...pages].flatMap((path) => examplesOfMarkdown(path, read(path))),
    ...sources.flatMap((path) => examplesOfSource(path, read(path))),
  ];
}

/** Imports of the public names that a TSDoc example uses without saying so. */
function impliedImports({ path, code }: DocExample, surface: ReadonlyMap<string, readonly PublicName[]>): string {
  if (!path.startsWith("src/")) return "";
  const layerNames: readonly string[] = layers;
  const ownHeight = layerNames.indexOf(path.split("/")[1]!);
  const declared = new Set(
    [...code.matchAll(/\b(?:const|let|using|function|class|type|interface)\s+([\w$]+)/g)].map((match) => match[1]!),
  );
  for (const match of code.matchAll(/\bimport\b([^;]*)\bfrom\b/g))
    for (const word of match[1]!.match(/[\w$]+/g) ?? []) declared.add(word);
  const used = new Set([...code.matchAll(/(?<![.\w$])[A-Za-z_$][\w$]*/g)].map(([word]) => word));
  const lines: string[] = [];
  for (const layer of layerNames.slice(0, ownHeight + 1).toReversed()) {
    for (const { name, isTypeOnly } of surface.get(layer) ?? []) {
      if (declared.has(name) || !used.has(name)) continue;
      declared.add(name);
      lines.push(`import ${isTypeOnly ? "type " : ""}{ ${name} } from "selkie/${layer}";`);
    }
  }
  return lines.join(" ");
}

/** `statement; // => value` as a call of `checkValue`. */
function toCheck(line: string, where: string): string {
  const match = /^(\s*)(.*?);?\s*\/\/ => (.*)$/.exec(line);
  if (match === null) return line;
  const [, indent = "", statement = "", expected = ""] = match;
  const tail = `${JSON.stringify(expected.trim())}, ${JSON.stringify(where)});`;
  const declaration = /^(?:const|let|using) ([\w$]+)/.exec(statement)?.[1];
  if (declaration !== undefined) return `${indent}${statement}; checkValue(${declaration}, ${tail}`;
  const printed = /^console\.log\((.*)\)$/.exec(statement)?.[1];
  return `${indent}checkValue(${printed ?? statement}, ${tail}`;
}

/** The example as a module two folders below the root; its lines keep their order, so line `n + 1` is line `n` of the example. */
export function toProgram(example: DocExample, surface: ReadonlyMap<string, readonly PublicName[]>): string {
  const body = example.code.split("\n").map((line, index) => toCheck(line, `${example.path}:${example.line + index}`));
  return `import { checkValue } from "../../test/support/check-value.ts"; ${impliedImports(example, surface)}\n${body.join("\n")}\nexport {};\n`
    .replace(/(["'])selkie\1/g, '"../../src/app/door.ts"')
    .replace(
      /(["'])selkie\/(\w+)\1/g,
      (_, quote: string, layer: string) => `${quote}${posix.join("../../src", layer, "index.ts")}${quote}`,
    );
}

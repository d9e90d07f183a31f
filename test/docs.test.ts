/** @file The examples of the documentation compile, run, and give the values they show. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { readPublicSurface, runTsc } from "./support/api-surface.ts";
import { checkValue } from "./support/check-value.ts";
import { examplesOfMarkdown, examplesOfSource, findExamples, toProgram } from "./support/doc-examples.ts";
import { listFiles, repositoryRoot } from "./support/source.ts";

const folder = join(repositoryRoot, "build", "doc-examples");
const examples = findExamples();
const programName = (index: number): string => `example-${index + 1}.ts`;
const legend = examples.map(({ path, line }, index) => `${programName(index)} is ${path}:${line}`).join("\n");

/** One project with one program per example and one that runs them all. */
function writeProject(): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const surface = readPublicSurface("docs-test");
  examples.forEach((example, index) => {
    writeFileSync(join(folder, programName(index)), toProgram(example, surface));
  });
  const names = examples.map((_, index) => programName(index));
  writeFileSync(
    join(folder, "all.ts"),
    `for (const name of ${JSON.stringify(names)}) try { await import(\`./\${name}\`); } catch (error) { process.exitCode = 1; console.error(name, error); }\n`,
  );
  const compilerOptions = {
    noUnusedLocals: false,
    noUnusedParameters: false,
    isolatedDeclarations: false,
    declaration: false,
  };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"] }),
  );
}

describe("the examples of the documentation", () => {
  writeProject();

  test("compile", () => {
    const { status, output } = runTsc(["-p", join(folder, "tsconfig.json")]);
    assert.equal(status, 0, `${output}\n${legend}`);
  });

  test("run and give the values they show", () => {
    const args = ["--disable-warning=ExperimentalWarning", join(folder, "all.ts")];
    const run = spawnSync(process.execPath, args, { cwd: repositoryRoot, encoding: "utf8" });
    assert.equal(run.status, 0, `${run.stderr}\n${legend}`);
  });
});

test("every relative link in Markdown leads to a file", () => {
  const pages = [
    "README.md",
    "CONTRIBUTING.md",
    "GLOSSARY.md",
    "CHANGELOG.md",
    ...listFiles("docs", (path) => path.endsWith(".md")),
  ];
  const broken = pages.flatMap((page) =>
    [...readFileSync(join(repositoryRoot, page), "utf8").matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
      .filter((match) => !existsSync(join(repositoryRoot, dirname(page), match[1]!)))
      .map((match) => `${page}: ${match[1]}`),
  );
  assert.deepEqual(broken, []);
});

/** Paths of this repository as prose and comments name them, and documents by name. */
const namedFiles = /(?<![\w./<:-])((?:src|test|bench|scripts|docs|native|api)\/[\w./-]+\.\w+|[\w-]+\.md)\b(?![\w*/])/g;
/** What examples call files of a user's own. */
const filesOfUsers: ReadonlySet<string> = new Set(["x.md", "notes.md", "docs/out/report.json"]);
/** Places outside the repository, and numbers that only a tracker elsewhere explains. */
const elsewhere = /\.\.\/(?:shared|reference|peers)\b|\bissue #?\d+|(?<![\w&#-])#\d+\b(?!-)/gi;

/** What `text` names that a reader of the repository cannot look up; `path` is where it stands. */
function namesOfNothing(path: string, text: string): string[] {
  const files = [...text.matchAll(namedFiles)].map(([, name]) => name!);
  return [
    ...files.filter(
      (name) =>
        !filesOfUsers.has(name) && ![".", dirname(path)].some((from) => existsSync(join(repositoryRoot, from, name))),
    ),
    ...(text.match(elsewhere) ?? []),
  ].map((name) => `${path}: ${name}`);
}

/** The comments of a source file, by line; quoted text is left out of them, as files of users stand there. */
const commentsOf = (text: string): string =>
  text
    .split("\n")
    .map((line) => /^\s*(?:\/\*\*?|\*|\/\/)(.*)|\s\/\/ (.*)/.exec(line)?.slice(1).join("") ?? "")
    .join("\n");

describe("comments and documents name only what the repository has", () => {
  test("in comments", () => {
    const isCode = (path: string) => /\.(?:ts|mjs|cjs|cc|h)$/.test(path) && !path.includes("/build/");
    const files = ["src", "test", "bench", "scripts", "native"].flatMap((folder) => listFiles(folder, isCode));
    const found = files.flatMap((path) =>
      namesOfNothing(path, commentsOf(readFileSync(join(repositoryRoot, path), "utf8"))),
    );
    assert.deepEqual(found, [], "name the paper or write the formula out");
  });

  test("in documents", () => {
    const found = ["README.md", "CONTRIBUTING.md", "GLOSSARY.md", ...listFiles("docs", (path) => path.endsWith(".md"))]
      .map((path) => [path, readFileSync(join(repositoryRoot, path), "utf8")] as const)
      .flatMap(([path, text]) => namesOfNothing(path, text));
    assert.deepEqual(found, [], "name the file by its path in the repository");
  });

  test("and are found out where they do not", () => {
    const said = "see models-and-kernels.md 2.3, ../shared/notes, issue 12, #7, docs/log.md and src/gone/a.ts";
    assert.deepEqual(namesOfNothing("src/util/rng.ts", said), [
      "src/util/rng.ts: models-and-kernels.md",
      "src/util/rng.ts: src/gone/a.ts",
      "src/util/rng.ts: ../shared",
      "src/util/rng.ts: issue 12",
      "src/util/rng.ts: #7",
    ]);
    assert.equal(commentsOf('const a = "x.md"; // why\n * more'), "why\n more");
  });
});

describe("the checks themselves", () => {
  test("find fenced blocks and @example parts with their lines", () => {
    const page = "# Page\n\n```ts\nconst a = 1; // => 1\n```\n";
    assert.deepEqual(examplesOfMarkdown("p.md", page), [{ path: "p.md", line: 4, code: "const a = 1; // => 1\n" }]);
    const source = "/**\n * Adds.\n *\n * @example\n * add(1, 2); // => 3\n *\n * @remarks Source: none.\n */\n";
    const [found] = examplesOfSource("s.ts", source);
    assert.equal(found?.line, 5);
    assert.equal(found?.code.trim(), "add(1, 2); // => 3");
  });

  test("turn the arrow into a check", () => {
    const program = toProgram({ path: "p.md", line: 4, code: "const a = f(1); // => 1\nf(2); // => [2]\n" }, new Map());
    assert.match(
      program,
      /const a = f\(1\); checkValue\(a, "1", "p.md:4"\);\ncheckValue\(f\(2\), "\[2\]", "p.md:5"\);/,
    );
  });

  test("compare as printed or as JSON, and say where a value differs", () => {
    checkValue(Float32Array.of(1, 2), "[1, 2]", "p.md:1");
    checkValue({ a: "b" }, '{ "a": "b" }', "p.md:1");
    checkValue(new Map([[1, 2]]), "Map(1) { 1 => 2 }", "p.md:1");
    assert.throws(() => checkValue(3, "4", "p.md:1"), /p\.md:1: expected 4, got 3/);
  });
});

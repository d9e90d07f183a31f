/**
 * @file The shape of `src/`: layers import downward and through index.ts, files do not import each other in circles,
 * and nothing grows past what one can read. Imports of types count like any other: they have no load order, but a reader
 * follows them all the same.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { layers } from "../src/util/index.ts";
import {
  functionsOf,
  importsOf,
  readSources,
  repositoryRoot,
  resolveImport,
  type SourceFile,
} from "./support/source.ts";

const maxFileLines = 500;
const maxFunctionLines = 80;
const sources = readSources();
const layerNames: readonly string[] = layers;

/** `tensor` for `src/tensor/ops/linear.ts`. */
const layerOf = (path: string): string => path.split("/")[1] ?? "";

interface Edge {
  readonly file: string;
  readonly target: string;
  readonly line: number;
  readonly isTypeOnly: boolean;
}

const edges: readonly Edge[] = sources.flatMap((file) =>
  importsOf(file).flatMap(({ specifier, line, isTypeOnly }) => {
    const target = resolveImport(file.path, specifier);
    return target === null ? [] : [{ file: file.path, target, line, isTypeOnly }];
  }),
);

/** Something wrong with one import, phrased so that the reader can fix it; `null` when it is fine. */
function problemWith({ file, target, line }: Edge): string | null {
  const [from, to] = [layerOf(file), layerOf(target)];
  if (!target.startsWith("src/")) return `${file}:${line}: src may not import "${target}", which is outside it`;
  if (from === to) return null;
  if (!layerNames.includes(to)) return `${file}:${line}: "${to}" is not in the list of src/util/layers.ts`;
  if (layerNames.indexOf(to) > layerNames.indexOf(from))
    return `${file}:${line}: "${from}" may not import "${to}", which is above it`;
  return target === `src/${to}/index.ts`
    ? null
    : `${file}:${line}: import "${to}" through src/${to}/index.ts, not ${target}`;
}

/** Circles that remain, by the import to be removed: a backend computes on tensors, and a tensor names its backend. */
const tolerated: ReadonlySet<string> = new Set([
  "src/tensor/tensor.ts -> src/tensor/backend.ts",
  "src/tensor/quantise.ts -> src/tensor/backend.ts",
]);

/** One circle of files through their imports, or `null`. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | null {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const target of graph.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle !== null) return cycle;
    }
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

/** Files that a program or a user's import starts at: the doors, and what is run by its path. */
const entrances: readonly string[] = [
  ...layerNames.map((layer) => `src/${layer}/index.ts`),
  "src/app/door.ts",
  "src/app/grader.ts",
  "src/engine/worker.ts",
  "src/cli/main.ts",
];

/** What is reached from the entrances, themselves included. */
function reachable(): ReadonlySet<string> {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const edge of edges) if (edge.file === file) visit(edge.target);
  };
  entrances.forEach(visit);
  return reached;
}

/** True when the line above `line` gives a reason for length. */
function isExcused(file: SourceFile, line: number): boolean {
  const lines = file.text.split("\n");
  for (let at = line - 2; at >= 0 && /^\s*(?:\/\/|\*|\/\*)/.test(lines[at]!); at--)
    if (/long: \S+/.test(lines[at]!)) return true;
  return false;
}

describe("the layers of src", () => {
  test("every file lies in a listed layer", () => {
    const strays = sources.map(({ path }) => path).filter((path) => !layerNames.includes(layerOf(path)));
    assert.deepEqual(strays, [], "add the folder to src/util/layers.ts or move the file");
  });

  test("a layer imports only layers below it, through their index.ts", () => {
    assert.deepEqual(
      edges.map(problemWith).filter((problem) => problem !== null),
      [],
    );
  });

  test("every relative import names a file that exists", () => {
    const known = new Set(sources.map(({ path }) => path));
    const broken = edges.filter(({ target }) => target.endsWith(".ts") && !known.has(target));
    assert.deepEqual(
      broken.map(({ file, line, target }) => `${file}:${line}: no such file: ${target}`),
      [],
    );
  });

  test("no file imports itself in a circle", () => {
    const graph = new Map<string, string[]>(sources.map(({ path }) => [path, []]));
    for (const { file, target, isTypeOnly } of edges)
      if (!(isTypeOnly && tolerated.has(`${file} -> ${target}`))) graph.get(file)!.push(target);
    assert.equal(findCycle(graph)?.join(" -> ") ?? null, null);
  });
});

describe("the package", () => {
  const { exclude }: { exclude: readonly string[] } = JSON.parse(
    readFileSync(join(repositoryRoot, "tsconfig.build.json"), "utf8"),
  );
  const isShipped = (path: string): boolean =>
    !exclude.some((excluded) => path === excluded || path.startsWith(`${excluded}/`));

  test("ships what its doors and programs reach, and nothing that tests alone use", () => {
    const reached = reachable();
    const stray = sources.filter(({ path }) => isShipped(path) && !reached.has(path)).map(({ path }) => path);
    assert.deepEqual(stray, [], "move it beside its test or to test/support, or exclude it in tsconfig.build.json");
    assert.deepEqual(
      [...reached].filter((path) => !isShipped(path)),
      [],
      "excluded from the build, but needed by what is shipped",
    );
  });
});

describe("what one can read", () => {
  test(`no file is longer than ${maxFileLines} lines`, () => {
    const long = sources.map(({ path, text }) => ({ path, numLines: text.trimEnd().split("\n").length }));
    assert.deepEqual(
      long.filter(({ numLines }) => numLines > maxFileLines).map(({ path, numLines }) => `${path}: ${numLines} lines`),
      [],
    );
  });

  test(`no function is longer than ${maxFunctionLines} lines unless a "long:" comment above it says why`, () => {
    const offenders = sources.flatMap((file) =>
      functionsOf(file)
        .filter(({ firstLine, lastLine }) => lastLine - firstLine + 1 > maxFunctionLines && !isExcused(file, firstLine))
        .map(
          ({ name, firstLine, lastLine }) => `${file.path}:${firstLine}: ${name} has ${lastLine - firstLine + 1} lines`,
        ),
    );
    assert.deepEqual(offenders, []);
  });

  test("half of all functions have at most 12 lines, nine in ten at most 40", () => {
    const lengths = sources
      .flatMap((file) => functionsOf(file).map(({ firstLine, lastLine }) => lastLine - firstLine + 1))
      .sort((a, b) => a - b);
    const quantile = (q: number): number => lengths[Math.floor(q * (lengths.length - 1))] ?? 0;
    assert.ok(quantile(0.5) <= 12, `the median function has ${quantile(0.5)} lines`);
    assert.ok(quantile(0.9) <= 40, `one function in ten has more than ${quantile(0.9)} lines`);
  });
});

describe("the checks themselves", () => {
  const file = (path: string, text: string, code = text): SourceFile => ({ path, text, code });

  test("see upward imports, imports past index.ts and unknown layers", () => {
    const edge = (target: string): Edge => ({ file: "src/nn/a.ts", target, line: 3, isTypeOnly: false });
    assert.match(problemWith(edge("src/train/index.ts"))!, /"nn" may not import "train"/);
    assert.match(problemWith(edge("src/tensor/dtype.ts"))!, /through src\/tensor\/index.ts/);
    assert.match(problemWith(edge("src/oddments/index.ts"))!, /not in the list/);
    assert.equal(problemWith(edge("src/tensor/index.ts")), null);
  });

  test("see circles", () => {
    assert.deepEqual(
      findCycle(
        new Map([
          ["a", ["b"]],
          ["b", ["c"]],
          ["c", ["b"]],
        ]),
      ),
      ["b", "c", "b"],
    );
    assert.equal(
      findCycle(
        new Map([
          ["a", ["b", "c"]],
          ["b", ["c"]],
          ["c", []],
        ]),
      ),
      null,
    );
  });

  test("read imports across lines and leave type imports apart", () => {
    const text =
      'import {\n  a,\n} from "./a.ts";\nimport type { B } from "./b.ts";\nexport * from "./c.ts";\nconst d = await import("./d.ts");\nimport "./e.ts";\n';
    const found = importsOf(file("src/x/y.ts", text)).map(({ specifier, line, isTypeOnly }) => [
      specifier,
      line,
      isTypeOnly,
    ]);
    assert.deepEqual(found, [
      ["./a.ts", 1, false],
      ["./b.ts", 4, true],
      ["./c.ts", 5, false],
      ["./d.ts", 6, false],
      ["./e.ts", 7, false],
    ]);
  });

  test("measure functions, methods and arrows, and nothing else", () => {
    const text = [
      "function one(a: { b: number }): { c: number } {",
      "  if (a) {",
      "    return { c: 1 };",
      "  }",
      "}",
      "class Two {",
      "  method<T>(x: T): Map<string, T[]> | null {",
      "    return x ? f(x) : { y: 1 };",
      "  }",
      "}",
      "const three = (x) => ({",
      "  y: x,",
      "});",
    ].join("\n");
    const found = functionsOf(file("src/x/y.ts", text)).map(({ name, firstLine, lastLine }) => [
      name,
      firstLine,
      lastLine,
    ]);
    assert.deepEqual(found, [
      ["one", 1, 5],
      ["method", 7, 9],
      ["arrow", 11, 13],
    ]);
  });
});

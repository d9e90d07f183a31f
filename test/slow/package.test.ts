/**
 * @file The package as others get it: packed, installed into an empty folder without network, compiled against with strict
 * types and run. The dependencies are those of this checkout; the native kernels are its build, where there is one.
 */
import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runTsc } from "../support/api-surface.ts";
import { repositoryRoot } from "../support/source.ts";

const root = mkdtempSync(join(tmpdir(), "selkie-package-"));
after(() => rmSync(root, { recursive: true, force: true }));
const consumer = join(root, "consumer");
const installed = join(consumer, "node_modules", "selkie");
const modules = join(repositoryRoot, "node_modules");
const { dependencies } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};

const run = (command: string, args: readonly string[], cwd = consumer): SpawnSyncReturns<string> =>
  spawnSync(command, args, { cwd, encoding: "utf8", timeout: 300_000 });

function npm(args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = run("npm", [...args, "--offline", "--no-audit", "--no-fund"], cwd);
  assert.equal(status, 0, `npm ${args.join(" ")}: ${stdout}${stderr}`);
}

/** The example of the README's section "As a library". */
const readmeExample = (): string => {
  const readme = readFileSync(join(repositoryRoot, "README.md"), "utf8");
  const section = readme.slice(readme.indexOf("## As a library"));
  return /```ts\n([\s\S]*?)```/.exec(section)![1]!;
};

before(() => {
  mkdirSync(consumer);
  npm(["pack", "--pack-destination", root], repositoryRoot);
  const tarball = readdirSync(root).find((name) => name.endsWith(".tgz"))!;
  const names = Object.keys(dependencies);
  const manifest = {
    name: "consumer",
    private: true,
    type: "module",
    dependencies: {
      selkie: `file:${join(root, tarball)}`,
      ...Object.fromEntries(names.map((name) => [name, `file:${join(modules, name)}`])),
    },
    overrides: Object.fromEntries(names.map((name) => [name, `$${name}`])),
  };
  writeFileSync(join(consumer, "package.json"), JSON.stringify(manifest));
  npm(["install", "--ignore-scripts"], consumer);
  const kernels = join(repositoryRoot, "native", "build", "Release");
  if (existsSync(kernels))
    cpSync(join(repositoryRoot, "native", "build"), join(installed, "native", "build"), { recursive: true });
  cpSync(join(installed, "examples"), join(consumer, "examples"), { recursive: true });
});

test("every relative link of its README leads to a file of the package", () => {
  const readme = readFileSync(join(installed, "README.md"), "utf8");
  const links = [...readme.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map((match) => match[1]!);
  assert.ok(links.length > 5);
  assert.deepEqual(
    links.filter((link) => !existsSync(join(installed, link))),
    [],
  );
});

test("it brings no tests and no result tables for machines", () => {
  const files = readdirSync(installed, { recursive: true }).map(String);
  assert.deepEqual(
    files.filter((file) => /\.test\.|docs\/.*\.json$/.test(file)),
    [],
  );
});

describe("a program in strict TypeScript", () => {
  const program = `${readmeExample()}
import { createRng, SelkieError } from "selkie/util";
import type { AdaptEvent, Answer, Learned, LearnOptions, Model, Registered, TextScore } from "selkie";

const events: AdaptEvent[] = [];
const options: LearnOptions = { numEdits: 1, epochs: 1, onProgress: (event) => void events.push(event) };
async function use(model: Model): Promise<[Learned, Answer, TextScore, Registered]> {
  const again = await model.learn([{ text: "Ann Fox was born in Whitby.", questions: [] }], options);
  return [again, await model.answer("Who?"), await model.score("The sea is calm."), await again.register({ store: "store" })];
}
const [again, answer, score, { decision }] = await use(model);
const refused = await model.learn(["nowhere.txt"]).catch((error: unknown) => error);
const code = refused instanceof SelkieError ? refused.code : null;
const isSeeded: boolean = createRng("a").uniform() === createRng("a").uniform();
const stages = [...new Set(events.map(({ stage }) => stage))];
console.log(JSON.stringify({ decision: again.report.decision, reason: answer.stopReason, nats: score.totalNats, gate: decision.outcome, code, isSeeded, stages, numUpdates: again.report.numUpdates }));
`;

  test("compiles against its declarations, libraries checked too", () => {
    writeFileSync(join(consumer, "main.ts"), program);
    const compilerOptions = {
      target: "es2024",
      lib: ["es2024", "esnext.disposable", "esnext.iterator"],
      module: "nodenext",
      types: ["node"],
      typeRoots: [join(modules, "@types")],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
    };
    writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["main.ts"] }));
    const { status, output } = runTsc(["-p", join(consumer, "tsconfig.json")]);
    assert.equal(status, 0, output);
  });

  test("runs, and does what the README says", () => {
    const { status, stdout, stderr } = run(process.execPath, ["main.js"]);
    assert.equal(status, 0, stderr);
    const said = JSON.parse(stdout.trim().split("\n").at(-1)!) as Record<string, unknown>;
    assert.match(String(said["decision"]), /\w/);
    assert.ok((said["nats"] as number) < 0);
    assert.notEqual(said["gate"], undefined);
    assert.deepEqual([said["code"], said["isSeeded"]], ["missing-file", true]);
    const stages = said["stages"] as string[];
    assert.ok(stages.includes("propose") && stages.includes("after"), stages.join());
    const isTrained = (said["numUpdates"] as number) > 0; // whether anything is left to train on is up to the screen
    assert.equal(stages.includes("train"), isTrained, stages.join());
  });
});

describe("its command", () => {
  const command = join("node_modules", "selkie", "bin", "selkie.cjs");

  test("answers, with nothing but the answer on stdout and no warning of Node's", () => {
    const { status, stdout, stderr } = run(process.execPath, [command, "registry", "verify", "--store", "store"]);
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /ExperimentalWarning/);
    assert.match(stdout, /\w/);
    assert.match(run(process.execPath, [command, "--help"]).stdout, /Usage: selkie/);
  });

  test("on an older Node it says in one line what it needs, and so does an import", (context) => {
    const old = (process.env["PATH"] ?? "")
      .split(delimiter)
      .map((folder) => join(folder, "node"))
      .find((node) => existsSync(node) && Number.parseInt(run(node, ["-p", "process.versions.node"]).stdout, 10) < 24);
    if (old === undefined) return context.skip("there is no older Node on this machine");
    const asked = run(old, [command, "demo"]);
    assert.deepEqual([asked.status, asked.stdout], [2, ""]);
    assert.match(asked.stderr, /^selkie: expected Node 24 or newer, got v\d+\.\d+\.\d+; [^\n]+\n$/);
    const doors = readdirSync(join(installed, "api")).map((file) => file.slice(0, -".md".length));
    for (const door of doors.map((name) => (name === "selkie" ? name : `selkie/${name}`))) {
      const code = `import("${door}").then(() => console.log("imported"), (error) => console.log(error.code, error.message))`;
      assert.match(run(old, ["-e", code]).stdout, /^unsupported-node selkie: expected Node 24 or newer, got v/, door);
    }
  });
});

test("npm ci says nothing about engines on Node 20: nothing in the lock file asks for more", () => {
  const lock = JSON.parse(readFileSync(join(repositoryRoot, "package-lock.json"), "utf8")) as {
    packages: Record<string, { engines?: { node?: string } }>;
  };
  const demands = Object.entries(lock.packages).map(([name, { engines }]) => ({ name, node: engines?.node ?? "*" }));
  assert.ok(demands.length > 5);
  assert.deepEqual(
    demands.filter(({ node }) => Number(/^>=\s*(\d+)/.exec(node)?.[1] ?? 0) > 20),
    [],
  );
});

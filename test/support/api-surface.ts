/**
 * @file The public surface of the library, read from the declarations that `tsc` emits: for the index.ts of each layer,
 * every exported name with its signature and whether a doc comment stands before it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { layers } from "../../src/util/index.ts";
import { blankNonCode, repositoryRoot } from "./source.ts";

/** One name that an entry exports. */
export interface PublicName {
  readonly name: string;
  readonly layer: string;
  /** Declaration without comments and private members. */
  readonly signature: string;
  readonly isDocumented: boolean;
  /** True for interfaces and type aliases, which vanish when types are stripped. */
  readonly isTypeOnly: boolean;
}

interface Declaration {
  readonly signature: string;
  readonly isDocumented: boolean;
}

interface DeclarationFile {
  readonly declarations: ReadonlyMap<string, Declaration>;
  /** Names handed on from other files: local name there, public name here; `*` hands on everything. */
  readonly reexports: readonly { readonly from: string; readonly name: string; readonly as: string }[];
}

/** Runs the compiler shipped with the project; returns what it printed. */
export function runTsc(args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const tsc = join(repositoryRoot, "node_modules", "typescript", "bin", "tsc");
  const run = spawnSync(process.execPath, [tsc, ...args], { cwd: repositoryRoot, encoding: "utf8" });
  return { status: run.status, output: `${run.stdout}${run.stderr}` };
}

/** Emits the declarations of `src/` to `folder`, which is emptied first. */
function emitDeclarations(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  const { output } = runTsc([
    "-p",
    "tsconfig.build.json",
    "--declaration",
    "--emitDeclarationOnly",
    "--outDir",
    folder,
  ]);
  if (!existsSync(folder)) throw new Error(`api: expected tsc to emit declarations, got:\n${output}`);
}

const declarationPattern =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:class|interface|type|function|const|let|namespace) ([\w$]+)/;

/** Comments and private members out, empty lines out. */
function tidy(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^\s*(?:#private;|private )/.test(line))
    .join("\n")
    .trimEnd();
}

/** Names in the braces of an export statement, types included. */
function namesInBraces(statement: string): { name: string; as: string }[] {
  const list = /\{([^}]*)\}/.exec(statement)?.[1] ?? "";
  const parts = list.split(",").map((part) => part.trim().replace(/^type /, ""));
  return parts
    .filter((part) => part !== "")
    .map((part) => {
      const [name, as] = part.split(" as ") as [string, string?];
      return { name, as: as ?? name };
    });
}

/** Splits an emitted file at its top-level statements, which start in the first column. */
function parseDeclarations(path: string): DeclarationFile {
  const text = readFileSync(path, "utf8");
  const code = blankNonCode(text);
  const starts = [...code.matchAll(/^(?:export|import|declare|type|interface|class)\b/gm)].map(({ index }) => index);
  const declarations = new Map<string, Declaration>();
  const reexports: { from: string; name: string; as: string }[] = [];
  starts.forEach((start, index) => {
    const next = starts[index + 1] ?? text.length;
    const end = start + code.slice(start, next).trimEnd().length;
    const before = text.slice(index === 0 ? 0 : starts[index - 1], start);
    const doc = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/.exec(before)?.[1] ?? "@file";
    const statement = text.slice(start, end);
    const name = declarationPattern.exec(statement)?.[1];
    const from = /\bfrom "(\.[^"]+)";$/.exec(statement)?.[1];
    if (name !== undefined) {
      const known = declarations.get(name); // an overload adds to the first declaration
      const signature = known === undefined ? tidy(statement) : `${known.signature}\n${tidy(statement)}`;
      declarations.set(name, { signature, isDocumented: known?.isDocumented ?? !/@file/.test(doc) });
    } else if (from !== undefined && statement.startsWith("export")) {
      if (/^export (?:type )?\*/.test(statement)) reexports.push({ from, name: "*", as: "*" });
      else for (const names of namesInBraces(statement)) reexports.push({ from, ...names });
    }
  });
  return { declarations, reexports };
}

/** Everything `path` exports, followed through its re-exports. */
function collect(path: string, seen: Map<string, ReadonlyMap<string, Declaration>>): ReadonlyMap<string, Declaration> {
  const known = seen.get(path);
  if (known !== undefined) return known;
  const { declarations, reexports } = parseDeclarations(path);
  const names = new Map(declarations);
  seen.set(path, names);
  for (const { from, name, as } of reexports) {
    const target = resolve(dirname(path), from).replace(/\.ts$/, ".d.ts");
    if (!existsSync(target)) throw new Error(`api: ${path} re-exports from "${from}", which does not exist`);
    const exported = collect(target, seen);
    if (name === "*") for (const [each, declaration] of exported) names.set(each, declaration);
    else if (exported.has(name)) names.set(as, exported.get(name)!);
    else throw new Error(`api: ${path} re-exports "${name}", which "${from}" does not declare`);
  }
  return names;
}

/** The entries of the package by name, `selkie` being the package itself; from `exports` in package.json. */
function readDoors(): ReadonlyMap<string, string> {
  const { exports } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8")) as {
    exports: Record<string, string>;
  };
  const height = (name: string) => (layers as readonly string[]).indexOf(name);
  return new Map(
    Object.entries(exports)
      .map(([subpath, file]) => [subpath === "." ? "selkie" : subpath.slice("./".length), file] as const)
      .sort(([a], [b]) => height(a) - height(b)),
  );
}

/**
 * The public names of every entry of the package, sorted by name.
 *
 * @param asker - Names the folder of the emitted declarations, so that tests that run at once do not share one.
 */
export function readPublicSurface(asker: string): ReadonlyMap<string, readonly PublicName[]> {
  const folder = join(repositoryRoot, "build", `declarations-${asker}`);
  emitDeclarations(folder);
  const surface = new Map<string, readonly PublicName[]>();
  for (const [layer, file] of readDoors()) {
    const entry = join(folder, file.replace(/^\.\/dist\//, "").replace(/\.js$/, ".d.ts"));
    if (!existsSync(entry)) throw new Error(`api: package.json exports ${file}, of which tsc emits no declarations`);
    const names = [...collect(entry, new Map())].map(([name, { signature, isDocumented }]) => {
      const isTypeOnly = /^export (?:declare )?(?:interface|type)\b/.test(signature);
      return { name, layer, signature: signature.replace(/^export (?:declare )?/gm, ""), isDocumented, isTypeOnly };
    });
    surface.set(
      layer,
      names.sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  }
  return surface;
}

/** The report of one entry, as committed under `api/`. */
export function renderReport(layer: string, names: readonly PublicName[]): string {
  const signatures = names.map(({ signature }) => signature).join("\n\n");
  const title = layer === "selkie" ? "selkie" : `selkie/${layer}`;
  return `# ${title}\n\nWritten by \`npm run api\`; do not edit. ${names.length} names.\n\n\`\`\`ts\n${signatures}\n\`\`\`\n`;
}

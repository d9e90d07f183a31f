/**
 * @file Builds the native kernels with node-gyp; this is the package's install script, so without `--required` it never
 * fails: the plain TypeScript backend works without them. Does nothing when the sources have not changed since the
 * last build.
 *
 *     node scripts/build-native.mjs [--required] [--force]
 *
 * SELKIE_INSTRUCTION_SETS="amx,avx2" compiles only these beside the baseline, which is quicker while kernels are written.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const nativeFolder = join(root, "native");
const wantedSets = process.env["SELKIE_INSTRUCTION_SETS"]?.split(",") ?? null;
const addonPath = join(nativeFolder, "build", "Release", "selkie.node");
const digestPath = join(nativeFolder, "build", "sources.sha256");
const cure = "install g++ 11 or newer, python3 and make, then run: npm run build:native";

/** Flags of each optional instruction set, as in native/binding.gyp, and a line that only compiles with them. */
const optionalInstructionSets = [
  {
    name: "avx2",
    flags: ["-mavx2", "-mfma", "-mf16c"],
    probe: "__m256 f(__m256 a) { return _mm256_fmadd_ps(a, a, a); }",
  },
  {
    name: "avx512",
    flags: ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
    probe: "__m512 f(__m512 a) { return _mm512_fmadd_ps(a, a, a); }",
  },
  {
    name: "avx512bf16",
    flags: ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mavx512bf16"],
    probe: "__m512 f(__m512 c, __m512bh a) { return _mm512_dpbf16_ps(c, a, a); }",
  },
  {
    name: "amx",
    flags: ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
    probe: "void f() { _tile_zero(0); _tile_dpbf16ps(0, 1, 2); }",
  },
];

/** Every source file below `native/`, sorted. */
function sourceFiles(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => join(folder, entry.name) !== join(nativeFolder, "build"))
    .flatMap((entry) => (entry.isDirectory() ? sourceFiles(join(folder, entry.name)) : [join(folder, entry.name)]))
    .sort();
}

/** Changes with every source file, with this script, with the processor family and with the compiler. */
function digestOfSources(compilerVersion) {
  const hash = createHash("sha256");
  hash.update(`${process.platform} ${process.arch} ${compilerVersion} ${wantedSets ?? "all"}`);
  for (const file of [...sourceFiles(nativeFolder), fileURLToPath(import.meta.url)]) {
    hash.update(`\0${relative(root, file)}\0`);
    hash.update(readFileSync(file));
  }
  return hash.digest("hex");
}

/** The C++ compiler that make will use; null when it does not run. */
function findCompiler() {
  const command = process.env["CXX"] ?? "g++";
  const [program, ...words] = command.split(" ");
  const version = spawnSync(program, [...words, "--version"], { encoding: "utf8" });
  return version.status === 0 ? { program, words, version: version.stdout } : null;
}

function compiles(compiler, flags, source) {
  const input = `#include <immintrin.h>\n${source}\n`;
  return (
    spawnSync(compiler.program, [...compiler.words, "-std=c++20", "-x", "c++", ...flags, "-fsyntax-only", "-"], {
      input,
    }).status === 0
  );
}

/** node-gyp comes with npm, which names it to the scripts that it runs. */
function findNodeGyp() {
  const fromNpm = process.env["npm_config_node_gyp"];
  if (fromNpm !== undefined && existsSync(fromNpm)) return fromNpm;
  const globalRoot = spawnSync("npm", ["root", "-g"], { encoding: "utf8", shell: process.platform === "win32" });
  const folders = [
    globalRoot.status === 0 ? globalRoot.stdout.trim() : "",
    join(dirname(process.execPath), "..", "lib", "node_modules"),
  ];
  return (
    folders
      .map((folder) => join(folder, "npm", "node_modules", "node-gyp", "bin", "node-gyp.js"))
      .find((path) => existsSync(path)) ?? null
  );
}

/** Runs node-gyp; returns null, or says that it failed after showing why. */
function runNodeGyp(nodeGyp, args) {
  const result = spawnSync(process.execPath, [nodeGyp, ...args], {
    encoding: "utf8",
    env: { ...process.env, JOBS: process.env["JOBS"] ?? "2" },
    maxBuffer: 2 ** 28,
  });
  if (result.status === 0) return null;
  const lines = `${result.stdout ?? ""}${result.stderr ?? ""}`.trimEnd().split("\n");
  const errors = lines.filter((line) => /\berror\b|ERR!/i.test(line));
  process.stderr.write(`${(errors.length > 0 ? errors : lines).slice(0, 30).join("\n")}\n`);
  return "the compiler or node-gyp failed (its messages are above)";
}

/**
 * Folder whose include/node has the headers, or null to let node-gyp download them. The addon uses only N-API, which is
 * the same in all versions, so headers of another Node on this machine will do.
 */
function findHeaders() {
  const configured = process.env["npm_config_nodedir"];
  if (configured !== undefined && configured !== "") return configured;
  const binFolders = [dirname(process.execPath), ...(process.env["PATH"] ?? "").split(delimiter)].filter(
    (folder) => folder !== "",
  );
  const packaged = join("node_modules", `node-${process.platform}-${process.arch}`); // of the npm package "node"
  const candidates = binFolders
    .filter((folder) => existsSync(join(folder, "node")))
    .flatMap((folder) => [join(folder, ".."), join(folder, "..", packaged)]);
  return candidates.find((folder) => existsSync(join(folder, "include", "node", "node_api.h"))) ?? null;
}

/** Builds if needed; returns why it could not, or null. */
function build(force) {
  const compiler = findCompiler();
  if (compiler === null) return "no C++ compiler was found";
  const digest = digestOfSources(compiler.version);
  const isCurrent = existsSync(addonPath) && existsSync(digestPath) && readFileSync(digestPath, "utf8") === digest;
  if (isCurrent && !force) return null;
  const nodeGyp = findNodeGyp();
  if (nodeGyp === null) return "node-gyp was not found (it comes with npm)";
  const probed = process.arch === "x64" ? optionalInstructionSets : [];
  const have = probed.map(({ name, flags, probe }) => {
    const isWanted = wantedSets === null || wantedSets.includes(name);
    return `-Dhave_${name}=${isWanted && compiles(compiler, flags, probe) ? 1 : 0}`;
  });
  const headers = findHeaders();
  const nodeDir = headers === null ? [] : [`--nodedir=${headers}`];
  rmSync(digestPath, { force: true });
  // two calls: node-gyp hands what follows "--" to gyp when it configures and to make when it builds
  for (const step of [
    ["configure", "-C", nativeFolder, ...nodeDir, "--", ...have],
    ["build", "-C", nativeFolder, ...nodeDir],
  ]) {
    const problem = runNodeGyp(nodeGyp, step);
    if (problem !== null) return problem;
  }
  mkdirSync(dirname(digestPath), { recursive: true });
  writeFileSync(digestPath, digest);
  return null;
}

const problem = build(process.argv.includes("--force"));
if (problem !== null) {
  process.stderr.write(`selkie: native kernels were not built: ${problem}; ${cure}\n`);
  if (process.argv.includes("--required")) process.exitCode = 1;
}

/**
 * @file Runs on disk. The directory of a run is named by what determines its result (kind, config, digests of the
 * inputs, seed, version), so the same request finds the same directory and goes on, and two runs never share one:
 *
 *     <root>/<kind>-<digest>/manifest.json   what was asked for, and on what machine
 *                            events.ndjson   what happened, one JSON object per line
 *                            artifacts/…     files written by the run, each whole or absent
 *                            result.json     present once the run is finished
 *                            lock            process that works on it now, and lock.held, see `lock.ts`
 */
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { arch, availableParallelism, cpus, platform } from "node:os";
import { isAbsolute, join, normalize, sep } from "node:path";
import { guardWrite, makeDirectory, SelkieError } from "../util/index.ts";
import { digestOf, writeFileAtomic } from "./atomic-file.ts";
import { acquireLock, type Lock } from "./lock.ts";

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** What determines the result of a run. */
export interface RunRequest {
  /** Letters, digits and dashes, for example `adapt`. */
  readonly kind: string;
  /** Every setting that affects the result; defaults written out. */
  readonly config: Json;
  /** SHA-256 of each input by name; see `digestPath` and `digestOf`. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly seed: number | string;
}

/** Contents of `manifest.json`. */
export interface RunManifest extends RunRequest {
  readonly format: 1;
  /** `<kind>-<digest>`, the name of the directory. */
  readonly runId: string;
  readonly versions: { readonly selkie: string; readonly node: string };
  readonly machine: {
    readonly platform: string;
    readonly arch: string;
    readonly processor: string;
    readonly numCores: number;
  };
}

/** What {@link createRun} found: nothing, work begun earlier, or a finished run. */
export type RunStatus = "new" | "resumed" | "finished";

/** Options of {@link createRun}. */
export interface RunOptions {
  /** Milliseconds since 1970, put into every event as `time`. @defaultValue events carry no time */
  readonly clock?: () => number;
  /** Forgets what an earlier process did, once no other works on it. @defaultValue false */
  readonly isFresh?: boolean;
}

/** Characters of the digest in the directory's name; 48 bits. */
const digestLength = 12;

/** JSON with sorted keys, so that equal values have equal text. */
export function canonicalJson(value: Json): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** Version of this package. */
function packageVersion(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  return version;
}

function manifestOf(request: RunRequest): RunManifest {
  const { kind, config, inputs, seed } = request;
  if (!/^[a-z0-9][a-z0-9-]*$/.test(kind))
    throw new SelkieError("bad-option", `run: expected a kind of lower-case letters, digits and dashes, got "${kind}"`);
  const selkie = packageVersion();
  const digest = digestOf(canonicalJson({ kind, config, inputs, seed, selkie }));
  return {
    format: 1,
    runId: `${kind}-${digest.slice(0, digestLength)}`,
    kind,
    config,
    inputs,
    seed,
    versions: { selkie, node: process.versions.node },
    machine: {
      platform: platform(),
      arch: arch(),
      processor: cpus()[0]?.model ?? "unknown",
      numCores: availableParallelism(),
    },
  };
}

/** Directory that {@link createRun} would use, without touching the disk. */
export function runDirectory(root: string, request: RunRequest): string {
  return join(root, manifestOf(request).runId);
}

/** An open run; this process alone writes to it until it is disposed of. */
export class Run implements Disposable {
  readonly directory: string;
  /** Of the process that began the run. */
  readonly manifest: RunManifest;
  readonly status: RunStatus;
  readonly #lock: Lock;
  readonly #clock: (() => number) | null;

  /** Use {@link createRun}. */
  constructor(directory: string, manifest: RunManifest, status: RunStatus, lock: Lock, clock: (() => number) | null) {
    this.directory = directory;
    this.manifest = manifest;
    this.status = status;
    this.#lock = lock;
    this.#clock = clock;
  }

  /** Appends to `events.ndjson`. Names are noun-verb: `{ type: "edit-accept", … }`. */
  event(event: { readonly type: string; readonly [field: string]: Json }): void {
    this.#lock.check();
    const line = this.#clock === null ? event : { time: this.#clock(), ...event };
    const path = this.#path("events.ndjson");
    guardWrite(path, () => appendFileSync(path, `${JSON.stringify(line)}\n`));
  }

  /** All events so far, of earlier processes too. */
  readEvents(): readonly { readonly type: string; readonly [field: string]: Json }[] {
    const path = this.#path("events.ndjson");
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  /** Writes a file under `artifacts/`, whole or not at all, and records its digest as an event. */
  writeArtifact(name: string, content: Uint8Array | string): { readonly path: string; readonly sha256: string } {
    const path = this.artifactPath(name);
    this.#lock.check();
    writeFileAtomic(path, content);
    const sha256 = digestOf(content);
    this.event({ type: "artifact-write", name, sha256 });
    return { path, sha256 };
  }

  /** Content of an artifact; `null` when there is none. */
  readArtifact(name: string): Buffer | null {
    const path = this.artifactPath(name);
    return existsSync(path) ? readFileSync(path) : null;
  }

  /** Place of an artifact, for writers that need a path of their own (checkpoints, adapters). */
  artifactPath(name: string): string {
    const relative = normalize(name);
    if (name === "" || isAbsolute(name) || relative === ".." || relative.startsWith(`..${sep}`))
      throw new SelkieError("bad-option", `artifact: expected a path inside the run, got "${name}"`);
    return this.#path("artifacts", relative);
  }

  /** What {@link finish} recorded; `null` while the run is unfinished. */
  readResult(): Json {
    const path = this.#path("result.json");
    return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
  }

  /** Marks the run as finished. */
  finish(result: Json): void {
    this.#lock.check();
    writeFileAtomic(this.#path("result.json"), `${JSON.stringify(result, null, 2)}\n`);
    this.event({ type: "run-finish" });
  }

  #path(...parts: readonly string[]): string {
    return join(this.directory, ...parts);
  }

  /** Lets other processes work on the run. */
  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

/** Cuts a last line that a kill left half written. */
function repairEvents(path: string): void {
  if (!existsSync(path)) return;
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf(0x0a) + 1;
  if (end < bytes.length) guardWrite(path, () => truncateSync(path, end));
}

const lockName = "lock";

/** Removes all but the lock. */
function clear(directory: string): void {
  for (const name of readdirSync(directory))
    if (name !== lockName && name !== `${lockName}.held`)
      guardWrite(join(directory, name), () => rmSync(join(directory, name), { recursive: true, force: true }));
}

/**
 * Opens the run of this request under `root`, new or begun earlier.
 *
 * @throws {@link SelkieError} `"run-locked"` while another process works on the same run.
 */
export function createRun(root: string, request: RunRequest, options: RunOptions = {}): Run {
  const manifest = manifestOf(request);
  const directory = join(root, manifest.runId);
  makeDirectory(directory);
  const lock = acquireLock(join(directory, lockName), `run ${manifest.runId}`);
  try {
    if (options.isFresh === true) clear(directory);
    const manifestPath = join(directory, "manifest.json");
    const isNew = !existsSync(manifestPath);
    if (isNew) writeFileAtomic(manifestPath, `${JSON.stringify(manifest, null, 2)}\n`);
    repairEvents(join(directory, "events.ndjson"));
    const status = isNew ? "new" : existsSync(join(directory, "result.json")) ? "finished" : "resumed";
    const begun: RunManifest = isNew ? manifest : JSON.parse(readFileSync(manifestPath, "utf8"));
    const run = new Run(directory, begun, status, lock, options.clock ?? null);
    run.event({ type: "run-open", status, pid: process.pid });
    return run;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/**
 * @file Runs on disk. What is read back is checked against the run's log, which is chained and, where this person has a
 * key (`user-files.ts`), sealed with it. The directory of a run is named by what determines its result (kind, config, digests of the
 * inputs, seed, version), so the same request finds the same directory and goes on, and two runs never share one:
 *
 *     <root>/<kind>-<digest>/manifest.json   what was asked for, and on what machine
 *                            events.ndjson   what happened, one JSON object per line
 *                            artifacts/…     files written by the run, each whole or absent
 *                            result.json     present once the run is finished
 *                            lock            process that works on it now, and lock.held, see `lock.ts`
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { arch, availableParallelism, cpus, platform } from "node:os";
import { isAbsolute, join, normalize, sep } from "node:path";
import { guardWrite, makeDirectory, SelkieError, writeFileAtomic } from "../util/index.ts";
import { digestOf, digestPath } from "./digests.ts";
import { canonicalJson, type Json } from "./json.ts";
import { acquireLock, type Lock } from "./lock.ts";
import { type RunEvent, RunLog } from "./run-log.ts";
import { runKey } from "./user-files.ts";

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
  /** Seals the log; `null` only chains it. @defaultValue {@link runKey} */
  readonly key?: Buffer | null;
  /** Forgets what an earlier process did, once no other works on it. @defaultValue false */
  readonly isFresh?: boolean;
}

/** Characters of the digest in the directory's name; 48 bits. */
const digestLength = 12;

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
  readonly #log: RunLog;
  readonly #clock: (() => number) | null;

  /** Use {@link createRun}. */
  constructor(directory: string, manifest: RunManifest, status: RunStatus, parts: RunParts) {
    this.directory = directory;
    this.manifest = manifest;
    this.status = status;
    this.#lock = parts.lock;
    this.#log = parts.log;
    this.#clock = parts.clock;
  }

  /** Appends to `events.ndjson`. Names are noun-verb: `{ type: "edit-accept", … }`. */
  event(event: RunEvent): void {
    this.#lock.check();
    this.#log.append(this.#clock === null ? event : { time: this.#clock(), ...event });
  }

  /** All events so far, of earlier processes too. */
  readEvents(): readonly RunEvent[] {
    return this.#log.events;
  }

  /** Writes a file under `artifacts/`, whole or not at all, and records its digest as an event. */
  writeArtifact(name: string, content: Uint8Array | string): { readonly path: string; readonly sha256: string } {
    const path = this.artifactPath(name);
    const sha256 = digestOf(content);
    this.event({ type: "artifact-write", name, sha256 }); // first: what is in place is always in the log
    writeFileAtomic(path, content);
    return { path, sha256 };
  }

  /**
   * Content of an artifact; `null` when there is none.
   *
   * @throws {@link SelkieError} `"run-changed"` when it is not what the log says was written.
   */
  readArtifact(name: string): Buffer | null {
    const path = this.artifactPath(name);
    if (!existsSync(path)) return null;
    const content = readFileSync(path);
    this.#requireLogged(name, digestOf(content));
    return content;
  }

  /** Records the digest of an artifact, a file or a folder, that was written at its {@link Run.artifactPath}. */
  sealArtifact(name: string): void {
    this.event({ type: "artifact-write", name, sha256: digestPath(this.artifactPath(name)) });
  }

  /**
   * Path of an artifact that was sealed.
   *
   * @throws {@link SelkieError} `"run-changed"` when it is gone, or not what was sealed.
   */
  checkArtifact(name: string): string {
    const path = this.artifactPath(name);
    this.#requireLogged(name, existsSync(path) ? digestPath(path) : "nothing");
    return path;
  }

  #requireLogged(name: string, digest: string): void {
    const logged = this.#log.digestsOf(name).slice(-2); // a kill may have come between the last line and its file
    if (!logged.includes(digest))
      throw changed(this.artifactPath(name), logged.at(-1) ?? "nothing of this name", digest);
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
    const text = readFinished(this.directory, this.#log);
    return text === null ? null : JSON.parse(text);
  }

  /** Marks the run as finished. */
  finish(result: Json): void {
    const text = `${JSON.stringify(result, null, 2)}\n`;
    this.event({ type: "run-finish", sha256: digestOf(text) });
    writeFileAtomic(this.#path("result.json"), text);
  }

  #path(...parts: readonly string[]): string {
    return join(this.directory, ...parts);
  }

  /** Lets other processes work on the run. */
  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

/** What a run works with. */
interface RunParts {
  readonly lock: Lock;
  readonly log: RunLog;
  readonly clock: (() => number) | null;
}

const changed = (path: string, expected: string, got: string): SelkieError =>
  new SelkieError(
    "run-changed",
    `${path}: expected what the run's log says was written (sha256 ${expected}), got ${got}; it was changed from outside. Run the same command with --fresh to begin anew`,
  );

/** Text of `result.json`, checked; `null` where there is none. */
function readFinished(directory: string, log: RunLog): string | null {
  const path = join(directory, "result.json");
  if (!existsSync(path)) return null;
  const text = readFileSync(path, "utf8");
  const logged = log.events.findLast(({ type }) => type === "run-finish")?.["sha256"] ?? null;
  if (logged !== digestOf(text)) throw changed(path, String(logged ?? "none"), digestOf(text));
  return text;
}

/** The manifest of the process that began the run. */
function readManifest(directory: string, log: RunLog): RunManifest {
  const path = join(directory, "manifest.json");
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const logged = log.events[0]?.["manifest"] ?? null;
  if (logged !== digestOf(text)) throw changed(path, String(logged ?? "none"), digestOf(text));
  return JSON.parse(text) as RunManifest;
}

/** Begins the log of a run; what lies in its folder without one was put there by somebody else. */
function beginRun(directory: string, manifest: RunManifest): string {
  for (const name of ["artifacts", "result.json"])
    if (existsSync(join(directory, name)))
      throw changed(join(directory, name), "nothing, as its log is empty", "something");
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  writeFileAtomic(join(directory, "manifest.json"), text);
  return digestOf(text);
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
 * @throws {@link SelkieError} `"run-locked"` while another process works on the same run, `"run-changed"` when its log or
 * its manifest was changed from outside.
 */
export function createRun(root: string, request: RunRequest, options: RunOptions = {}): Run {
  const manifest = manifestOf(request);
  const directory = join(root, manifest.runId);
  makeDirectory(directory);
  const lock = acquireLock(join(directory, lockName), `run ${manifest.runId}`);
  try {
    if (options.isFresh === true) clear(directory);
    const key = options.key === undefined ? runKey() : options.key;
    const log = new RunLog(join(directory, "events.ndjson"), manifest.runId, key);
    const isNew = log.events.length === 0;
    const begun = isNew ? { manifest: beginRun(directory, manifest) } : {};
    const opened = isNew ? manifest : readManifest(directory, log);
    const status = isNew ? "new" : readFinished(directory, log) === null ? "resumed" : "finished";
    const run = new Run(directory, opened, status, { lock, log, clock: options.clock ?? null });
    run.event({ type: "run-open", status, pid: process.pid, ...begun });
    return run;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

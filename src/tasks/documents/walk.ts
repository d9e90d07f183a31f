/**
 * @file Finds the documents below files and folders. What is given by name is taken; below a folder hidden things, output
 * of ours and `node_modules` are left out, links count as what they lead to, hidden or not, and every file is found once.
 */
import type { Dirent } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { SelkieError } from "../../util/index.ts";
import { refuse, specialKind, statOf } from "./text-file.ts";
import type { LeftOut, LeftOutReason } from "./types.ts";

/** Kinds of documents, by the end of the name; case does not matter. */
export const extensions: readonly string[] = [".md", ".txt", ".jsonl", ".json", ".markdown", ".ndjson"];

/** The end of a file's name that says its kind. */
export const kindOf = (file: string): string => extname(file).toLowerCase();

/** A file to read. */
export interface FoundFile {
  readonly path: string;
  /** Named by the user, not found in a folder. */
  readonly isGiven: boolean;
}

/** What {@link findFiles} found. */
export interface Found {
  readonly files: readonly FoundFile[];
  readonly leftOut: readonly LeftOut[];
}

interface Candidate extends FoundFile {
  readonly realPath: string;
  readonly isLink: boolean;
}

/** One walk over all given paths; each folder is entered once, so links that lead back end it. */
class Walk {
  readonly candidates: Candidate[] = [];
  readonly leftOut: LeftOut[] = [];
  /** Real paths. */
  readonly entered = new Set<string>();
  readonly #outputs: ReadonlySet<string>;

  constructor(outputs: ReadonlySet<string>) {
    this.#outputs = outputs;
  }

  async enter(folder: string, realPath: string): Promise<void> {
    if (this.entered.has(realPath)) return this.leave(folder, "read already");
    this.entered.add(realPath);
    const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
      throw new SelkieError("bad-file", `${folder}: cannot be listed (${cause.code}); check its permissions`, {
        cause,
      });
    });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1)))
      await this.#visit(folder, realPath, entry);
  }

  leave(path: string, reason: LeftOutReason): void {
    this.leftOut.push({ path, reason });
  }

  async #visit(folder: string, realFolder: string, entry: Dirent): Promise<void> {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) return this.leave(path, "hidden");
    const isLink = entry.isSymbolicLink();
    const realPath = isLink ? await realpath(path).catch(() => null) : join(realFolder, entry.name);
    if (realPath === null) return this.leave(path, "broken link");
    const info = isLink ? await statOf(path) : entry;
    if (info.isDirectory()) {
      if (entry.name === "node_modules") return this.leave(path, "node_modules");
      if (this.#outputs.has(realPath) || (await isOutput(path))) return this.leave(path, "made by Selkie");
      return this.enter(path, realPath);
    }
    if (specialKind(info) !== null) return this.leave(path, "special file");
    if (!extensions.includes(kindOf(path))) return this.leave(path, "unknown kind");
    this.candidates.push({ path, realPath, isLink, isGiven: false });
  }
}

/** True for a run, an adapter, a checkpoint or a store: nothing that people write documents in. */
async function isOutput(folder: string): Promise<boolean> {
  const names = new Set(await readdir(folder).catch(() => []));
  const has = (...wanted: readonly string[]) => wanted.every((name) => names.has(name));
  return (
    has("adapter_config.json") ||
    has("manifest.json", "events.ndjson") ||
    (has("config.json") && [...names].some((name) => name.endsWith(".safetensors")))
  );
}

/** Keeps the first path to each file, one without a link where there is one. */
function onePathEach(candidates: readonly Candidate[], leave: (path: string) => void): Candidate[] {
  const chosen = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const known = chosen.get(candidate.realPath);
    if (known === undefined || (known.isLink && !candidate.isLink && !known.isGiven))
      chosen.set(candidate.realPath, candidate);
  }
  for (const candidate of candidates)
    if (chosen.get(candidate.realPath) !== candidate && chosen.get(candidate.realPath)!.path !== candidate.path)
      leave(candidate.path);
  return candidates.filter((candidate) => chosen.get(candidate.realPath) === candidate);
}

/**
 * Files below `paths`, in the order given, those of a folder sorted by path.
 *
 * @param outputs - Folders not entered unless they are given themselves; they need not exist.
 * @throws SelkieError `"missing-file"` or `"bad-file"`, naming the path.
 */
export async function findFiles(paths: readonly string[], outputs: readonly string[] = []): Promise<Found> {
  const real = await Promise.all(outputs.map((path) => realpath(path).catch(() => resolve(path))));
  const walk = new Walk(new Set(real));
  const found: Candidate[] = [];
  for (const path of paths) {
    const info = await statOf(path);
    const realPath = await realpath(path);
    if (info.isDirectory()) {
      const from = walk.candidates.length;
      await walk.enter(path, realPath);
      found.push(...walk.candidates.slice(from).toSorted((a, b) => (a.path < b.path ? -1 : 1)));
      continue;
    }
    const special = specialKind(info);
    if (special !== null) throw refuse(path, "a file or folder", special, "save its contents as a file first");
    if (!extensions.includes(kindOf(path)))
      throw refuse(path, extensions.join(" "), `"${kindOf(path)}"`, "convert it to one of these");
    found.push({ path, realPath, isLink: false, isGiven: true });
  }
  const files = onePathEach(found, (path) => walk.leave(path, "read already"));
  const taken = new Set([...walk.entered, ...files.map(({ realPath }) => realPath)]);
  return { files, leftOut: await withoutTaken(walk.leftOut, taken) };
}

/** What a link led to was not left out, although it is of unknown kind, or hidden, under its own name. */
async function withoutTaken(leftOut: readonly LeftOut[], taken: ReadonlySet<string>): Promise<LeftOut[]> {
  const isTaken = async ({ path, reason }: LeftOut): Promise<boolean> =>
    (reason === "unknown kind" || reason === "hidden") && taken.has(await realpath(path).catch(() => path));
  const flags = await Promise.all(leftOut.map(isTaken));
  return leftOut.filter((_, index) => !flags[index]);
}

/** @file What is said when the system refuses to write: one message for every writer of files, with what to do. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { SelkieError } from "./errors.ts";

const cures: Readonly<Record<string, string>> = {
  ENOSPC: "free some disk space and run the same command again; what was finished is kept",
  EDQUOT: "free some of your disk quota and run the same command again; what was finished is kept",
  EFBIG: "the file system takes no file of that size; name a place on another one",
  EACCES: "check the permissions, or name another place",
  EPERM: "check the permissions, or name another place",
  EROFS: "the file system is read-only; name a place that can be written",
  ENOTDIR: "a part of the path is a file and not a folder; name another place",
  EEXIST: "something else stands there; name another place",
  EISDIR: "a folder stands there; name another place",
  ENOTEMPTY: "a folder with other files stands there; name another place",
  ENAMETOOLONG: "name a shorter path",
  ELOOP: "the path leads in a circle of links; name another place",
  ENOENT: "a folder on the way to it was removed meanwhile; run the same command again",
  EBUSY: "another program uses it; close that and run the same command again",
  ETXTBSY: "another program uses it; close that and run the same command again",
  EMFILE: "too many files are open; raise the limit (ulimit -n) and run the same command again",
  ENFILE: "the machine has too many files open; close some programs and run the same command again",
  EIO: "the disk reported an error; check it before anything else",
};

/** SQLite's primary result codes that mean that its file could not be written. */
const sqliteCodes: Readonly<Record<number, string>> = {
  3: "EACCES", // SQLITE_PERM
  8: "EROFS", // SQLITE_READONLY
  10: "EIO", // SQLITE_IOERR
  13: "ENOSPC", // SQLITE_FULL
  14: "EACCES", // SQLITE_CANTOPEN
};

/** Code of an error of the system, such as `ENOSPC`, or of SQLite put in the system's words; `null` for any other error. */
export function systemErrorCode(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  const { code, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown };
  if (code === "ERR_SQLITE_ERROR" && typeof errcode === "number") return sqliteCodes[errcode & 0xff] ?? null;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : null;
}

/** `cause` as `"write-failed"` where the system refused to write `path`; any other error as it is. */
export function writeFailure(path: string, cause: unknown): unknown {
  const code = systemErrorCode(cause);
  if (cause instanceof SelkieError || code === null) return cause;
  const cure = cures[code] ?? "check that the place can be written";
  return new SelkieError("write-failed", `${path}: could not be written (${code}); ${cure}`, { cause });
}

/**
 * Result of `write`, which writes `path`.
 *
 * @throws {@link SelkieError} `"write-failed"` where the system refused.
 */
export function guardWrite<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (cause) {
    throw writeFailure(path, cause);
  }
}

/** {@link guardWrite} for a write that takes its time. */
export async function guardWriteAsync<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    throw writeFailure(path, cause);
  }
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/**
 * Makes a folder and those on the way to it, one by one: Node's own recursive way says ENOENT where the file system is
 * read-only.
 */
function makeOneByOne(path: string): void {
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) makeOneByOne(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    if (!isDirectory(path)) throw error; // another process may have been faster
  }
}

/**
 * Makes a folder and those on the way to it, where they are missing.
 *
 * @throws {@link SelkieError} `"write-failed"` where the system refused.
 */
export function makeDirectory(path: string): void {
  guardWrite(path, () => {
    if (!existsSync(path) || !isDirectory(path)) makeOneByOne(path);
  });
}

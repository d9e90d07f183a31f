/**
 * @file Files that are either whole or absent: written beside their place, synced, renamed. A kill at any moment leaves
 * the old file or the new one, and at worst a `.partial` that the next write of the same file replaces.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { guardWrite, makeDirectory, SelkieError, writeFailure } from "../util/index.ts";

/** Bytes of one read, write or hash call; the system and OpenSSL refuse or cut short more than 2 GiB. */
const chunkBytes = 1 << 26;

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, Math.min(chunkBytes, bytes.length - done));
}

/** Removes what a failed write left, where that is possible; the failure itself is what must be told. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // nothing was written there, or nothing can be removed either
  }
}

/** Makes a rename in `directory` durable. */
function syncDirectory(directory: string): void {
  try {
    const handle = openSync(directory, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    // Windows refuses to open directories; the rename itself is still atomic
  }
}

/**
 * Writes `sections` one after another as the file `path`, creating its directory.
 *
 * @throws {@link SelkieError} `"write-failed"` when the disk is full or refuses; the old file, if any, is untouched.
 */
export function writeFileAtomic(path: string, ...sections: readonly (Uint8Array | string)[]): void {
  const partial = `${path}.partial`;
  try {
    makeDirectory(dirname(path));
    const file = openSync(partial, "w");
    try {
      for (const section of sections) writeAll(file, typeof section === "string" ? Buffer.from(section) : section);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  } catch (cause) {
    discard(partial);
    throw writeFailure(path, cause);
  }
  syncDirectory(dirname(path));
}

/** Deletes a file that may not exist. */
export function removeFile(path: string): void {
  guardWrite(path, () => rmSync(path, { force: true }));
}

/** SHA-256 of the sections together, in hex. */
export function digestOf(...sections: readonly (Uint8Array | string)[]): string {
  const hash = createHash("sha256");
  for (const section of sections) {
    const bytes = typeof section === "string" ? Buffer.from(section) : section;
    for (let done = 0; done < bytes.length; done += chunkBytes) hash.update(bytes.subarray(done, done + chunkBytes));
  }
  return hash.digest("hex");
}

/** SHA-256 of `prefix` and the bytes of a file from `start` on, read in pieces so that size does not matter. */
export function digestFile(path: string, start = 0, prefix = ""): string {
  const hash = createHash("sha256").update(prefix);
  const file = openSync(path, "r");
  try {
    const chunk = new Uint8Array(Math.min(chunkBytes, Math.max(1, statSync(path).size - start)));
    for (let position = start; ; ) {
      const numRead = readSync(file, chunk, 0, chunk.length, position);
      if (numRead === 0) return hash.digest("hex");
      hash.update(chunk.subarray(0, numRead));
      position += numRead;
    }
  } finally {
    closeSync(file);
  }
}

/** SHA-256 of a file, or of a directory: the names, relative and sorted, and digests of all files in it. */
export function digestPath(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new SelkieError("missing-file", `digest: expected a file or directory, got nothing at ${path}`);
  if (!stats.isDirectory()) return digestFile(path);
  const names = readdirSync(path).toSorted();
  return digestOf(JSON.stringify(names.map((name) => [basename(name), digestPath(join(path, name))])));
}

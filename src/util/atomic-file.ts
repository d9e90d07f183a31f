/**
 * @file Files that are either whole or absent: written beside their place, synced, renamed. A kill at any moment leaves the
 * old file or the new one, and at worst a `<name>.<process>.partial` that nobody reads. Every file that this package
 * replaces is written here.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { guardWrite, makeDirectory, writeFailure } from "./write-error.ts";

/** Bytes of one write; the system refuses or cuts short more than 2 GiB. */
const chunkBytes = 1 << 26;

const partialOf = (path: string): string => `${path}.${process.pid}.partial`;

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

/** Makes what was done to a file, or to the names in a folder, durable. */
export function syncPath(path: string): void {
  try {
    const handle = openSync(path, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    // Windows refuses to open directories; the rename itself is still atomic
  }
}

/** Deletes a file that may not exist. */
export function removeFile(path: string): void {
  guardWrite(path, () => rmSync(path, { force: true }));
}

/** How a file is written. */
export interface AtomicWrite {
  /** Permissions of the file. @defaultValue what the system gives */
  readonly mode?: number;
  /** Told before each step, `write <partial>` and `rename <partial> to <path>`; throwing leaves it undone. */
  readonly announce?: (step: string) => void;
}

/** Makes the directory, has `partial` written and puts it in its place. */
function replace(path: string, partial: string, announce: AtomicWrite["announce"], write: () => void): void {
  announce?.(`write ${partial}`);
  try {
    makeDirectory(dirname(path));
    write();
  } catch (cause) {
    discard(partial);
    throw writeFailure(path, cause);
  }
  announce?.(`rename ${partial} to ${path}`); // a test that ends here finds the partial file, as after a kill
  try {
    renameSync(partial, path);
  } catch (cause) {
    discard(partial);
    throw writeFailure(path, cause);
  }
  syncPath(dirname(path));
}

/**
 * Writes `sections` one after another as the file `path`, creating its directory.
 *
 * @throws {@link SelkieError} `"write-failed"` when the disk is full or refuses; the old file, if any, is untouched.
 */
export function writeFileAtomic(path: string, ...sections: readonly (Uint8Array | string)[]): void {
  writeSections(path, sections);
}

/** {@link writeFileAtomic} with permissions, and with its steps told. */
export function writeSections(
  path: string,
  sections: readonly (Uint8Array | string)[],
  { mode, announce }: AtomicWrite = {},
): void {
  const partial = partialOf(path);
  replace(path, partial, announce, () => {
    rmSync(partial, { force: true }); // an earlier one of this process number may be read-only
    const file = openSync(partial, "wx", mode);
    try {
      for (const section of sections) writeAll(file, typeof section === "string" ? Buffer.from(section) : section);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  });
}

/** {@link writeFileAtomic} for a file that takes its time, written piece by piece. */
export async function writeFileAtomicAsync(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const partial = partialOf(path);
  try {
    makeDirectory(dirname(path));
    discard(partial);
    const file = await open(partial, "wx");
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    discard(partial);
    throw writeFailure(path, cause);
  }
  replace(path, partial, undefined, () => {});
}

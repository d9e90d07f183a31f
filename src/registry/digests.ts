/** @file SHA-256 of texts, files and folders: what names runs and records, and what they are held to. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { SelkieError } from "../util/index.ts";

/** Bytes of one read or hash call; the system and OpenSSL refuse or cut short more than 2 GiB. */
const chunkBytes = 1 << 26;

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

/**
 * @file Files of checkpoints and adapters: JSON that is checked where it enters, and writes that are complete or absent.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, type FileHandle, open, readFile, rename, rm } from "node:fs/promises";
import type { z } from "zod";
import { guardWriteAsync, SelkieError, writeFailure } from "../util/index.ts";

/** True when `path` can be read. */
export async function hasFile(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** Parsed JSON of `path`, of unknown shape. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new SelkieError("missing-file", `${path}: expected a readable file, got ${describeCause(cause)}`, { cause });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SelkieError("bad-file", `${path}: expected JSON, got ${describeCause(cause)}`, { cause });
  }
}

/** Checks foreign data against `schema`; the error names the file, the key and what was found. */
export function parseForeign<S extends z.ZodType>(schema: S, value: unknown, path: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`);
  throw new SelkieError("bad-file", `${path}: ${problems.join("; ")}`);
}

/** Short text of a caught error. */
export function describeCause(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Writes `path` through a temporary file beside it, so that readers see the old file or the whole new one. */
export async function writeAtomically(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const partial = `${path}.${randomUUID().slice(0, 8)}.partial`;
  const file = await guardWriteAsync(path, () => open(partial, "wx"));
  try {
    await write(file);
    await file.sync();
    await file.close();
    await rename(partial, path);
  } catch (error) {
    await file.close().catch(() => undefined); // already closed when rename failed
    await rm(partial, { force: true }).catch(() => undefined); // the failure itself is what must be told
    throw writeFailure(path, error);
  }
}

/** Writes `content`, atomically. */
export async function writeBytes(path: string, content: Uint8Array | string): Promise<void> {
  await writeAtomically(path, async (file) => {
    await file.writeFile(content);
  });
}

/** Writes `value` as indented JSON, atomically. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeBytes(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * @file Files of checkpoints and adapters: JSON that is checked where it enters, and writes that are complete or absent.
 */
import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import type { z } from "zod";
import { SelkieError, writeFileAtomicAsync } from "../util/index.ts";

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

/** Writes `content`, atomically. */
export async function writeBytes(path: string, content: Uint8Array | string): Promise<void> {
  await writeFileAtomicAsync(path, async (file) => {
    await file.writeFile(content);
  });
}

/** Writes `value` as indented JSON, atomically. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeBytes(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** @file Finished stages of a run as JSON files in one directory, each written whole or not at all. */
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SelkieError } from "../util/index.ts";
import type { StageStore } from "./settings.ts";

/** A {@link StageStore} in `directory`, which is created when first written to. */
export function createStageStore(directory: string): StageStore {
  const fileOf = (name: string) => join(directory, `${name}.json`);
  return {
    async read(name) {
      const text = await readFile(fileOf(name), "utf8").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return null;
        throw error;
      });
      return text === null ? null : JSON.parse(text);
    },
    async write(name, value) {
      await writeWhole(fileOf(name), JSON.stringify(value));
    },
  };
}

/** Writes beside the target, flushes, renames: a reader sees the old file or the new one, also after a power cut. */
export async function writeWhole(file: string, content: string): Promise<void> {
  const temporary = `${file}.${process.pid}.part`;
  try {
    await mkdir(dirname(file), { recursive: true });
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true });
    const { code, message } = cause as NodeJS.ErrnoException;
    const cure =
      code === "ENOSPC"
        ? "free some disk space and run the same command again; finished stages are kept"
        : "check that the directory is writable";
    throw new SelkieError("write-failed", `${file}: could not be written (${code ?? message}); ${cure}`, { cause });
  }
}

/**
 * @file The write helper of the store: every elementary change to the disk goes through it and is announced first, so
 * that a test can fail, or kill the process, before any one of them. What it writes is synced before the next step.
 */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { guardWrite, makeDirectory, syncPath, writeFailure, writeSections } from "../util/index.ts";

/** Told what is about to be written; throwing, or ending the process, leaves it unwritten. */
export type WriteHook = (what: string) => void;

/** Content of a file to be: bytes, text, or the path of a file to copy. */
export type FileContent = Uint8Array | string | { readonly path: string };

const readOnlyMode = 0o444;

/** Elementary writes, each announced to a hook. */
export class Disk {
  readonly #hook: WriteHook;

  constructor(hook: WriteHook = () => {}) {
    this.#hook = hook;
  }

  makeDirectory(path: string): void {
    if (existsSync(path)) return;
    this.#hook(`create ${path}`);
    makeDirectory(path);
    syncPath(dirname(path));
  }

  /** Writes a new file that nobody reads yet; read-only from then on. */
  writeNew(path: string, content: FileContent): void {
    this.#hook(`write ${path}`);
    guardWrite(path, () => {
      makeDirectory(dirname(path));
      rmSync(path, { force: true }); // left by an attempt that was cut short
      if (typeof content === "string" || content instanceof Uint8Array) writeFileSync(path, content);
      else copyFileSync(content.path, path, constants.COPYFILE_FICLONE); // takes no space where blocks can be shared
      chmodSync(path, readOnlyMode);
    });
    syncPath(path);
  }

  /** Writes `path` whole or not at all. */
  writeAtomic(path: string, content: string, mode: number = readOnlyMode): void {
    writeSections(path, [content], { mode, announce: this.#hook });
  }

  rename(from: string, to: string): void {
    this.#hook(`rename ${from} to ${to}`);
    guardWrite(to, () => {
      makeDirectory(dirname(to));
      renameSync(from, to);
    });
    syncPath(dirname(to));
  }

  remove(path: string): void {
    this.#hook(`remove ${path}`);
    guardWrite(path, () => rmSync(path, { recursive: true, force: true }));
  }

  append(path: string, text: string): void {
    this.#hook(`append to ${path}`);
    guardWrite(path, () => {
      const file = openSync(path, "a");
      try {
        const bytes = Buffer.from(text);
        for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    });
  }

  truncate(path: string, length: number): void {
    this.#hook(`truncate ${path}`);
    guardWrite(path, () => truncateSync(path, length));
  }

  /** Runs `work` as one transaction that holds the database's write lock from the start. */
  transact<T>(database: DatabaseSync, work: () => T): T {
    database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#hook("commit");
      database.exec("COMMIT");
      return result;
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw writeFailure(database.location() ?? "store", error);
    }
  }
}

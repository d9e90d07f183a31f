/**
 * @file A lock of the operating system on a file, through SQLite: Node has no `flock`, but SQLite locks its database with
 * `fcntl` (with `LockFileEx` on Windows), and that lock ends with the process however it ends, and is seen across
 * containers. The file stays empty, and is never deleted: a lock on a file that has no name any more protects nothing.
 */
import type { DatabaseSync } from "node:sqlite";

/** A held lock; dispose of it to give it back. */
export type KernelLock = Disposable;

/** SQLite's SQLITE_BUSY. */
const busyCode = 5;

/** Takes the lock: `"busy"` while another holder lives, this process included, `"unavailable"` where files cannot be locked. */
export function takeKernelLock(path: string): KernelLock | "busy" | "unavailable" {
  let database: DatabaseSync | null = null;
  try {
    // loaded here, not imported: Node announces sqlite as experimental wherever it is loaded, and an old one has none
    const { DatabaseSync: Database } = process.getBuiltinModule("node:sqlite");
    database = new Database(path);
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE");
    const held = database;
    return { [Symbol.dispose]: () => held.close() };
  } catch (error) {
    database?.close();
    const isBusy = (error as { errcode?: number }).errcode === busyCode;
    return isBusy ? "busy" : "unavailable";
  }
}

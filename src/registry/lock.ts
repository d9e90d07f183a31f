/** @file A lock file that names its process, so that two processes never work on one directory and a dead one does not block it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { SelkieError, writeFailure } from "../util/index.ts";

/** A held lock; dispose of it to let others in. */
export type Lock = Disposable;

const attempts = 3;

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

/** True for a process that has ended and only waits for its parent to notice, as after `kill -9`. */
function isZombie(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    return /^\) [ZX]/.test(status.slice(status.lastIndexOf(")"))); // the name before it may hold anything
  } catch {
    return false; // not Linux, or gone just now
  }
}

/** True when the lock's process runs on this machine, or may run on another. */
function isHeld({ pid, host }: { readonly pid: number; readonly host: string }): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0); // signal 0 only asks whether the process exists
    return !isZombie(pid);
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

/** Owner named in a lock file; `null` when it is gone or torn. */
function readOwner(path: string): { readonly text: string; readonly pid: number; readonly host: string } | null {
  try {
    const text = readFileSync(path, "utf8");
    const { pid, host } = JSON.parse(text);
    return { text, pid, host };
  } catch {
    return null;
  }
}

/** Takes the lock of a dead process away; puts it back when another process was faster. */
function removeStale(path: string, staleText: string | null): void {
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw writeFailure(path, error);
  }
  if ((readOwner(aside)?.text ?? null) === staleText) rmSync(aside, { force: true });
  else renameSync(aside, path);
}

/**
 * Takes the lock at `path`.
 *
 * @param what - Named in the message when it is taken.
 * @throws {@link SelkieError} `"run-locked"` when a living process, this one included, holds it.
 */
export function acquireLock(path: string, what: string): Lock {
  const own = JSON.stringify({ pid: process.pid, host: hostname() });
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      writeFileSync(path, own, { flag: "wx" }); // fails when the file exists
      return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw writeFailure(path, error);
    }
    const owner = readOwner(path);
    if (owner !== null && isHeld(owner))
      throw new SelkieError(
        "run-locked",
        `${what}: expected no other process on it, got process ${owner.pid} on ${owner.host}; wait for it, stop it, or delete ${path} if it is gone`,
      );
    removeStale(path, owner?.text ?? null);
  }
  throw new SelkieError("run-locked", `${what}: other processes keep taking ${path}; try again`);
}

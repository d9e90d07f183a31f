/**
 * @file A lock on a directory, so that two processes never work on it at once and a dead one does not block it.
 *
 * Two parts. `<path>` names the process, for people and for machines that cannot ask it. `<path>.held` is locked by the
 * operating system for as long as the process lives: on one machine, containers included, that decides, and after a
 * `kill -9` the next process goes on at once. From another machine that sees the same folder, or where files cannot be
 * locked, the named process counts as gone when it has given no sign of life for five minutes. A process that finds its
 * lock taken over stops at its next write.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirectory, SelkieError, writeFailure } from "../util/index.ts";
import { type KernelLock, takeKernelLock } from "./kernel-lock.ts";
import {
  describeSelf,
  goneAfterMs,
  heartbeatMs,
  judgeOwner,
  type LockOwner,
  parseOwner,
  probeSystem,
} from "./lock-owner.ts";

/** A held lock; dispose of it to let others in. */
export interface Lock extends Disposable {
  /** @throws {@link SelkieError} `"run-locked"` when another process has taken the lock over meanwhile. */
  check(): void;
}

const attempts = 3;

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

/** Text of a file; `null` when it is gone. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Age of the last sign of life, by the clock of the disk that holds the lock: no two machines agree on theirs. */
function silenceOf(path: string): number {
  const probe = `${path}.clock-${process.pid}`;
  try {
    writeFileSync(probe, "");
    return statSync(probe).mtimeMs - statSync(path).mtimeMs;
  } catch {
    return 0; // gone just now
  } finally {
    rmSync(probe, { force: true });
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
  if (readText(aside) !== staleText) {
    renameSync(aside, path);
    return;
  }
  try {
    rmSync(aside, { force: true });
  } catch (error) {
    renameSync(aside, path); // a folder, most likely
    throw new SelkieError(
      "run-locked",
      `${path}: expected a lock file, got something that cannot be deleted; move it away`,
      { cause: error },
    );
  }
}

/** The error for a lock that another process holds. */
function locked(path: string, what: string, owner: LockOwner | null, silentMs: number | null): SelkieError {
  const who = owner === null ? "another process" : `process ${owner.pid} on ${owner.host}`;
  const cure =
    silentMs === null
      ? "wait for it or stop it"
      : `it runs in another container or on another machine and gave a sign of life ${Math.max(0, Math.round(silentMs / 1000))} s ago; it counts as gone after ${goneAfterMs / 60_000} minutes without one: wait, stop it, or delete ${path} if you know that it has ended`;
  return new SelkieError("run-locked", `${what}: expected no other process on it, got ${who}; ${cure}`);
}

/** Makes the lock file with `text`, over that of a process that is gone; returns it open. */
function claim(path: string, what: string, own: LockOwner, text: string): number {
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      const file = openSync(path, "wx"); // fails when the file exists
      writeSync(file, text);
      return file;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw writeFailure(path, error);
    }
    const found = readText(path);
    const owner = found === null ? null : parseOwner(found);
    if (owner !== null) {
      const silentMs = silenceOf(path);
      const state = judgeOwner(owner, own, probeSystem(silentMs, own.hasKernelLock));
      if (state !== "gone") throw locked(path, what, owner, state === "silent" ? silentMs : null);
    }
    removeStale(path, found);
  }
  throw new SelkieError("run-locked", `${what}: other processes keep taking ${path}; try again`);
}

/**
 * Takes the lock at `path`.
 *
 * @param what - Named in the message when it is taken.
 * @throws {@link SelkieError} `"run-locked"` when another process, or this one, holds it.
 */
export function acquireLock(path: string, what: string): Lock {
  makeDirectory(dirname(path));
  const kernelLock = takeKernelLock(`${path}.held`);
  if (kernelLock === "busy") throw locked(path, what, parseOwner(readText(path) ?? ""), null);
  const held: KernelLock | null = kernelLock === "unavailable" ? null : kernelLock;
  const own = describeSelf(held !== null);
  const text = JSON.stringify(own);
  let file: number;
  try {
    file = claim(path, what, own, text);
  } catch (error) {
    held?.[Symbol.dispose]();
    throw error;
  }
  const isOurs = () => readText(path) === text;
  const check = () => {
    if (!isOurs()) throw locked(path, what, parseOwner(readText(path) ?? ""), null);
  };
  const beat = setInterval(() => signOfLife(file, text), heartbeatMs);
  beat.unref(); // does not keep the process alive
  let isOpen = true;
  return {
    check,
    [Symbol.dispose]() {
      if (!isOpen) return;
      isOpen = false;
      clearInterval(beat);
      closeSync(file);
      if (isOurs()) rmSync(path, { force: true });
      held?.[Symbol.dispose]();
    },
  };
}

/** Writes the same text over itself: the disk notes the time. A file that was taken away meanwhile gets it, not its successor. */
function signOfLife(file: number, text: string): void {
  try {
    writeSync(file, text, 0);
  } catch {
    // the disk may be full or gone; the next one may succeed
  }
}

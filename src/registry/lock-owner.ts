/**
 * @file Who holds a lock, and whether that process still works. A process number means something only on its own machine,
 * since its boot, and in its own pid namespace (container); elsewhere only signs of life count.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** What a lock file says. What a system cannot tell is `null`; files of earlier versions lack all but the first two. */
export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** Ticks since boot at which the process began: tells it from a later one of the same number. */
  readonly started: string | null;
  /** Names the running kernel; another after each boot. */
  readonly boot: string | null;
  readonly pidNamespace: string | null;
  /** The process also holds the lock of the operating system, which ends with it. */
  readonly hasKernelLock: boolean;
}

/** What can be found out about another process, and about its signs of life. */
export interface Probe {
  /** True for a living process of that number in our own namespace. */
  isAlive(pid: number): boolean;
  startOf(pid: number): string | null;
  /** Time since the last sign of life, by the clock of the disk. */
  readonly silentMs: number;
  /** We hold the lock of the operating system, so nobody else on this machine does. */
  readonly hasKernelLock: boolean;
}

/** Time between two signs of life. */
export const heartbeatMs = 10_000;
/** An owner that cannot be asked counts as gone after so long without a sign of life: thirty are missed. */
export const goneAfterMs: number = 30 * heartbeatMs;

/** Whether the owner still works. `"silent"`: nobody can tell, and it gave a sign of life not long ago. */
export type OwnerState = "working" | "gone" | "silent";

const readOr = <T>(read: () => T): T | null => {
  try {
    return read();
  } catch {
    return null;
  }
};

/** Start time in the status line of a process; the name before it may hold anything. */
function startOf(pid: number | "self"): string | null {
  const status = readOr(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  return status === null ? null : (status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? null);
}

/** This process as the owner of a lock. */
export const describeSelf = (hasKernelLock: boolean): LockOwner => ({
  pid: process.pid,
  host: hostname(),
  started: startOf("self"),
  boot: readOr(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
  pidNamespace: readOr(() => readlinkSync("/proc/self/ns/pid")),
  hasKernelLock,
});

/** True for a process that has ended and only waits for its parent to notice, as after `kill -9`. */
function isZombie(pid: number): boolean {
  const status = readOr(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  return status !== null && /^\) [ZX]/.test(status.slice(status.lastIndexOf(")")));
}

/** The running system as a {@link Probe}. */
export const probeSystem = (silentMs: number, hasKernelLock: boolean): Probe => ({
  isAlive(pid) {
    try {
      process.kill(pid, 0); // signal 0 only asks whether the process exists
      return !isZombie(pid);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM";
    }
  },
  startOf,
  silentMs,
  hasKernelLock,
});

/** Whether the owner of a lock still works, as seen from a process that describes itself as `self`. */
export function judgeOwner(owner: LockOwner, self: LockOwner, probe: Probe): OwnerState {
  const isSameKernel = owner.boot === null || self.boot === null ? owner.host === self.host : owner.boot === self.boot;
  // what the operating system gave to us, nobody else on it holds
  if (isSameKernel && owner.hasKernelLock && probe.hasKernelLock) return "gone";
  const isSameNamespace = owner.pidNamespace === null || owner.pidNamespace === self.pidNamespace;
  if (isSameKernel && isSameNamespace) {
    if (!probe.isAlive(owner.pid)) return "gone";
    const started = probe.startOf(owner.pid);
    return owner.started === null || started === null || owner.started === started ? "working" : "gone";
  }
  return probe.silentMs > goneAfterMs ? "gone" : "silent";
}

/** The owner in the text of a lock file; `null` when it is torn. */
export function parseOwner(text: string): LockOwner | null {
  const value = readOr(() => JSON.parse(text) as Partial<LockOwner> | null);
  if (value === null || typeof value !== "object") return null;
  const { pid, host, started = null, boot = null, pidNamespace = null, hasKernelLock = false } = value;
  return typeof pid === "number" && typeof host === "string"
    ? { pid, host, started, boot, pidNamespace, hasKernelLock }
    : null;
}

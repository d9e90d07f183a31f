/**
 * @file What Selkie keeps for a person outside of every run and every store, so that whoever may write those cannot write
 * this: the key that seals the logs of runs, and what is remembered of stores (`store-pins.ts`).
 *
 *     $XDG_CONFIG_HOME/selkie, else ~/.config/selkie, else %APPDATA%\selkie on Windows
 *         run.key           32 random bytes in hex, for its owner alone
 *         stores/<…>.json   public key and last head of each store seen
 */
import { createHmac, randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { SelkieError } from "../util/index.ts";

/** Folder of this person's files; it may not be there yet. */
export function userFolder(): string {
  const { XDG_CONFIG_HOME: given, APPDATA: windows } = process.env;
  if (given !== undefined && given !== "") return join(given, "selkie");
  if (process.platform === "win32" && windows !== undefined) return join(windows, "selkie");
  return join(homedir(), ".config", "selkie");
}

const keyPattern = /^[0-9a-f]{64}\s*$/;

/** The key in this file; made first where `isOwn` and there is none. `null` where none can be made. */
function readKey(path: string, isOwn: boolean): Buffer | null {
  if (isOwn && !makeKey(path)) return null;
  const stats = statSync(path, { throwIfNoEntry: false });
  const text = stats?.isFile() ? readFileSync(path, "utf8") : "";
  if (!keyPattern.test(text))
    throw new SelkieError(
      "bad-file",
      `${path}: expected the key of runs, 64 hexadecimal digits, got ${stats === undefined ? "nothing" : "something else"}; put the key back, or remove the file and run what it sealed again with --fresh`,
    );
  if (process.platform !== "win32" && (stats!.mode & 0o077) !== 0)
    throw new SelkieError(
      "bad-file",
      `${path}: expected a key that only its owner can read, got mode ${(stats!.mode & 0o777).toString(8)}; run chmod 600 on it`,
    );
  return Buffer.from(text.trim(), "hex");
}

/** False where the folder cannot be written. */
function makeKey(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return true;
  const partial = `${path}.${process.pid}.partial`;
  try {
    mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
    writeFileSync(partial, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
    try {
      linkSync(partial, path); // whole or not at all, and never over the key of a process that was faster
    } finally {
      rmSync(partial, { force: true });
    }
    return true;
  } catch {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  }
}

const keys = new Map<string, Buffer | null>();

/**
 * The key that seals runs: of the file that `SELKIE_RUN_KEY` names, for runs that several machines share, else this
 * person's own, made at its first use. `null` where the home folder cannot be written: runs are then only chained.
 */
export function runKey(): Buffer | null {
  const given = process.env["SELKIE_RUN_KEY"];
  const isOwn = given === undefined || given === "";
  const path = isOwn ? join(userFolder(), "run.key") : given;
  const known = keys.get(path);
  if (known !== undefined) return known;
  const key = readKey(path, isOwn);
  keys.set(path, key);
  return key;
}

/** HMAC-SHA-256 of `text` with the key, hex. */
export const sealOfText = (text: string, key: Buffer): string => createHmac("sha256", key).update(text).digest("hex");

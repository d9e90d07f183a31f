/**
 * @file What a person's own folder remembers of a store: its public key and the last end of its log. The first use of a
 * store pins it. Later uses are refused where the key is another one, where the log no longer holds what was seen, and
 * where the store is gone, because none of these can be seen from inside a store that was put back or written anew.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { closeSync, existsSync, lstatSync, openSync, readFileSync, readSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { removeFile, SelkieError, writeFileAtomic } from "../util/index.ts";
import { digestOf } from "./digests.ts";
import { keyFingerprint, publicKeyPem } from "./signing.ts";
import { shortId } from "./store-aliases.ts";
import type { RecordedHead } from "./store-database.ts";

/** Where trust in a store comes from, outside of it. */
export interface StoreTrust {
  /** Must be the store's key. */
  readonly publicKey?: KeyObject | undefined;
  /** Folder of what is remembered of stores. @defaultValue nothing is remembered */
  readonly pinFolder?: string | undefined;
}

/** What is remembered of one store. */
export interface Pin {
  /** Its real path. */
  readonly store: string;
  /** PEM. */
  readonly publicKey: string;
  readonly length: number;
  readonly hash: string;
  /** Where the last line begins in the log, and where the log ended. */
  readonly start: number;
  readonly bytes: number;
}

const schema: z.ZodType<Pin> = z.object({
  store: z.string(),
  publicKey: z.string(),
  length: z.int().min(0),
  hash: z.string(),
  start: z.int().min(0),
  bytes: z.int().min(0),
});

/** Real path of a folder that may be gone. */
function realPlace(directory: string): string {
  const absolute = resolve(directory);
  if (existsSync(absolute)) return realpathSync(absolute);
  const parent = dirname(absolute);
  return parent === absolute ? absolute : join(realPlace(parent), basename(absolute));
}

/** The file that remembers one store. */
export class PinFile {
  readonly path: string;
  readonly store: string;

  constructor(folder: string, directory: string) {
    this.store = realPlace(directory);
    this.path = join(folder, `${digestOf(this.store).slice(0, 32)}.json`);
  }

  /** `null` before the store is first used. */
  read(): Pin | null {
    if (!existsSync(this.path)) return null;
    try {
      const pin = schema.parse(JSON.parse(readFileSync(this.path, "utf8")));
      createPublicKey(pin.publicKey);
      return pin;
    } catch (cause) {
      throw new SelkieError(
        "store-changed",
        `${this.path}: expected what is remembered of the store ${this.store}, got something else; restore it, or verify the store with --public-key and --expect and then run selkie registry forget`,
        { cause },
      );
    }
  }

  /** Remembers a head, never an older one than is remembered under the same key. Where it cannot be written nothing is. */
  write(publicKey: KeyObject, { length, hash, start, bytes }: RecordedHead): void {
    const pem = publicKeyPem(publicKey);
    const known = existsSync(this.path) ? this.read() : null;
    if (known !== null && known.publicKey === pem && known.length >= length) return;
    try {
      writeFileAtomic(
        this.path,
        `${JSON.stringify({ store: this.store, publicKey: pem, length, hash, start, bytes })}\n`,
      );
    } catch (error) {
      if (!(error instanceof SelkieError)) throw error; // a home that cannot be written must not stop anybody's reading
    }
  }

  remove(): void {
    removeFile(this.path);
  }
}

function readSlice(path: string, start: number, end: number): string {
  if (!existsSync(path)) return "";
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(Math.max(0, end - start));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, start)).toString("utf8");
  } finally {
    closeSync(file);
  }
}

/** True when the log holds, between these places, the line with this hash. */
export const hasLine = (
  logPath: string,
  { start, bytes, hash, length }: Pick<Pin, "start" | "bytes" | "hash" | "length">,
): boolean => length === 0 || digestOf(readSlice(logPath, start, bytes - 1)) === hash;

const forget = "if you did that yourself, run: selkie registry forget --store";

/** What does not fit what is known of the store from outside; empty where everything does. */
export function trustProblems(
  trust: StoreTrust,
  pins: PinFile | null,
  store: { readonly publicKey: KeyObject; readonly head: RecordedHead; readonly logPath: string },
): string[] {
  const own = keyFingerprint(store.publicKey);
  if (trust.publicKey !== undefined && keyFingerprint(trust.publicKey) !== own)
    return [
      `store: expected key ${keyFingerprint(trust.publicKey)}, got ${own}; it was signed anew by somebody else, or the public key given is of another store`,
    ];
  const pin = pins?.read() ?? null;
  if (pin === null || pins === null) return [];
  const pinned = keyFingerprint(createPublicKey(pin.publicKey));
  if (pinned !== own)
    return trust.publicKey !== undefined
      ? [] // whoever names the new key vouches for it; it is remembered from now on
      : [
          `store: expected key ${pinned}, which it had when it was last used here, got ${own}: somebody replaced the key and signed anew. Restore the store from a copy; if you know the new key, name it once with --public-key <file>`,
        ];
  if (store.head.length >= pin.length && hasLine(store.logPath, pin)) return [];
  return [
    `audit log: entry ${pin.length}, ${shortId(pin.hash)}, was seen here and is not in it; the store was put back to an earlier state, or written anew. Restore it from a copy; ${forget} ${pins.store}`,
  ];
}

const remains = ["audit.ndjson", "objects", "signatures", "canaries", "keys/public.pem"];

/** Refuses a folder without a database where a store was: what remains of it, or what is remembered of it, says so. */
export function refuseGone(directory: string, pins: PinFile | null): void {
  const found = remains.filter((name) => existsSync(join(directory, name)));
  const pin = pins?.read() ?? null;
  if (found.length === 0 && pin !== null && pin.length === 0) {
    pins?.remove(); // nothing was ever recorded in it
    return;
  }
  if (found.length === 0 && pin === null) return;
  const what =
    pin === null
      ? `${found.join(", ")} ${found.length === 1 ? "is" : "are"} there`
      : `one with ${pin.length} log entries, the last of them ${shortId(pin.hash)}, was used here${found.length === 0 ? ", and all of it is gone" : `; ${found.join(", ")} remain`}`;
  throw new SelkieError(
    "store-changed",
    `store: expected a database at ${join(directory, "store.sqlite")}, found none, but ${what}. Restore the store from a copy; ${pin === null ? "if it is of no use, remove the folder" : `${forget} ${directory}`}`,
  );
}

const ownNames = [
  "store.sqlite",
  "store.sqlite-wal",
  "store.sqlite-shm",
  "audit.ndjson",
  "objects",
  "signatures",
  "canaries",
  "incoming",
  "keys",
  "keys/public.pem",
  "keys/signing.pem",
  "gate.json",
];

/** True for a link; nothing at all, or nothing that could be there, is none. */
export function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return false; // below a file
    throw error;
  }
}

/** Refuses a store parts of which are links: what they lead to is not under the store's care. */
export function refuseLinks(directory: string, names: readonly string[] = ownNames): void {
  for (const name of names) {
    const path = join(directory, name);
    if (isLink(path))
      throw new SelkieError(
        "store-changed",
        `${path}: expected a file or folder of the store's own, got a link; put what it leads to in its place`,
      );
  }
}

/** @file Opens a store: makes it where it may, and holds it to what is known of it from outside. */
import { accessSync, constants, existsSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { guardWrite, SelkieError, writeFailure } from "../util/index.ts";
import { Disk } from "./disk.ts";
import { type Grader, gradeInProcess } from "./grader-process.ts";
import { keyFingerprint, loadSigningKey } from "./signing.ts";
import { Store } from "./store.ts";
import { openDatabase, Tables } from "./store-database.ts";
import { establishKeys } from "./store-keys.ts";
import { PinFile, refuseGone, refuseLinks } from "./store-pins.ts";
import type { StoreOptions } from "./store-types.ts";

/**
 * Opens the store in `directory`.
 *
 * @throws {@link SelkieError} `"missing-file"` where there is none, `"store-changed"` where one was, where it does not
 * fit what is known of it from outside, or where parts of it are links.
 */
export const openStore = (directory: string, options: StoreOptions): Store =>
  openStoreWith(directory, options, gradeInProcess);

/** A program without types may leave it out; without it, no change could say when it was made. */
function requireClock(options: Partial<StoreOptions> | undefined): void {
  const given = typeof options?.clock;
  if (given !== "function")
    throw new SelkieError(
      "bad-option",
      `store: expected a clock, a function that gives milliseconds since 1970, got ${given}; pass { clock: Date.now }`,
    );
}

/** {@link openStore} with another grader: for tests of the store, and not exported. */
export function openStoreWith(directory: string, options: StoreOptions, grader: Grader): Store {
  requireClock(options);
  const path = join(directory, "store.sqlite");
  const { trust = {} } = options;
  const pins = trust.pinFolder === undefined ? null : new PinFile(trust.pinFolder, directory);
  refuseLinks(directory);
  if (!existsSync(path)) {
    refuseGone(directory, pins);
    if (options.create !== true)
      throw new SelkieError(
        "missing-file",
        `store: expected one at ${directory}, found none; selkie adapt … --register makes it`,
      );
    guardWrite(directory, () => mkdirSync(directory, { recursive: true }));
  }
  const tables = new Tables(openDatabase(path));
  try {
    const disk = new Disk(options.onWrite);
    const publicKey = establishKeys(directory, tables, disk, options.signingKey);
    const store = new Store({ directory: realpathSync(directory), tables, disk, publicKey, options, pins, grader });
    const [problem] = store.trustProblems;
    if (problem !== undefined && options.isReporting !== true) throw new SelkieError("store-changed", problem);
    return store;
  } catch (error) {
    tables.database.close();
    throw error;
  }
}

/** True where a store is, sound or not. */
export const hasStore = (directory: string): boolean => existsSync(join(directory, "store.sqlite"));

/**
 * Refuses a place where no store could be begun, and begins none: the work comes first, and may leave nothing to store.
 *
 * @throws {@link SelkieError} `"store-changed"` where one was, or where the key that is named is not the one it would have,
 * `"write-failed"` where the system would refuse.
 */
export function checkNewStore(
  directory: string,
  { trust = {}, signingKey }: Pick<StoreOptions, "trust" | "signingKey">,
): void {
  refuseLinks(directory);
  refuseGone(directory, trust.pinFolder === undefined ? null : new PinFile(trust.pinFolder, directory));
  const own = signingKey === undefined ? null : keyFingerprint(loadSigningKey(signingKey));
  if (trust.publicKey !== undefined && keyFingerprint(trust.publicKey) !== own)
    throw new SelkieError(
      "store-changed",
      `store: expected one with key ${keyFingerprint(trust.publicKey)} at ${directory}, found none, and a new one would have ${own === null ? "a key of its own" : `key ${own}`}; leave the public key out, or pass the private one that belongs to it with --signing-key`,
    );
  requireWritable(resolve(directory));
}

/** Refuses a path that could not be made: the first of its folders that exists decides. */
function requireWritable(directory: string): void {
  let place = directory;
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  if (!statSync(place).isDirectory())
    throw writeFailure(directory, Object.assign(new Error(`${place} is a file`), { code: "ENOTDIR" }));
  guardWrite(directory, () => accessSync(place, constants.W_OK | constants.X_OK));
}

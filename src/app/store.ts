/** @file The store and its gate as verbs open them. */
import { createPublicKey } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultGate, type GatePolicy, parseGate } from "../adapt/index.ts";
import {
  checkNewStore,
  hasStore,
  isLink,
  keyFingerprint,
  loadPublicKey,
  loadSigningKey,
  openStore,
  type Store,
  type StoreTrust,
  userFolder,
} from "../registry/index.ts";
import { guardWrite, SelkieError } from "../util/index.ts";
import type { RegisterTarget, StoreVerbOptions } from "./store-options.ts";

/** Folder where this person's own files remember the stores used. */
export const pinFolder = (): string => join(userFolder(), "stores");

/** The public key of `--public-key`, else of the file that `SELKIE_PUBLIC_KEY` names, and the person's own pins. */
export function storeTrust({ publicKey }: Pick<StoreVerbOptions, "publicKey">): StoreTrust {
  const path = publicKey ?? process.env["SELKIE_PUBLIC_KEY"] ?? "";
  return { pinFolder: pinFolder(), ...(path !== "" && { publicKey: loadPublicKey(path) }) };
}

/**
 * Opens the store of the options, held to what is known of it from outside.
 *
 * @param options - `isReporting` opens one that does not fit, for verbs that tell what `verifyStore` finds.
 */
export function openVerbStore(
  { store, signingKey, publicKey }: StoreVerbOptions,
  options: { readonly create?: boolean; readonly isReporting?: boolean } = {},
): Store {
  const { create = false, isReporting = false } = options;
  const trust = storeTrust(publicKey === undefined ? {} : { publicKey });
  return openStore(store, { clock: Date.now, signingKey, create, isReporting, trust });
}

/**
 * Opens what will be needed after the work, before it: the store, its signing key and the gate. Where there is no store,
 * the place is checked and left as it is: it is made for the first record.
 */
export function checkTarget(target: RegisterTarget): void {
  loadGate(target.store, target.gate);
  if (!hasStore(target.store)) {
    const { signingKey, publicKey } = target;
    checkNewStore(target.store, { trust: storeTrust(publicKey === undefined ? {} : { publicKey }), signingKey });
    return;
  }
  using store = openVerbStore(target);
  const key = loadSigningKey(target.signingKey ?? join(store.directory, "keys", "signing.pem"));
  const [own, given] = [keyFingerprint(store.publicKey), keyFingerprint(createPublicKey(key))];
  if (own !== given)
    throw new SelkieError(
      "bad-option",
      `signing key: expected the key of ${store.directory} (${own}), got ${given}; pass the key that the store was made with, with --signing-key`,
    );
  guardWrite(store.directory, () => store.quietly(() => {}));
}

/** The gate of `--gate`, else of `gate.json` in the store, else the default one. */
export function loadGate(storeDirectory: string, file: string | undefined): GatePolicy {
  const path = file ?? join(storeDirectory, "gate.json");
  if (file === undefined && isLink(path))
    throw new SelkieError(
      "bad-file",
      `${path}: expected a file of the store's own, got a link; name the gate with --gate`,
    );
  return file === undefined && !existsSync(path)
    ? defaultGate
    : parseGate(readText(path, file === undefined ? "gate" : "--gate"), path);
}

function readText(path: string, who: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new SelkieError(
      "missing-file",
      `${who}: expected a readable file, got ${path} (${(cause as NodeJS.ErrnoException).code}); mend that, or name another one with --gate`,
      { cause },
    );
  }
}

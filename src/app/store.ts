/** @file The store and its gate as verbs open them. */
import { createPublicKey } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultGate, type GatePolicy, parseGate } from "../adapt/index.ts";
import { keyFingerprint, loadSigningKey, openStore, type Store } from "../registry/index.ts";
import { guardWrite, SelkieError } from "../util/index.ts";
import type { RegisterTarget, StoreVerbOptions } from "./store-options.ts";

/** Opens the store of the options. */
export function openVerbStore(
  { store, signingKey }: StoreVerbOptions,
  options: { readonly create?: boolean } = {},
): Store {
  return openStore(store, { clock: Date.now, signingKey, create: options.create ?? false });
}

/**
 * Opens what will be needed after the work, before it: the store, its signing key and the gate. The store is made where
 * there is none.
 */
export function checkTarget(target: RegisterTarget): void {
  loadGate(target.store, target.gate);
  if (target.signingKey !== undefined) loadSigningKey(target.signingKey); // before a store is made for it
  using store = openVerbStore(target, { create: true });
  const key = loadSigningKey(target.signingKey ?? join(store.directory, "keys", "signing.pem"));
  const [own, given] = [keyFingerprint(store.publicKey), keyFingerprint(createPublicKey(key))];
  if (own !== given)
    throw new SelkieError(
      "bad-option",
      `signing key: expected the key of ${store.directory} (${own}), got ${given}; pass the key that the store was made with, with --signing-key`,
    );
  guardWrite(store.directory, () => store.tables.database.exec("BEGIN IMMEDIATE; ROLLBACK"));
}

/** The gate of `--gate`, else of `gate.json` in the store, else the default one. */
export function loadGate(storeDirectory: string, file: string | undefined): GatePolicy {
  const path = file ?? join(storeDirectory, "gate.json");
  return file === undefined && !existsSync(path) ? defaultGate : parseGate(readText(path), path);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new SelkieError(
      "missing-file",
      `--gate: expected a readable file, got ${path} (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    );
  }
}

/** @file The keys of a store: its own, which signs, and the holder's of a freeze, which alone lifts it. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Disk } from "./disk.ts";
import { canonicalJson } from "./json.ts";
import { createSigningKey, isTextSignedBy, loadSigningKey, publicKeyPem, signText } from "./signing.ts";
import type { Tables } from "./store-database.ts";

/** The store's public key; makes the pair, and pins it, in a new store. */
export function establishKeys(directory: string, tables: Tables, disk: Disk, given: string | undefined): KeyObject {
  const pinned = tables.fact("public-key");
  if (pinned !== null) return createPublicKey(pinned);
  return disk.transact(tables.database, () => {
    const own = join(directory, "keys", "signing.pem");
    if (given === undefined && !existsSync(own)) disk.writeAtomic(own, createSigningKey().privateKey, 0o600);
    const pem = tables.fact("public-key") ?? publicKeyPem(loadSigningKey(given ?? own)); // another process may have been faster
    if (!existsSync(join(directory, "keys", "public.pem")))
      disk.writeAtomic(join(directory, "keys", "public.pem"), pem);
    tables.setFact("public-key", pem);
    return createPublicKey(pem);
  });
}

const unfreezeType = "application/vnd.selkie.unfreeze+json";

/** What the holder of a freeze signs. */
const unfreezeText = (store: string, sequence: number): string => canonicalJson({ store, freeze: sequence });

/** Signature that lifts the freeze of entry `sequence`. */
export const signUnfreeze = (store: string, sequence: number, key: KeyObject): string =>
  signText(unfreezeType, unfreezeText(store, sequence), key);

/** True when `signature` lifts the freeze of entry `sequence`. */
export const isUnfreezeSignedBy = (store: string, sequence: number, signature: string, holder: string): boolean =>
  isTextSignedBy(unfreezeType, unfreezeText(store, sequence), signature, createPublicKey(holder));

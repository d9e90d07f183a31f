/** @file The store and its gate as verbs open them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultGate, type GatePolicy, parseGate } from "../adapt/index.ts";
import { openStore, type Store } from "../registry/index.ts";
import { SelkieError } from "../util/index.ts";
import type { StoreVerbOptions } from "./store-options.ts";

/** Opens the store of the options. */
export function openVerbStore(
  { store, signingKey }: StoreVerbOptions,
  options: { readonly create?: boolean } = {},
): Store {
  return openStore(store, { clock: Date.now, signingKey, create: options.create ?? false });
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

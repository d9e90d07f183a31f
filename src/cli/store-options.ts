/** @file Options of verbs that use the store; apart from `store.ts`, so that help loads nothing else. */
import type { Command } from "commander";

/** Where the store is when nothing else is said. */
export const defaultStore = "runs/registry";

/** Options of verbs that use a store. */
export interface StoreVerbOptions {
  readonly store: string;
  readonly signingKey?: string;
  /** File with the key that the store must have; else that of `SELKIE_PUBLIC_KEY`, else the one seen at its first use. */
  readonly publicKey?: string;
}

/** Where an adapter or a policy is stored, and how it is judged. */
export interface RegisterTarget extends StoreVerbOptions {
  /** File with the gate; `undefined` takes the store's. */
  readonly gate?: string | undefined;
}

/** Adds `--store` and `--public-key`. */
export function withStore(command: Command): Command {
  return command
    .option("--store <dir>", "the store of adapters and policies", defaultStore)
    .option(
      "--public-key <file>",
      "a copy of the store's keys/public.pem kept elsewhere (default: $SELKIE_PUBLIC_KEY, else the key of its first use)",
    );
}

/** Adds `--store`, `--public-key` and `--signing-key`, for verbs that change the store. */
export function withWritableStore(command: Command): Command {
  return withStore(command).option("--signing-key <file>", "private key of the store, where it is kept elsewhere");
}

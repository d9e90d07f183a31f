/** @file Options of verbs that use the store; so that help loads nothing else. */
import type { Command } from "commander";
import { defaultStore } from "./paths.ts";

export type { RegisterTarget, StoreVerbOptions } from "../app/index.ts";

/** Adds `--store`. */
export function withStore(command: Command): Command {
  return command.option("--store <dir>", "the store of adapters and policies", defaultStore);
}

/** Adds `--store` and `--signing-key`, for verbs that change the store. */
export function withWritableStore(command: Command): Command {
  return withStore(command).option("--signing-key <file>", "private key of the store, where it is kept elsewhere");
}

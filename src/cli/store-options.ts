/** @file Options of verbs that use the store; so that help loads nothing else. */
import type { Command } from "commander";
import { SelkieError } from "../util/index.ts";
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

const usesStore = (name: string | undefined): boolean => name?.startsWith("@") ?? false;

/**
 * Refuses options that nothing in this command would heed: `--gate` and `--signing-key` are for `--register`, `--store`
 * also for a model or an adapter named `@alias`.
 */
export function checkRegisterOptions(
  command: Command,
  options: { readonly register?: boolean; readonly model?: string; readonly adapter?: string },
): void {
  if (options.register) return;
  const names = usesStore(options.model) || usesStore(options.adapter) ? ["gate"] : ["gate", "signingKey", "store"];
  const unheeded = command.options.find(
    (option) =>
      names.includes(option.attributeName()) && command.getOptionValueSource(option.attributeName()) === "cli",
  );
  if (unheeded === undefined) return;
  const canRegister = command.options.some((option) => option.long === "--register");
  throw new SelkieError(
    "bad-option",
    `${unheeded.long}: expected ${canRegister ? "--register beside it" : "a model or an adapter of the store (@alias) beside it"}, got neither that nor anything else that uses the store; ${canRegister ? "add --register" : "name one"}, or leave ${unheeded.long} out`,
  );
}

/** @file Opens the adapter that a verb was given, after checking that it was trained on this very model. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, checkAdapterBase, loadAdapter } from "../models/index.ts";
import { bankOf, type LoraBank } from "../nn/index.ts";
import { SelkieError } from "../util/index.ts";
import { openVerbStore } from "./store.ts";
import { defaultStore } from "./store-options.ts";

/** An adapter ready for use, or none; dispose of it to free its memory. */
export interface OpenAdapter extends Disposable {
  readonly bank: LoraBank | null;
  readonly adapterIndex: number | null;
}

/** The adapter of a run or of an `--out` directory, where `directory` is one; else `directory` itself. */
function findAdapter(directory: string): string {
  const places = [directory, join(directory, "adapter"), join(directory, "artifacts", "adapter")];
  return places.find((place) => existsSync(join(place, "adapter_config.json"))) ?? directory;
}

/** Folder of what the alias of `@alias` serves, its signature verified; `null` is the model alone. */
function findServed(name: string, { digest }: Checkpoint, store: string): string | null {
  using opened = openVerbStore({ store });
  const { record, directory } = opened.serve(name.slice(1), "adapter");
  if (record === null || record.base === digest) return directory;
  throw new SelkieError(
    "adapter-mismatch",
    `--adapter ${name}: expected the base model with digest ${record.base}, which ${record.id.slice(0, 12)} was trained on, got ${digest}; pass that model with --model, or promote an adapter of this one under another alias`,
  );
}

/** Loads the adapter in `directory`, or of an alias as `@current`; `undefined` means the model as it is. */
export async function openAdapter(
  directory: string | undefined,
  checkpoint: Checkpoint,
  store: string = defaultStore,
): Promise<OpenAdapter> {
  const place = directory?.startsWith("@") ? findServed(directory, checkpoint, store) : directory;
  if (place === undefined || place === null) return { bank: null, adapterIndex: null, [Symbol.dispose]: () => {} };
  const saved = await loadAdapter(findAdapter(place));
  checkAdapterBase(saved, checkpoint.digest, checkpoint.parts);
  const { lm } = checkpoint;
  const bank = bankOf(lm.backend, lm.linearLayers, [saved.adapter]);
  return { bank, adapterIndex: 0, [Symbol.dispose]: () => bank[Symbol.dispose]() };
}

/** @file Opens the adapter that a verb was given, after checking that it was trained on this very model. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, checkAdapterBase, loadAdapter } from "../models/index.ts";
import { bankOf, type LoraBank } from "../nn/index.ts";

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

/** Loads the adapter in `directory`; `undefined` means the model as it is. */
export async function openAdapter(directory: string | undefined, checkpoint: Checkpoint): Promise<OpenAdapter> {
  if (directory === undefined) return { bank: null, adapterIndex: null, [Symbol.dispose]: () => {} };
  const saved = await loadAdapter(findAdapter(directory));
  checkAdapterBase(saved, checkpoint.digest);
  const { lm } = checkpoint;
  const bank = bankOf(lm.backend, lm.linearLayers, [saved.adapter]);
  return { bank, adapterIndex: 0, [Symbol.dispose]: () => bank[Symbol.dispose]() };
}

/** @file Opens the adapter that a verb was given, after checking that it was trained on this very model. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { AdapterId, Engine, EngineModel } from "../engine/index.ts";
import { checkAdapterBase, loadAdapter } from "../models/index.ts";
import type { LoraAdapter } from "../nn/index.ts";
import { defaultStore, SelkieError } from "../util/index.ts";
import { changedModelHint } from "./changed-model.ts";
import { readMark } from "./output-folder.ts";
import { openVerbStore } from "./store.ts";
import type { StoreVerbOptions } from "./store-options.ts";

/** What an adapter must fit: its base is named by this digest, of these parts. */
export type AdapterBase = Pick<EngineModel, "digest" | "parts">;

const configName = "adapter_config.json";
const hasAdapter = (directory: string): boolean => existsSync(join(directory, configName));

/** Why a folder of a run or an output folder has no adapter to use; `null` where it is no such folder. */
function whyNone(directory: string): string | null {
  const mark = readMark(directory);
  const rejected = [directory, join(directory, "artifacts")]
    .map((place) => join(place, "rejected-adapter"))
    .find(hasAdapter);
  if (rejected !== undefined) {
    const reasons = mark?.reasons.length ? ` (${mark.reasons.join("; ")})` : "";
    return `a run whose change was not kept${reasons}; the adapter is in ${rejected}, to look at it pass that`;
  }
  const isUnfinished = existsSync(join(directory, "manifest.json")) && !existsSync(join(directory, "result.json"));
  return isUnfinished ? "a run that has not finished; run its command again, and it goes on" : null;
}

/** The adapter of a run or of an `--out` directory, where `directory` is one; else `directory` itself. */
function findAdapter(directory: string): string {
  const places = [directory, join(directory, "adapter"), join(directory, "artifacts", "adapter")];
  const found = places.find(hasAdapter);
  if (found !== undefined) return found;
  const stats = statSync(directory, { throwIfNoEntry: false });
  const got =
    stats === undefined
      ? "nothing there; check the path"
      : !stats.isDirectory()
        ? "a file; pass the folder that holds it"
        : (whyNone(directory) ?? `a folder without ${configName}; pass the adapter of a run, or a PEFT folder`);
  throw new SelkieError("missing-file", `--adapter ${directory}: expected an adapter, got ${got}`);
}

/** Folder of what the alias of `@alias` serves, its signature verified; `null` is the model alone. */
function findServed(name: string, { digest }: AdapterBase, store: StoreVerbOptions): string | null {
  using opened = openVerbStore(store);
  const { record, directory } = opened.serve(name.slice(1), "adapter");
  if (record === null || record.base === digest) return directory;
  throw new SelkieError(
    "adapter-mismatch",
    `--adapter ${name}: expected the base model with digest ${record.base}, which ${record.id.slice(0, 12)} was trained on, got ${digest}; pass that model with --model, or promote an adapter of this one under another alias; ${changedModelHint}`,
  );
}

/** Reads the adapter of a folder, a run, an output folder or an alias as `@current`; `null` where that serves the model alone. */
export async function readAdapter(
  place: string,
  base: AdapterBase,
  store: StoreVerbOptions,
): Promise<LoraAdapter | null> {
  const directory = place.startsWith("@") ? findServed(place, base, store) : findAdapter(place);
  if (directory === null) return null;
  const saved = await loadAdapter(directory);
  checkAdapterBase(saved, base.digest, base.parts);
  return saved.adapter;
}

/** Adds the adapter in `place`, or of an alias as `@current`, to an engine; `undefined` means the model as it is. */
export async function openAdapter(
  place: string | undefined,
  engine: Engine,
  store: StoreVerbOptions = { store: defaultStore },
): Promise<AdapterId | null> {
  const adapter = place === undefined ? null : await readAdapter(place, engine.model, store);
  return adapter === null ? null : engine.addAdapter(adapter);
}

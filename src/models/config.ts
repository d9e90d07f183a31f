/**
 * @file Reads config.json: `model_type` says which architecture of the catalog understands the rest. The foreign names are
 * in the architectures' own files, and what those share in `decoder-config.ts`.
 */
import { z } from "zod";
import type { ArchitectureCatalog, ModelConfig } from "./architecture.ts";
import { architectures } from "./catalog.ts";
import { parseForeign, readJson } from "./files.ts";

/** Reads and checks `config.json`. */
export async function loadConfig(path: string, catalog: ArchitectureCatalog = architectures): Promise<ModelConfig> {
  return parseConfig(await readJson(path), path, catalog);
}

/**
 * Our configuration from the parsed contents of `config.json`; `path` names the file in errors.
 *
 * @throws {@link SelkieError} `"unsupported-model"` for a `model_type` that `catalog` does not know, `"bad-file"` for bad values.
 */
export function parseConfig(json: unknown, path: string, catalog: ArchitectureCatalog = architectures): ModelConfig {
  const { model_type: modelType } = parseForeign(z.looseObject({ model_type: z.string() }), json, path);
  return catalog.get(modelType, path).parseConfig(json, path);
}

/** @file Which files hold the weights of a checkpoint: model.safetensors, or the shards that an index names. */
import { join } from "node:path";
import { z } from "zod";
import { SelkieError } from "../util/index.ts";
import { hasFile, parseForeign, readJson } from "./files.ts";

/** The file of a model that is not split. */
export const weightsFile = "model.safetensors";
const indexFile = "model.safetensors.index.json";

/** Names of the weight files in `directory`, sorted. */
export async function listWeights(directory: string): Promise<readonly string[]> {
  if (await hasFile(join(directory, weightsFile))) return [weightsFile];
  const indexPath = join(directory, indexFile);
  if (!(await hasFile(indexPath)))
    throw new SelkieError(
      "missing-file",
      `${directory}: expected ${weightsFile} or ${indexFile}, got neither; convert other formats to safetensors first`,
    );
  const schema = z.looseObject({
    weight_map: z.record(
      z.string(),
      z.string().regex(/^[^/\\]+$/, "expected the name of a file in the same directory"),
    ),
  });
  const { weight_map: weightMap } = parseForeign(schema, await readJson(indexPath), indexPath);
  const names = [...new Set(Object.values(weightMap))].toSorted();
  if (names.length === 0)
    throw new SelkieError("bad-file", `${indexPath}: expected weight_map to name at least one file, got none`);
  for (const name of names)
    if (!(await hasFile(join(directory, name))))
      throw new SelkieError(
        "missing-file",
        `${join(directory, name)}: expected a readable file, since ${indexFile} names it, got none; download all shards`,
      );
  return names;
}

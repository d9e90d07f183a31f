/** @file Policies of the store as models: what `--model @policy` opens. */
import { existsSync } from "node:fs";
import { digestCheckpoint } from "../models/index.ts";
import type { PolicyOrigin } from "../registry/index.ts";
import { SelkieError } from "../util/index.ts";
import { changedModelHint } from "./changed-model.ts";
import { openVerbStore } from "./store.ts";
import type { StoreVerbOptions } from "./store-options.ts";

/** Refuses a model that is not the one with this digest. */
export async function requireDigest(directory: string, digest: string, who: string): Promise<void> {
  const found = existsSync(directory) ? await digestCheckpoint(directory) : "nothing";
  if (found !== digest)
    throw new SelkieError(
      "adapter-mismatch",
      `${who}: expected the base model with digest ${digest}, got ${found} in ${directory}; pass it with --model; ${changedModelHint}`,
    );
}

/**
 * Directory of the model that `--model` names: itself, or for `@alias` the checkpoint of the policy served, its signature
 * and its content verified. An alias rolled back to where it began serves the base that its policies came from.
 */
export async function resolveModel(model: string, options: StoreVerbOptions): Promise<string> {
  if (!model.startsWith("@")) return model;
  const alias = model.slice(1);
  using store = openVerbStore(options);
  const { directory } = store.serve(alias, "policy");
  if (directory !== null) return directory;
  const last = store.history(alias).findLast(({ record }) => record !== null)!.record!;
  const { base, origin } = store.lineage(last);
  const place = (origin as unknown as PolicyOrigin).model;
  await requireDigest(place, base!, `--model ${model}: it serves the base model again`);
  return place;
}

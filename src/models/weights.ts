/**
 * @file Which files hold the weights of a checkpoint (model.safetensors, or the shards that an index names), and whether
 * they fit its config.json: compared by the headers, before memory is taken for anything that config.json claims.
 */
import { join } from "node:path";
import { z } from "zod";
import { embeddingName, outputName } from "../nn/index.ts";
import { describeShape } from "../tensor/index.ts";
import { SelkieError, ShapeError } from "../util/index.ts";
import type { Architecture, ModelConfig } from "./architecture.ts";
import { hasFile, parseForeign, readJson } from "./files.ts";
import { SafetensorsReader, type TensorEntry } from "./safetensors.ts";

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

/** A tensor and the file that holds it. */
interface PlacedTensor extends TensorEntry {
  readonly path: string;
}

/** A configuration that the weights fit, and what was found on the way. */
export interface CheckedWeights {
  /** With an output layer of its own where the file has one that differs from the embedding. */
  readonly config: ModelConfig;
  /** Tensors that are left out, and why that does no harm. */
  readonly ignored: ReadonlySet<string>;
  readonly warnings: readonly string[];
}

/**
 * Compares the headers of the weight files with what `config` asks for.
 *
 * @throws {@link SelkieError} `"missing-tensor"`, `"bad-file"` or `"duplicate-name"` naming file and tensor; {@link ShapeError}.
 */
export async function checkWeights(
  paths: readonly string[],
  config: ModelConfig,
  architecture: Architecture,
): Promise<CheckedWeights> {
  const tensors = await readHeaders(paths);
  const where = paths.join(", ");
  if (config.numLayers > tensors.size)
    throw new SelkieError(
      "missing-tensor",
      `${where}: expected at least one tensor for each of the ${config.numLayers} layers of config.json, got ${tensors.size}; the weights do not fit config.json`,
    );
  const specs = architecture.parameters(config);
  const missing = specs.filter(({ name }) => !tensors.has(name));
  if (missing.length > 0)
    throw new SelkieError(
      "missing-tensor",
      `${where}: expected tensor "${missing[0]!.name}", got none of that name (${missing.length} of ${specs.length} missing); the weights do not fit config.json`,
    );
  for (const { name, shape } of specs) checkShape(tensors.get(name)!, shape);
  const known = new Set(specs.map(({ name }) => name));
  const ignored = new Set<string>();
  const warnings: string[] = [];
  const output = config.tieWordEmbeddings ? tensors.get(outputName) : undefined;
  const isUntied = output !== undefined && !(await isCopy(output, tensors.get(embeddingName)!));
  if (isUntied)
    warnings.push(
      `${output.path}: tie_word_embeddings is true, but ${outputName} differs from ${embeddingName}; it is used as the output layer`,
    );
  for (const tensor of tensors.values())
    if (!known.has(tensor.name) && !(isUntied && tensor.name === outputName)) {
      const note = judgeUnknown(tensor);
      if (note !== null) warnings.push(note);
      ignored.add(tensor.name);
    }
  return { config: isUntied ? { ...config, tieWordEmbeddings: false } : config, ignored, warnings };
}

async function readHeaders(paths: readonly string[]): Promise<Map<string, PlacedTensor>> {
  const tensors = new Map<string, PlacedTensor>();
  for (const path of paths) {
    await using reader = await SafetensorsReader.open(path);
    for (const entry of reader.entries.values()) {
      if (tensors.has(entry.name))
        throw new SelkieError("duplicate-name", `${path}: tensor "${entry.name}" is also in another shard`);
      tensors.set(entry.name, { ...entry, path });
    }
  }
  return tensors;
}

function checkShape({ path, name, shape: found }: PlacedTensor, shape: readonly number[]): void {
  if (describeShape(found) !== describeShape(shape))
    throw new ShapeError(
      `${path}: tensor "${name}"`,
      describeShape(shape),
      describeShape(found),
      "the file does not fit its config",
    );
}

/** True when two matrices hold the same values; their shapes must agree. */
async function isCopy(a: PlacedTensor, b: PlacedTensor): Promise<boolean> {
  checkShape(a, b.shape);
  await using readerA = await SafetensorsReader.open(a.path);
  await using readerB = await SafetensorsReader.open(b.path);
  const rows = readerB.readPieces(b.name);
  for await (const values of readerA.readPieces(a.name)) {
    const other = (await rows.next()).value as Float32Array;
    if (values.length !== other.length || values.some((value, index) => value !== other[index])) return false;
  }
  return true;
}

const rotaryTable = /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/;

/** What is to be said about a tensor that has no place; one that would change the model is refused. */
function judgeUnknown({ path, name }: PlacedTensor): string | null {
  if (name === outputName || rotaryTable.test(name)) return null; // a copy; a table that follows from config.json
  if (name.startsWith("model.") || name.startsWith("lm_head."))
    throw new SelkieError(
      "bad-file",
      `${path}: tensor "${name}" has no place in a model of this config.json; check num_hidden_layers, the keys that end in _bias, and model_type`,
    );
  return `${path}: tensor "${name}" is no part of a language model of this kind and is left out`;
}

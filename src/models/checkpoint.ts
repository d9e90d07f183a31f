/**
 * @file Checkpoints are Hugging Face directories: config.json, model.safetensors (or shards with an index),
 * tokenizer.json, tokenizer_config.json, generation_config.json. What we save, transformers loads, and the reverse.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ParameterSpec } from "../nn/index.ts";
import { type Backend, quantiseRows, type Tensor } from "../tensor/index.ts";
import { makeDirectory, SelkieError } from "../util/index.ts";
import type { ArchitectureCatalog, ConfiguredLm, ModelConfig } from "./architecture.ts";
import { architectures } from "./catalog.ts";
import type { Precision, Tokenizer } from "./causal-lm.ts";
import { loadConfig } from "./config.ts";
import { combineDigests, type DigestPart, digestCheckpoint, digestParts } from "./digest.ts";
import { hasFile, writeBytes, writeJson } from "./files.ts";
import { SafetensorsReader, type SavedDType, writeSafetensors } from "./safetensors.ts";
import { limitTokenizer, loadTokenizer, type TokenizerJson } from "./tokenizer.ts";
import { checkWeights, listWeights, weightsFile } from "./weights.ts";

/** Options of {@link loadModel} and {@link loadCheckpoint}. */
export interface LoadOptions {
  /** Stored values are rounded to `precision.params`. */
  readonly precision: Precision;
  /** Which architectures there are; `architectures.with(mine)` adds one. @defaultValue those that come with Selkie */
  readonly architectures?: ArchitectureCatalog | undefined;
  /** Told what is odd about the checkpoint and how it was understood. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** A model read from disk. The caller disposes of `lm`. */
export interface LoadedModel {
  readonly lm: ConfiguredLm;
  readonly config: ModelConfig;
  /** sha256 over {@link parts}, in hex: what adapters are bound to. */
  readonly digest: string;
  /** Everything in the directory that shapes an answer; see `digestParts`. */
  readonly parts: readonly DigestPart[];
  readonly directory: string;
}

/** A model with its tokenizer. */
export interface Checkpoint extends LoadedModel {
  readonly tokenizer: Tokenizer;
}

/** Refuses a checkpoint directory that is not there. */
export function requireModel(directory: string): void {
  if (existsSync(directory)) return;
  throw new SelkieError(
    "missing-file",
    `model: expected a checkpoint directory, got ${directory}, which does not exist`,
  );
}

/** Reads a checkpoint directory, tokenizer included. */
export async function loadCheckpoint(backend: Backend, directory: string, options: LoadOptions): Promise<Checkpoint> {
  const config = await loadConfig(join(directory, "config.json"), options.architectures);
  const tokenizer = limitTokenizer(await loadTokenizer(directory), config.vocabSize, directory); // first: it is quick to fail
  return { ...(await loadModel(backend, directory, options)), tokenizer };
}

/** Reads the model of a checkpoint directory. Weights go straight to their place, so memory peaks at the model's size. */
export async function loadModel(backend: Backend, directory: string, options: LoadOptions): Promise<LoadedModel> {
  const { precision, architectures: catalog = architectures } = options;
  const configPath = join(directory, "config.json");
  const claimed = await loadConfig(configPath, catalog);
  const architecture = catalog.get(claimed.modelType, configPath);
  const paths = (await listWeights(directory)).map((name) => join(directory, name));
  const { config, ignored, warnings } = await checkWeights(paths, claimed, architecture);
  for (const warning of warnings) options.warn?.(warning);
  const lm = architecture.create(backend, config, precision);
  try {
    for (const path of paths) await readWeights(lm, path, ignored);
    const parts = await digestParts(directory);
    return { lm, config, digest: combineDigests(parts), parts, directory };
  } catch (error) {
    lm[Symbol.dispose]();
    throw error;
  }
}

async function readWeights(lm: ConfiguredLm, path: string, ignored: ReadonlySet<string>): Promise<void> {
  const specs = new Map(lm.parameters.specs.map((spec) => [spec.name, spec]));
  await using reader = await SafetensorsReader.open(path);
  for (const name of reader.entries.keys())
    if (!ignored.has(name)) await readTensor(reader, specs.get(name)!, lm.parameters.get(name));
}

/** Reads one tensor to its place; a quantised one in pieces, so that the file's values are never in memory as a whole. */
async function readTensor(reader: SafetensorsReader, { name, shape }: ParameterSpec, tensor: Tensor): Promise<void> {
  const { quantised } = tensor;
  if (quantised === null) return reader.readInto(name, shape, tensor.data);
  await reader.readRows(name, shape as [number, number], (row, values) => quantiseRows(quantised, row, values));
}

/** What {@link saveCheckpoint} writes. */
export interface SaveCheckpointOptions {
  readonly lm: ConfiguredLm;
  /** Contents of a tokenizer.json, or the directory whose tokenizer files are copied. */
  readonly tokenizer: { readonly json: TokenizerJson } | { readonly copyFrom: string };
  /** Storage of the weights; bf16 rounds. @defaultValue "f32" */
  readonly dtype?: SavedDType;
}

/**
 * Writes a checkpoint directory, config.json last: a directory without it is unfinished.
 *
 * @returns the digest that {@link loadModel} will report.
 */
export async function saveCheckpoint(directory: string, options: SaveCheckpointOptions): Promise<string> {
  const { lm, tokenizer, dtype = "f32" } = options;
  makeDirectory(directory);
  if ("json" in tokenizer) await writeTokenizer(directory, tokenizer.json, lm.config);
  else await copyTokenizer(tokenizer.copyFrom, directory);
  const tensors = lm.parameters.specs.map(({ name, shape }) => ({ name, shape, values: lm.parameters.get(name).data }));
  await writeSafetensors(join(directory, weightsFile), tensors, dtype);
  const json = lm.architecture.configToJson(lm.config, dtype === "f32" ? "float32" : "bfloat16");
  if ("json" in tokenizer)
    // else that of the other checkpoint was copied: it may name more ends of a text
    await writeJson(join(directory, "generation_config.json"), {
      bos_token_id: json["bos_token_id"],
      eos_token_id: json["eos_token_id"],
    });
  await writeJson(join(directory, "config.json"), json);
  return digestCheckpoint(directory);
}

async function writeTokenizer(directory: string, json: TokenizerJson, config: ModelConfig): Promise<void> {
  const contentOf = (id: number | null | undefined): string | null =>
    json.added_tokens?.find((token) => token.id === id)?.content ?? null;
  const eosToken = contentOf(config.eosTokenIds[0]);
  if (eosToken === null)
    throw new SelkieError(
      "bad-option",
      `eosTokenIds: expected the id of a special token of the tokenizer first, got ${config.eosTokenIds[0]}`,
    );
  await writeJson(join(directory, "tokenizer.json"), json);
  await writeJson(join(directory, "tokenizer_config.json"), {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: contentOf(config.bosTokenId),
    eos_token: eosToken,
    model_max_length: config.maxSeqLen,
    clean_up_tokenization_spaces: false,
  });
}

/** Files that say how text becomes ids and which of them end it. */
const tokenizerFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "generation_config.json",
  "chat_template.jinja",
  "chat_template.json",
];

async function copyTokenizer(from: string, to: string): Promise<void> {
  await loadTokenizer(from); // refuse to copy what could not be loaded again
  for (const name of tokenizerFiles)
    if (from !== to && (await hasFile(join(from, name))))
      await writeBytes(join(to, name), await readFile(join(from, name))); // a copy would be read-only like what it is of
}

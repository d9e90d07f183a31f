/**
 * @file Checkpoints are Hugging Face directories: config.json, model.safetensors (or shards with an index),
 * tokenizer.json, tokenizer_config.json, generation_config.json. What we save, transformers loads, and the reverse.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ParameterSpec } from "../nn/index.ts";
import { type Backend, quantiseRows, type Tensor } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import type { Precision, Tokenizer } from "./causal-lm.ts";
import { configToJson, loadConfig, type ModelConfig } from "./config.ts";
import { combineDigests, type DigestPart, digestCheckpoint, digestParts } from "./digest.ts";
import { hasFile, writeJson } from "./files.ts";
import { createLlama, type LlamaLm } from "./llama.ts";
import { SafetensorsReader, type SavedDType, writeSafetensors } from "./safetensors.ts";
import { loadTokenizer, type TokenizerJson } from "./tokenizer.ts";
import { listWeights, weightsFile } from "./weights.ts";

/** Options of {@link loadModel} and {@link loadCheckpoint}. */
export interface LoadOptions {
  /** Stored values are rounded to `precision.params`. */
  readonly precision: Precision;
}

/** A model read from disk. The caller disposes of `lm`. */
export interface LoadedModel {
  readonly lm: LlamaLm;
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

/** Reads a checkpoint directory, tokenizer included. */
export async function loadCheckpoint(backend: Backend, directory: string, options: LoadOptions): Promise<Checkpoint> {
  const tokenizer = await loadTokenizer(directory); // first: it is quick to fail
  const model = await loadModel(backend, directory, options);
  if (tokenizer.vocabSize <= model.config.vocabSize) return { ...model, tokenizer };
  model.lm[Symbol.dispose]();
  throw new SelkieError(
    "bad-file",
    `${join(directory, "tokenizer.json")}: expected at most ${model.config.vocabSize} tokens (vocab_size of config.json), got ${tokenizer.vocabSize}`,
  );
}

/** Reads the model of a checkpoint directory. Weights go straight to their place, so memory peaks at the model's size. */
export async function loadModel(backend: Backend, directory: string, options: LoadOptions): Promise<LoadedModel> {
  const config = await loadConfig(join(directory, "config.json"));
  const files = (await listWeights(directory)).map((name) => join(directory, name));
  const lm = createLlama(backend, config, options.precision);
  try {
    await readWeights(lm, files);
    const parts = await digestParts(directory);
    return { lm, config, digest: combineDigests(parts), parts, directory };
  } catch (error) {
    lm[Symbol.dispose]();
    throw error;
  }
}

async function readWeights(lm: LlamaLm, files: readonly string[]): Promise<void> {
  const missing = new Map(lm.parameters.specs.map((spec) => [spec.name, spec]));
  for (const path of files) {
    await using reader = await SafetensorsReader.open(path);
    for (const name of reader.entries.keys()) {
      const spec = missing.get(name);
      if (spec !== undefined) await readTensor(reader, spec, lm.parameters.get(name));
      else refuseUnknown(path, name, lm);
      missing.delete(name);
    }
  }
  const [first] = missing.keys();
  if (first !== undefined)
    throw new SelkieError(
      "missing-tensor",
      `${files.join(", ")}: expected tensor "${first}", got none of that name (${missing.size} of ${lm.parameters.specs.length} missing); the weights do not fit config.json`,
    );
}

/** Reads one tensor to its place; a quantised one in pieces, so that the file's values are never in memory as a whole. */
async function readTensor(reader: SafetensorsReader, { name, shape }: ParameterSpec, tensor: Tensor): Promise<void> {
  const { quantised } = tensor;
  if (quantised === null) return reader.readInto(name, shape, tensor.data);
  await reader.readRows(name, shape as [number, number], (row, values) => quantiseRows(quantised, row, values));
}

/** Leftovers of other tools (rotary tables, a copy of a tied output layer) do no harm; weights that we would leave out do. */
function refuseUnknown(path: string, name: string, lm: LlamaLm): void {
  if (lm.parameters.has(name))
    throw new SelkieError("duplicate-name", `${path}: tensor "${name}" is also in another shard`);
  const isWeight = /^(model\.layers\.\d+\..*\.(weight|bias)|lm_head\.bias)$/.test(name);
  if (isWeight)
    throw new SelkieError(
      "bad-file",
      `${path}: tensor "${name}" has no place in a model of this config.json; check num_hidden_layers, attention_bias, mlp_bias and model_type`,
    );
}

/** What {@link saveCheckpoint} writes. */
export interface SaveCheckpointOptions {
  readonly lm: LlamaLm;
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
  await mkdir(directory, { recursive: true });
  if ("json" in tokenizer) await writeTokenizer(directory, tokenizer.json, lm.config);
  else await copyTokenizer(tokenizer.copyFrom, directory);
  const tensors = lm.parameters.specs.map(({ name, shape }) => ({ name, shape, values: lm.parameters.get(name).data }));
  await writeSafetensors(join(directory, weightsFile), tensors, dtype);
  const json = configToJson(lm.config, dtype === "f32" ? "float32" : "bfloat16");
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

async function copyTokenizer(from: string, to: string): Promise<void> {
  await loadTokenizer(from); // refuse to copy what could not be loaded again
  for (const name of ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"])
    if (from !== to && (await hasFile(join(from, name))))
      await writeFile(join(to, name), await readFile(join(from, name))); // a copy would be read-only like what it is of
}

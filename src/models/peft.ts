/**
 * @file Adapters are PEFT directories: adapter_config.json and adapter_model.safetensors, as peft 0.21 reads and writes them.
 * What PEFT has no place for (the digest of the base, lineage) lies beside them in selkie_adapter.json.
 * Per-module ranks and scales are brought to one rank and one alpha, which is exact: narrow ranks are padded with zeros,
 * differing scales move into `loraB`. Whatever cannot be brought to that form is refused.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { blockOf, type LoraAdapter } from "../nn/index.ts";
import { SelkieError, ShapeError } from "../util/index.ts";
import { changedParts, type DigestPart } from "./digest.ts";
import { hasFile, parseForeign, readJson, writeJson } from "./files.ts";
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from "./safetensors.ts";

const configFile = "adapter_config.json";
const weightsFile = "adapter_model.safetensors";
const sideFile = "selkie_adapter.json";
const keyPrefix = "base_model.model.";

/** Where an adapter comes from. */
export interface AdapterOrigin {
  /** Name or path of the base model, for people and for PEFT. */
  readonly baseModelNameOrPath: string;
  /** `digest` of the loaded base; see {@link checkAdapterBase}. */
  readonly baseDigest: string;
  /** `parts` of the loaded base, so that a later mismatch can say which file changed. */
  readonly baseParts?: readonly DigestPart[];
  /** Whatever else should travel with the adapter, as JSON. */
  readonly lineage?: { readonly [key: string]: unknown };
}

/** An adapter read from disk. */
export interface LoadedAdapter {
  readonly adapter: LoraAdapter;
  readonly baseModelNameOrPath: string | null;
  /** `null` in adapters that Selkie did not write. */
  readonly baseDigest: string | null;
  /** `null` where the adapter does not say. */
  readonly baseParts: readonly DigestPart[] | null;
  readonly lineage: { readonly [key: string]: unknown };
  readonly directory: string;
}

/**
 * Writes `adapter` as a PEFT directory, adapter_config.json last: a directory without it is unfinished.
 *
 * @returns sha256 of adapter_model.safetensors, in hex.
 */
export async function saveAdapter(directory: string, adapter: LoraAdapter, origin: AdapterOrigin): Promise<string> {
  const { loraRank, loraAlpha, modules } = adapter;
  const names = [...modules.keys()].toSorted();
  const tensors: TensorToWrite[] = names.flatMap((name) => {
    const { loraA, loraB } = modules.get(name)!;
    return [
      {
        name: `${keyPrefix}${name}.lora_A.weight`,
        shape: [loraRank, loraA.length / loraRank],
        values: Float32Array.from(loraA),
      },
      {
        name: `${keyPrefix}${name}.lora_B.weight`,
        shape: [loraB.length / loraRank, loraRank],
        values: Float32Array.from(loraB),
      },
    ];
  });
  await mkdir(directory, { recursive: true });
  const digest = await writeSafetensors(join(directory, weightsFile), tensors, "f32");
  await writeJson(join(directory, sideFile), {
    ...origin.lineage,
    baseDigest: origin.baseDigest,
    ...(origin.baseParts && { baseParts: origin.baseParts }),
  });
  await writeJson(join(directory, configFile), {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: origin.baseModelNameOrPath,
    revision: null,
    r: loraRank,
    lora_alpha: loraAlpha,
    lora_dropout: 0,
    target_modules: [...new Set(names.map((name) => name.slice(name.lastIndexOf(".") + 1)))].toSorted(),
    ...chosenLayers(names),
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    rank_pattern: {},
    alpha_pattern: {},
    use_rslora: false,
    use_dora: false,
  });
  return digest;
}

/**
 * PEFT's `layers_to_transform` for an adapter that leaves out blocks before the last it touches. Without it PEFT would make
 * adapters for those as well and miss their weights. Blocks after the last cannot be known from the adapter; PEFT then
 * starts them as identities, which changes no product.
 */
function chosenLayers(moduleNames: readonly string[]): { readonly layers_to_transform?: readonly number[] } {
  const blocks = [...new Set(moduleNames.map(blockOf))].filter((block) => block !== null).toSorted((a, b) => a - b);
  return blocks.every((block, index) => block === index) ? {} : { layers_to_transform: blocks };
}

const configSchema = z.looseObject({
  peft_type: z.literal("LORA"),
  base_model_name_or_path: z.string().nullish(),
  r: z.int().min(1).default(8),
  lora_alpha: z.number().default(8),
  bias: z.literal("none", 'only bias "none" is supported').default("none"),
  use_rslora: z.boolean().default(false),
  rank_pattern: z.record(z.string(), z.int().min(1)).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
});
type AdapterConfig = z.output<typeof configSchema>;

/** Settings of PEFT that change what an adapter computes and that we do not have. */
const unsupportedSettings = [
  "use_dora",
  "use_qalora",
  "use_bdlora",
  "lora_bias",
  "modules_to_save",
  "layer_replication",
  "alora_invocation_tokens",
  "trainable_token_indices",
  "target_parameters",
  "monteclora_config",
  "arrow_config",
  "kasa_config",
] as const;

/** Initialisations that also change the weights of the base. */
const baseChangingInits = /^(pissa|olora|corda|loftq|lora_ga)/;

const sideSchema = z.looseObject({
  baseDigest: z.string().nullish(),
  baseParts: z.array(z.object({ name: z.string(), sha256: z.string() })).nullish(),
});

/**
 * Reads a PEFT LoRA directory.
 *
 * @throws {@link SelkieError} `"bad-file"` naming the file and the setting or tensor that is wrong or not supported.
 */
export async function loadAdapter(directory: string): Promise<LoadedAdapter> {
  const configPath = join(directory, configFile);
  const config = parseForeign(configSchema, await readJson(configPath), configPath);
  refuseUnsupported(config, configPath);
  const weightsPath = join(directory, weightsFile);
  const modules = await readModules(weightsPath, config);
  const sidePath = join(directory, sideFile);
  const side = (await hasFile(sidePath)) ? await readJson(sidePath) : {};
  const { baseDigest, baseParts, ...lineage } = parseForeign(sideSchema, side, sidePath);
  return {
    adapter: unify(modules),
    baseModelNameOrPath: config.base_model_name_or_path ?? null,
    baseDigest: baseDigest ?? null,
    baseParts: baseParts ?? null,
    lineage,
    directory,
  };
}

/**
 * Refuses an adapter that was trained on another base; adapters of other tools carry no digest and pass.
 *
 * @param parts - Those of the base at hand; with them the error names the files that differ.
 */
export function checkAdapterBase(adapter: LoadedAdapter, digest: string, parts: readonly DigestPart[] = []): void {
  if (adapter.baseDigest === null || adapter.baseDigest === digest) return;
  const changed = adapter.baseParts === null || parts.length === 0 ? [] : changedParts(adapter.baseParts, parts);
  const which = changed.length === 0 ? "" : ` (differs in ${changed.join(", ")})`;
  throw new SelkieError(
    "adapter-mismatch",
    `${adapter.directory}: expected the base model with digest ${adapter.baseDigest} (${adapter.baseModelNameOrPath ?? "unnamed"}), got ${digest}${which}; load the adapter onto the model it was trained on`,
  );
}

function refuseUnsupported(config: AdapterConfig, path: string): void {
  for (const key of unsupportedSettings) {
    const value = config[key];
    const isUnused =
      value === undefined ||
      value === null ||
      value === false ||
      (typeof value === "object" && Object.keys(value).length === 0);
    if (!isUnused)
      throw new SelkieError(
        "bad-file",
        `${path}: expected no ${key}, got ${JSON.stringify(value)}; only plain LoRA is supported`,
      );
  }
  const init = config.init_lora_weights;
  if (typeof init === "string" && baseChangingInits.test(init))
    throw new SelkieError(
      "bad-file",
      `${path}: expected init_lora_weights that leaves the base as it is, got "${init}"; convert the adapter to plain LoRA with PEFT`,
    );
}

/** One module as stored: `loraA [loraRank, in]`, `loraB [out, loraRank]`. */
interface StoredModule {
  readonly name: string;
  readonly loraRank: number;
  /** The module adds `loraAlpha / loraRank · loraB · loraA`. */
  readonly loraAlpha: number;
  readonly loraA: Float32Array;
  readonly loraB: Float32Array;
}

async function readModules(path: string, config: AdapterConfig): Promise<StoredModule[]> {
  await using reader = await SafetensorsReader.open(path);
  const names = new Set<string>();
  for (const key of reader.entries.keys()) {
    const name = /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(key)?.[1];
    if (name === undefined)
      throw new SelkieError(
        "bad-file",
        `${path}: expected only tensors "${keyPrefix}….lora_A.weight" and "….lora_B.weight", got "${key}"`,
      );
    names.add(name);
  }
  if (names.size === 0) throw new SelkieError("bad-file", `${path}: expected at least one module, got none`);
  const modules: StoredModule[] = [];
  for (const name of [...names].toSorted()) {
    const loraRank = matchPattern(config.rank_pattern, name, path) ?? config.r;
    const plainAlpha = matchPattern(config.alpha_pattern, name, path) ?? config.lora_alpha;
    const loraAlpha = config.use_rslora ? plainAlpha * Math.sqrt(loraRank) : plainAlpha; // rslora scales by alpha / √r
    const [keyA, keyB] = [`${keyPrefix}${name}.lora_A.weight`, `${keyPrefix}${name}.lora_B.weight`];
    checkRank(path, keyA, reader.entry(keyA).shape, 0, loraRank);
    checkRank(path, keyB, reader.entry(keyB).shape, 1, loraRank);
    modules.push({ name, loraRank, loraAlpha, loraA: await reader.read(keyA), loraB: await reader.read(keyB) });
  }
  return modules;
}

function checkRank(path: string, key: string, shape: readonly number[], axis: 0 | 1, loraRank: number): void {
  if (shape.length === 2 && shape[axis] === loraRank) return;
  const expected = axis === 0 ? `[${loraRank}, in]` : `[out, ${loraRank}]`;
  throw new ShapeError(
    `${path}: tensor "${key}"`,
    `${expected} (r and rank_pattern of ${configFile})`,
    `[${shape.join(", ")}]`,
  );
}

/** The value of the first pattern that matches the end of `name`, by PEFT's rule. */
function matchPattern(
  patterns: { readonly [pattern: string]: number } | null | undefined,
  name: string,
  path: string,
): number | undefined {
  for (const [pattern, value] of Object.entries(patterns ?? {})) {
    try {
      if (new RegExp(`^(.*\\.)?(${pattern})$`).test(name)) return value;
    } catch (cause) {
      throw new SelkieError(
        "bad-file",
        `${path}: expected a regular expression as key of rank_pattern or alpha_pattern, got "${pattern}"`,
        { cause },
      );
    }
  }
  return undefined;
}

/** One rank and one alpha for all modules; changes no product. */
function unify(stored: readonly StoredModule[]): LoraAdapter {
  const widest = stored.reduce((best, module) => (module.loraRank > best.loraRank ? module : best));
  const { loraRank } = widest;
  const loraAlpha = widest.loraAlpha === 0 ? 1 : widest.loraAlpha;
  const modules = new Map(
    stored.map((module) => {
      const factor = (module.loraAlpha * loraRank) / (module.loraRank * loraAlpha); // exactly 1 where nothing differs
      const outSize = module.loraB.length / module.loraRank;
      const loraA = new Float32Array((module.loraA.length / module.loraRank) * loraRank);
      loraA.set(module.loraA);
      const loraB = new Float32Array(outSize * loraRank);
      for (let row = 0; row < outSize; row++)
        for (let j = 0; j < module.loraRank; j++)
          loraB[row * loraRank + j] = module.loraB[row * module.loraRank + j]! * factor;
      return [module.name, { loraA, loraB }];
    }),
  );
  return { loraRank, loraAlpha, modules };
}

/**
 * @file Foreign names to ours, for what the config.json of most decoder-only models has in common: sizes, rotary positions,
 * ids that begin and end a text. Both the keys of transformers 4 and of 5 are read. An architecture reads
 * its own keys beside them. Values that would change the result and that we do not support are refused.
 */
import { z } from "zod";
import type { BlockSizes } from "../nn/index.ts";
import { SelkieError } from "../util/index.ts";
import type { ModelConfig, StoredDType } from "./architecture.ts";
import { parseForeign } from "./files.ts";
import { type RopeScaling, yarnAttentionFactor } from "./rope-scaling.ts";

/** Sizes and constants of a decoder with rotary positions, grouped heads, RMSNorm and gated MLPs. */
export interface DecoderConfig extends ModelConfig, BlockSizes {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  /** Divides `numHeads`. */
  readonly numKvHeads: number;
  /** Even. */
  readonly headDim: number;
  /** Positions the rotary table covers. */
  readonly maxSeqLen: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  readonly rmsNormEps: number;
  readonly tieWordEmbeddings: boolean;
}

const count = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
const tokenId = z.int().min(0);

const ropeSchema = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().min(1).optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: count.nullish(),
  beta_fast: z.number().positive().nullish(),
  beta_slow: z.number().positive().nullish(),
  truncate: z.boolean().optional(),
  attention_factor: z.number().positive().nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
});

const decoderSchema = z.looseObject({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  max_position_embeddings: count.optional(),
  rms_norm_eps: z.number().positive().max(1).default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.literal("silu").default("silu"),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
});

/** What an absent key means, where architectures differ; `null` in the file always means `numHeads` and the quotient. */
export interface DecoderDefaults {
  /** @defaultValue `numHeads` */
  readonly numKvHeads?: number;
  /** @defaultValue `hiddenSize / numHeads` */
  readonly headDim?: number;
  /** @defaultValue 2048 */
  readonly maxSeqLen?: number;
}

/**
 * The common part of a configuration, from the parsed contents of config.json; `path` names the file in errors.
 *
 * @throws {@link SelkieError} `"bad-file"`, or `"unsupported-model"` for a kind of rotary scaling that we do not have.
 */
export function parseDecoder(
  json: unknown,
  path: string,
  defaults: DecoderDefaults = {},
): Omit<DecoderConfig, "modelType"> {
  const file = parseForeign(decoderSchema, json, path);
  const numHeads = file.num_attention_heads;
  const { num_key_value_heads: kvHeads = defaults.numKvHeads, head_dim: width = defaults.headDim } = file;
  const { max_position_embeddings: maxSeqLen = defaults.maxSeqLen ?? 2048 } = file;
  const [numKvHeads, headDim] = [kvHeads ?? numHeads, width ?? file.hidden_size / numHeads];
  if (numHeads % numKvHeads !== 0)
    refuse(path, "num_attention_heads divisible by num_key_value_heads", `${numHeads} and ${numKvHeads}`);
  if (headDim % 2 !== 0) refuse(path, "an even head_dim (hidden_size / num_attention_heads)", `${headDim}`);
  const scaling = file.rope_scaling ?? {}; // the older key wins where it says anything, as in transformers 5
  const rope = Object.keys(scaling).length > 0 ? scaling : (file.rope_parameters ?? {});
  const ropeTheta = rope.rope_theta ?? file.rope_theta ?? 10000;
  // the lowest frequency must be one: below that, or without end, positions cannot be told apart
  const lowest = Math.fround(ropeTheta ** (-(headDim - 2) / headDim));
  if (!(lowest > 0 && Number.isFinite(lowest)))
    refuse(path, "a rope_theta with frequencies that f32 can hold", `${ropeTheta}`);
  const eos = file.eos_token_id ?? [];
  return {
    vocabSize: file.vocab_size,
    hiddenSize: file.hidden_size,
    intermediateSize: file.intermediate_size,
    numLayers: file.num_hidden_layers,
    numHeads,
    numKvHeads,
    headDim,
    maxSeqLen,
    ropeTheta,
    ropeScaling: parseRope(rope, maxSeqLen, path),
    rmsNormEps: file.rms_norm_eps,
    tieWordEmbeddings: file.tie_word_embeddings,
    bosTokenId: file.bos_token_id ?? null,
    eosTokenIds: typeof eos === "number" ? [eos] : eos,
  };
}

/** Throws `"bad-file"`. */
export function refuse(path: string, expected: string, got: string): never {
  throw new SelkieError("bad-file", `${path}: expected ${expected}, got ${got}`);
}

function parseRope(rope: z.output<typeof ropeSchema>, maxSeqLen: number, path: string): RopeScaling {
  const kind = rope.rope_type ?? rope.type ?? "default";
  const need = (
    key: "factor" | "low_freq_factor" | "high_freq_factor" | "original_max_position_embeddings",
  ): number => {
    const value = rope[key];
    if (typeof value === "number") return value;
    throw new SelkieError("bad-file", `${path}: rope type "${kind}": expected a number "${key}", got ${String(value)}`);
  };
  switch (kind) {
    case "default":
      return { kind };
    case "linear":
      return { kind, factor: need("factor") };
    case "llama3":
      return {
        kind,
        factor: need("factor"),
        lowFreqFactor: need("low_freq_factor"),
        highFreqFactor: need("high_freq_factor"),
        originalMaxSeqLen: need("original_max_position_embeddings"),
      };
    case "yarn": {
      const factor = need("factor");
      return {
        kind,
        factor,
        originalMaxSeqLen: rope.original_max_position_embeddings ?? maxSeqLen,
        betaFast: rope.beta_fast ?? 32,
        betaSlow: rope.beta_slow ?? 1,
        truncate: rope.truncate ?? true,
        attentionFactor:
          rope.attention_factor ??
          yarnAttentionFactor(factor, rope.mscale ?? undefined, rope.mscale_all_dim ?? undefined),
      };
    }
    default:
      throw new SelkieError(
        "unsupported-model",
        `${path}: expected rope type "default", "linear", "llama3" or "yarn", got "${kind}"`,
      );
  }
}

/** config.json under the keys of transformers 4.45 and later, which 5 still reads; `own` are those of the architecture alone. */
export function decoderToJson(
  config: DecoderConfig,
  dtype: StoredDType,
  own: Record<string, unknown> = {},
): Record<string, unknown> {
  const { eosTokenIds } = config;
  return {
    model_type: config.modelType,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.maxSeqLen,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    rope_scaling: ropeToJson(config.ropeScaling),
    tie_word_embeddings: config.tieWordEmbeddings,
    ...own,
    hidden_act: "silu",
    initializer_range: 0.02,
    bos_token_id: config.bosTokenId,
    eos_token_id: eosTokenIds.length === 1 ? eosTokenIds[0] : eosTokenIds.length === 0 ? null : eosTokenIds,
    torch_dtype: dtype,
  };
}

function ropeToJson(scaling: RopeScaling): Record<string, unknown> | null {
  switch (scaling.kind) {
    case "default":
      return null;
    case "linear":
      return { rope_type: "linear", factor: scaling.factor };
    case "llama3":
      return {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalMaxSeqLen,
      };
    case "yarn":
      return {
        rope_type: "yarn",
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxSeqLen,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        truncate: scaling.truncate,
        attention_factor: scaling.attentionFactor,
      };
    default:
      return scaling satisfies never;
  }
}

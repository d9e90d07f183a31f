/**
 * @file Qwen3 (Yang et al. 2025, arXiv 2505.09388), the dense models: Llama's block with an RMSNorm of each head's queries
 * and keys before they are rotated, heads of a width of their own, and a window in some layers of some checkpoints.
 * Agrees with modeling_qwen3.py of transformers 5.18, see `qwen3.test.ts`.
 *
 * From top to bottom: config.json, parameters, block, model. What is in a block is in `src/nn/blocks.ts`.
 */
import { z } from "zod";
import {
  blockNames,
  decoderParameters,
  embeddingName,
  finalNormName,
  gatedMlp,
  groupedAttention,
  norm,
  residual,
} from "../nn/index.ts";
import { embedding, type Tensor } from "../tensor/index.ts";
import type { Architecture } from "./architecture.ts";
import { type DecoderConfig, decoderToJson, parseDecoder, refuse } from "./decoder-config.ts";
import { createDecoder, type DecoderPass } from "./decoder-lm.ts";
import { parseForeign } from "./files.ts";

/** Sizes and constants of a Qwen3 model. */
export interface Qwen3Config extends DecoderConfig {
  readonly modelType: "qwen3";
  /** Biases on the four attention projections. */
  readonly attentionBias: boolean;
  /** Positions that {@link slidingLayers} look back on, one's own included; `null` where no layer has a window. */
  readonly slidingWindow: number | null;
  /** Layers with a window, by index from 0, ascending. */
  readonly slidingLayers: readonly number[];
}

const [fullKind, slidingKind] = ["full_attention", "sliding_attention"] as const;
const mostLayers = 65_536; // a list of layers is made before the weights bear their number out

/** Absent keys mean what transformers takes them for. */
const defaults = { numKvHeads: 32, headDim: 128, maxSeqLen: 32_768 };
const schema = z.looseObject({
  attention_bias: z.boolean().default(false),
  use_sliding_window: z.boolean().default(false),
  sliding_window: z.int().min(1).nullable().default(4096),
  max_window_layers: z.int().min(0).default(28),
  layer_types: z.array(z.enum([fullKind, slidingKind])).nullish(),
});

function parseConfig(json: unknown, path: string): Qwen3Config {
  const file = parseForeign(schema, json, path);
  const decoder = parseDecoder(json, path, defaults);
  const window = file.use_sliding_window ? file.sliding_window : null;
  const slidingLayers = slidingLayersOf(file, decoder.numLayers, window, path);
  return {
    modelType: "qwen3",
    ...decoder,
    attentionBias: file.attention_bias,
    slidingWindow: slidingLayers.length > 0 ? window : null,
    slidingLayers,
  };
}

/** `layer_types` says which; without it, a model with a window has it from layer `max_window_layers` on. */
function slidingLayersOf(
  { layer_types: kinds, max_window_layers: firstSliding }: z.output<typeof schema>,
  numLayers: number,
  window: number | null,
  path: string,
): readonly number[] {
  if (kinds !== undefined && kinds !== null) {
    if (kinds.length !== numLayers)
      refuse(path, `layer_types of all ${numLayers} layers (num_hidden_layers)`, `${kinds.length}`);
    if (window === null && kinds.includes(slidingKind))
      refuse(path, `use_sliding_window and sliding_window where layer_types has "${slidingKind}"`, "none");
    return [...kinds.keys()].filter((layer) => kinds[layer] === slidingKind);
  }
  if (window === null) return [];
  if (numLayers > mostLayers) refuse(path, `at most ${mostLayers} layers (num_hidden_layers)`, `${numLayers}`);
  return [...Array(numLayers).keys()].slice(firstSliding);
}

function configToJson(config: Qwen3Config, dtype: "float32" | "bfloat16"): Record<string, unknown> {
  const sliding = new Set(config.slidingLayers);
  return {
    architectures: ["Qwen3ForCausalLM"],
    ...decoderToJson(config, dtype),
    attention_bias: config.attentionBias,
    use_sliding_window: config.slidingWindow !== null,
    sliding_window: config.slidingWindow,
    max_window_layers: config.slidingLayers[0] ?? config.numLayers,
    layer_types: Array.from({ length: config.numLayers }, (_, layer) => (sliding.has(layer) ? slidingKind : fullKind)),
  };
}

/** `stream + Attention(RMS(stream))`, then `… + MLP(RMS(…))`. */
function block(pass: DecoderPass, config: Qwen3Config, layer: number, stream: Tensor<"N D">): Tensor<"N D"> {
  const names = blockNames(layer);
  const middle = residual(pass, stream, names.attentionNorm, (...at) =>
    groupedAttention(pass, layer, names, at, { ...config, headNorms: true }),
  );
  return residual(pass, middle, names.mlpNorm, (...at) => gatedMlp(pass, names, at));
}

function forward(pass: DecoderPass, config: Qwen3Config): Tensor<"N D"> {
  let stream = embedding(pass.scope, pass.parameters.get(embeddingName), pass.tokenIds, pass.wide); // [N, D]
  for (let layer = 0; layer < config.numLayers; layer++) stream = block(pass, config, layer, stream);
  return norm(pass, finalNormName, stream);
}

const windowOf = ({ slidingWindow, slidingLayers }: Qwen3Config, layer: number): number =>
  slidingWindow !== null && slidingLayers.includes(layer) ? slidingWindow : Number.POSITIVE_INFINITY;

/** `model_type` "qwen3". */
export const qwen3: Architecture<Qwen3Config> = {
  modelType: "qwen3",
  parseConfig,
  configToJson,
  parameters: (config) => decoderParameters(config, { attentionBias: config.attentionBias, headNorms: true }),
  create: (...args) => createDecoder({ architecture: qwen3, forward, windowOf }, ...args),
};

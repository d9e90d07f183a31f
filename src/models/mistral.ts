/**
 * @file Mistral (Jiang et al. 2023, arXiv 2310.06825): Llama's block without biases, whose layers may look back on the
 * last `slidingWindow` positions only. Agrees with modeling_mistral.py of transformers 5.18, see `mistral.test.ts`.
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
import { SelkieError } from "../util/index.ts";
import type { Architecture } from "./architecture.ts";
import { type DecoderConfig, decoderToJson, parseDecoder } from "./decoder-config.ts";
import { createDecoder, type DecoderPass } from "./decoder-lm.ts";
import { parseForeign } from "./files.ts";

/** Sizes and constants of a Mistral model. */
export interface MistralConfig extends DecoderConfig {
  readonly modelType: "mistral";
  /** Positions that every layer looks back on, one's own included; `null` for all of them. */
  readonly slidingWindow: number | null;
}

/** Absent keys mean what transformers takes them for; a window that is `null` is none. */
const defaults = { numKvHeads: 8, maxSeqLen: 131_072 };
const schema = z.looseObject({
  sliding_window: z.int().min(1).nullable().default(4096),
  layer_types: z.array(z.string()).nullish(),
});

function parseConfig(json: unknown, path: string): MistralConfig {
  const { sliding_window: slidingWindow, layer_types: layerTypes } = parseForeign(schema, json, path);
  const kinds = new Set(layerTypes ?? []);
  if (kinds.size > 1)
    throw new SelkieError(
      "unsupported-model",
      `${path}: expected layer_types of one kind, got ${[...kinds].join(" and ")}; transformers runs such a model as another model_type`,
    );
  return { modelType: "mistral", ...parseDecoder(json, path, defaults), slidingWindow };
}

/** `stream + Attention(RMS(stream))`, then `… + MLP(RMS(…))`. */
function block(pass: DecoderPass, config: MistralConfig, layer: number, stream: Tensor<"N D">): Tensor<"N D"> {
  const names = blockNames(layer);
  const middle = residual(pass, stream, names.attentionNorm, (...at) =>
    groupedAttention(pass, layer, names, at, config),
  );
  return residual(pass, middle, names.mlpNorm, (...at) => gatedMlp(pass, names, at));
}

function forward(pass: DecoderPass, config: MistralConfig): Tensor<"N D"> {
  let stream = embedding(pass.scope, pass.parameters.get(embeddingName), pass.tokenIds, pass.wide); // [N, D]
  for (let layer = 0; layer < config.numLayers; layer++) stream = block(pass, config, layer, stream);
  return norm(pass, finalNormName, stream);
}

const windowOf = (config: MistralConfig): number => config.slidingWindow ?? Number.POSITIVE_INFINITY;

/** `model_type` "mistral". */
export const mistral: Architecture<MistralConfig> = {
  modelType: "mistral",
  parseConfig,
  configToJson: (config, dtype) => ({
    architectures: ["MistralForCausalLM"],
    ...decoderToJson(config, dtype),
    sliding_window: config.slidingWindow,
  }),
  parameters: (config) => decoderParameters(config),
  create: (...args) => createDecoder({ architecture: mistral, forward, windowOf }, ...args),
};

/**
 * @file Llama (Touvron et al. 2023, arXiv 2302.13971; grouped queries as in Llama 2, arXiv 2307.09288), also the shape
 * of SmolLM2 and of the shipped models. Agrees with modeling_llama.py of transformers 5.18, see `llama.test.ts`:
 *
 *     h = E[ids];  per layer: h += Attention(RMS(h)); h += MLP(RMS(h));  logits = RMS(h) · Wᵀ
 *
 * From top to bottom: config.json, parameters, block, model. What is in a block is in `src/nn/blocks.ts`.
 * Next on the tour: `src/tensor/ops/linear.ts`.
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
  type ParameterSpec,
  residual,
} from "../nn/index.ts";
import { type Backend, embedding, type Tensor } from "../tensor/index.ts";
import type { Architecture, ConfiguredLm, CreateModelOptions } from "./architecture.ts";
import type { Precision } from "./causal-lm.ts";
import { type DecoderConfig, decoderToJson, parseDecoder } from "./decoder-config.ts";
import { createDecoder, type DecoderPass } from "./decoder-lm.ts";
import { parseForeign } from "./files.ts";

/** Sizes and constants of a Llama model. */
export interface LlamaConfig extends DecoderConfig {
  readonly modelType: "llama";
  /** Biases on the four attention projections. */
  readonly attentionBias: boolean;
  /** Biases on the three MLP projections. */
  readonly mlpBias: boolean;
}

/** The fields of {@link LlamaConfig} that are sizes. */
export type LlamaSize =
  | "vocabSize"
  | "hiddenSize"
  | "intermediateSize"
  | "numLayers"
  | "numHeads"
  | "numKvHeads"
  | "headDim"
  | "maxSeqLen";

/** What a plain Llama has besides its sizes; spread it into a config of your own. */
export const plainLlama: Omit<LlamaConfig, LlamaSize> = {
  modelType: "llama",
  ropeTheta: 10_000,
  ropeScaling: { kind: "default" },
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  attentionBias: false,
  mlpBias: false,
  bosTokenId: null,
  eosTokenIds: [0],
};

const schema = z.looseObject({
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
});

function parameters(config: LlamaConfig): readonly ParameterSpec[] {
  return decoderParameters(config, { attentionBias: config.attentionBias, mlpBias: config.mlpBias });
}

/** `stream + Attention(RMS(stream))`, then `… + MLP(RMS(…))`. */
function block(pass: DecoderPass, config: LlamaConfig, layer: number, stream: Tensor<"N D">): Tensor<"N D"> {
  const names = blockNames(layer);
  const middle = residual(pass, stream, names.attentionNorm, (...at) =>
    groupedAttention(pass, layer, names, at, config),
  );
  return residual(pass, middle, names.mlpNorm, (...at) => gatedMlp(pass, names, at));
}

function forward(pass: DecoderPass, config: LlamaConfig): Tensor<"N D"> {
  let stream = embedding(pass.scope, pass.parameters.get(embeddingName), pass.tokenIds, pass.wide); // [N, D]
  for (let layer = 0; layer < config.numLayers; layer++) stream = block(pass, config, layer, stream);
  return norm(pass, finalNormName, stream);
}

/** `model_type` "llama". */
export const llama: Architecture<LlamaConfig> = {
  modelType: "llama",
  parseConfig(json, path) {
    const { attention_bias: attentionBias, mlp_bias: mlpBias } = parseForeign(schema, json, path);
    return { modelType: "llama", ...parseDecoder(json, path), attentionBias, mlpBias };
  },
  configToJson: (config, dtype) => ({
    architectures: ["LlamaForCausalLM"],
    ...decoderToJson(config, dtype, { attention_bias: config.attentionBias, mlp_bias: config.mlpBias }),
  }),
  parameters,
  create: (...args) => createDecoder({ architecture: llama, forward }, ...args),
};

/** A Llama model with its configuration. */
export type LlamaLm = ConfiguredLm<LlamaConfig>;

/** Allocates a Llama model. */
export function createLlama(
  backend: Backend,
  config: LlamaConfig,
  precision: Precision,
  options: CreateModelOptions = {},
): LlamaLm {
  return llama.create(backend, config, precision, options);
}

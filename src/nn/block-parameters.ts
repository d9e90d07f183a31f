/**
 * @file Parameters of the block that Llama brought and others took over: where they stand in a checkpoint, and their
 * shapes. Axes: `D` hidden, `H` heads, `K` kv heads, `E` head width, `F` MLP width, `V` vocabulary.
 */
import type { LinearLayer } from "./lora.ts";
import type { ParameterSpec } from "./parameters.ts";

/** The lookup matrix, `[V, D]`. */
export const embeddingName = "model.embed_tokens.weight";
/** Norm after the last block, `[D]`. */
export const finalNormName = "model.norm.weight";
/** The output layer, `[V, D]`, where it is not the embedding. */
export const outputName = "lm_head.weight";

/** Names of one block's parameters on disk: norms in full, linear layers as module paths without `.weight`. */
export interface BlockNames {
  readonly attentionNorm: string;
  readonly mlpNorm: string;
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly o: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
  /** Norms of each head's queries and keys, where the architecture has them. */
  readonly qNorm: string;
  readonly kNorm: string;
}

const knownNames: BlockNames[] = []; // the same strings in every pass: maps need not hash them anew

/** {@link BlockNames} of block `layer`. */
export function blockNames(layer: number): BlockNames {
  let names = knownNames[layer];
  if (names === undefined) {
    names = spellNames(layer);
    knownNames[layer] = names;
  }
  return names;
}

function spellNames(layer: number): BlockNames {
  const prefix = `model.layers.${layer}`;
  return {
    attentionNorm: `${prefix}.input_layernorm.weight`,
    mlpNorm: `${prefix}.post_attention_layernorm.weight`,
    q: `${prefix}.self_attn.q_proj`,
    k: `${prefix}.self_attn.k_proj`,
    v: `${prefix}.self_attn.v_proj`,
    o: `${prefix}.self_attn.o_proj`,
    gate: `${prefix}.mlp.gate_proj`,
    up: `${prefix}.mlp.up_proj`,
    down: `${prefix}.mlp.down_proj`,
    qNorm: `${prefix}.self_attn.q_norm.weight`,
    kNorm: `${prefix}.self_attn.k_norm.weight`,
  };
}

/** Sizes of a model of such blocks. */
export interface BlockSizes {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly tieWordEmbeddings: boolean;
}

/** Linear layers of all blocks, in the order of the forward pass. */
export function blockLinears(sizes: BlockSizes): LinearLayer[] {
  const { hiddenSize, intermediateSize, headDim } = sizes;
  const [qSize, kvSize] = [sizes.numHeads * headDim, sizes.numKvHeads * headDim];
  return Array.from({ length: sizes.numLayers }, (_, layer) => {
    const names = blockNames(layer);
    return [
      { name: names.q, inSize: hiddenSize, outSize: qSize },
      { name: names.k, inSize: hiddenSize, outSize: kvSize },
      { name: names.v, inSize: hiddenSize, outSize: kvSize },
      { name: names.o, inSize: qSize, outSize: hiddenSize },
      { name: names.gate, inSize: hiddenSize, outSize: intermediateSize },
      { name: names.up, inSize: hiddenSize, outSize: intermediateSize },
      { name: names.down, inSize: intermediateSize, outSize: hiddenSize },
    ];
  }).flat();
}

/** What an architecture adds to the plain block. */
export interface BlockExtras {
  /** Biases on the four attention projections. @defaultValue false */
  readonly attentionBias?: boolean;
  /** Biases on the three MLP projections. @defaultValue false */
  readonly mlpBias?: boolean;
  /** Norms of each head's queries and keys. @defaultValue false */
  readonly headNorms?: boolean;
}

/** Every parameter of a checkpoint, by its name on disk. A tied output layer has none of its own. */
export function decoderParameters(sizes: BlockSizes, extras: BlockExtras = {}): ParameterSpec[] {
  const { vocabSize, hiddenSize, headDim } = sizes;
  const { attentionBias = false, mlpBias = false, headNorms = false } = extras;
  const hasBias = (name: string): boolean => (name.includes(".self_attn.") ? attentionBias : mlpBias);
  const projections = blockLinears(sizes).flatMap(({ name, inSize, outSize }) => [
    { name: `${name}.weight`, shape: [outSize, inSize] },
    ...(hasBias(name) ? [{ name: `${name}.bias`, shape: [outSize] }] : []),
  ]);
  const norms = Array.from({ length: sizes.numLayers }, (_, layer) => blockNames(layer)).flatMap((names) => [
    { name: names.attentionNorm, shape: [hiddenSize] },
    { name: names.mlpNorm, shape: [hiddenSize] },
    ...(headNorms ? [names.qNorm, names.kNorm].map((name) => ({ name, shape: [headDim] })) : []),
  ]);
  return [
    { name: embeddingName, shape: [vocabSize, hiddenSize] },
    ...projections,
    ...norms,
    { name: finalNormName, shape: [hiddenSize] },
    ...(sizes.tieWordEmbeddings ? [] : [{ name: outputName, shape: [vocabSize, hiddenSize] }]),
  ];
}

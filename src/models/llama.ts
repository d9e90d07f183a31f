/**
 * @file Llama (Touvron et al. 2023, arXiv 2302.13971; grouped queries as in Llama 2, arXiv 2307.09288), also the shape
 * of SmolLM2 and of the shipped models. Agrees with modeling_llama.py of transformers 5.18, see `llama.test.ts`:
 *
 *     h = E[ids];  per layer: h += Attention(RMS(h)); h += MLP(RMS(h));  logits = RMS(h) · Wᵀ
 *
 * The residual stream is f32; norms write `precision.activations`, linear layers multiply in `precision.compute`.
 * Axes: `N` tokens of the packed batch, `D` hidden, `H` heads, `K` kv heads, `E` head width, `F` MLP width.
 * Next on the tour: `src/tensor/ops/linear.ts`.
 */
import { type AdapterBatch, type LinearLayer, type ParameterSpec, ParameterStore } from "../nn/index.ts";
import {
  type AttentionLayout,
  attention,
  type Backend,
  createTensor,
  embedding,
  linear,
  type QuantisedFormat,
  type RopeTable,
  rmsNorm,
  rope,
  type Scope,
  swiglu,
  type Tensor,
} from "../tensor/index.ts";
import { type Rng, SelkieError, ShapeError } from "../util/index.ts";
import type { CausalLm, ForwardOptions, KvCache, Precision, TokenBatch } from "./causal-lm.ts";
import type { LlamaConfig } from "./config.ts";
import { computeRopeFrequencies, GrowingRopeTable } from "./rope-scaling.ts";

const initialStd = 0.02; // initializer_range of the Llama releases

/** Names of one block's parameters on disk. */
const blockNames = (layer: number) => {
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
  };
};
/** The lookup matrix. */
export const embeddingName = "model.embed_tokens.weight";
const finalNormName = "model.norm.weight";
/** The output layer, where it is not the embedding. */
export const outputName = "lm_head.weight";

/** Parameters of one block, biases aside. */
export const parametersPerLayer: number = Object.keys(blockNames(0)).length;

/** Linear layers of all blocks, in the order of the forward pass. */
function linearLayersOf(config: LlamaConfig): LinearLayer[] {
  const { hiddenSize, intermediateSize, headDim } = config;
  const [qSize, kvSize] = [config.numHeads * headDim, config.numKvHeads * headDim];
  return Array.from({ length: config.numLayers }, (_, layer) => {
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

const hasBias = (config: LlamaConfig, layerName: string): boolean =>
  layerName.includes(".self_attn.") ? config.attentionBias : config.mlpBias;

/** Every parameter of a checkpoint, by its name on disk. A tied output layer has none of its own. */
export function llamaParameters(config: LlamaConfig): ParameterSpec[] {
  const { hiddenSize, vocabSize } = config;
  const norms = Array.from({ length: config.numLayers }, (_, layer) => blockNames(layer)).flatMap((names) => [
    { name: names.attentionNorm, shape: [hiddenSize] },
    { name: names.mlpNorm, shape: [hiddenSize] },
  ]);
  const projections = linearLayersOf(config).flatMap(({ name, inSize, outSize }) => [
    { name: `${name}.weight`, shape: [outSize, inSize] },
    ...(hasBias(config, name) ? [{ name: `${name}.bias`, shape: [outSize] }] : []),
  ]);
  return [
    { name: embeddingName, shape: [vocabSize, hiddenSize] },
    ...projections,
    ...norms,
    { name: finalNormName, shape: [hiddenSize] },
    ...(config.tieWordEmbeddings ? [] : [{ name: outputName, shape: [vocabSize, hiddenSize] }]),
  ];
}

/**
 * The format of a parameter. Embedding and output layer get 8 bits in any case: with 4, they alone cost five times what all
 * other matrices together do (shipped model, held-out text: 0.0045 nats per token against 0.0009).
 */
function chooseFormat({ name, shape }: ParameterSpec, { weights }: Precision): QuantisedFormat | null {
  if (weights === undefined || shape.length !== 2) return null;
  return name === embeddingName || name === outputName ? "int8" : weights;
}

/** What every layer of one forward pass shares. */
interface Pass {
  readonly scope: Scope;
  readonly layout: AttentionLayout;
  readonly positionIds: Int32Array;
  readonly ropeTable: RopeTable;
  readonly adapters: AdapterBatch | null;
  readonly cache: NonNullable<ForwardOptions["cache"]> | null;
}

/** What a layer adds to its stream, and the sum; the last product of the branch writes both at once. */
type Branch = (x: Tensor, stream: Tensor) => Tensor<"N D">;

class Llama implements LlamaLm {
  readonly backend: Backend;
  readonly config: LlamaConfig;
  readonly precision: Precision;
  readonly parameters: ParameterStore;
  readonly linearLayers: readonly LinearLayer[];
  readonly #rope: GrowingRopeTable;

  constructor(backend: Backend, config: LlamaConfig, precision: Precision) {
    this.backend = backend;
    this.config = config;
    this.precision = precision;
    this.linearLayers = linearLayersOf(config);
    this.parameters = new ParameterStore(backend, llamaParameters(config), precision.params, (spec) =>
      chooseFormat(spec, precision),
    );
    const frequencies = computeRopeFrequencies(config.headDim, config.ropeTheta, config.ropeScaling);
    this.#rope = new GrowingRopeTable(backend, config.maxSeqLen, frequencies, this.#wide);
  }

  get vocabSize(): number {
    return this.config.vocabSize;
  }

  get hiddenSize(): number {
    return this.config.hiddenSize;
  }

  get maxSeqLen(): number {
    return this.config.maxSeqLen;
  }

  get outputWeight(): Tensor<"V D"> {
    return this.parameters.get(this.config.tieWordEmbeddings ? embeddingName : outputName);
  }

  hidden(scope: Scope, batch: TokenBatch, options: ForwardOptions = {}): Tensor<"N D"> {
    const { adapters = null, cache = null } = options;
    checkBatch(batch, this.config);
    if (cache !== null) checkCache(scope, batch, cache);
    const { layout, positionIds } = batch;
    const pass: Pass = { scope, layout, positionIds, ropeTable: this.#rope.covering(positionIds), adapters, cache };
    let stream = embedding(scope, this.parameters.get(embeddingName), batch.tokenIds, this.#wide); // [N, D]
    for (let layer = 0; layer < this.config.numLayers; layer++) {
      stream = this.#residual(pass, stream, blockNames(layer).attentionNorm, (x, to) =>
        this.#attention(pass, layer, x, to),
      );
      stream = this.#residual(pass, stream, blockNames(layer).mlpNorm, (x, to) => this.#mlp(pass, layer, x, to));
    }
    return this.#norm(scope, stream, finalNormName);
  }

  createCache(numRows: number): KvCache {
    const { numLayers, numKvHeads, headDim } = this.config;
    const rows = (): Tensor => createTensor(this.backend, [numRows, numKvHeads * headDim], this.precision.activations);
    const layers = Array.from({ length: numLayers }, () => ({ keys: rows(), values: rows() }));
    const copy = (from: Tensor, to: Tensor, fromRow: number, toRow: number, count: number): void => {
      const width = numKvHeads * headDim;
      const shape = [count, width];
      const x = from.view(fromRow * width, shape);
      this.backend.kernels.axpby({ x, alpha: 1, y: to.view(toRow * width, shape), beta: 0 });
    };
    return {
      numRows,
      layers,
      copyRows: (source, from, to, count) =>
        source.layers.forEach(({ keys, values }, layer) => {
          copy(keys, layers[layer]!.keys, from, to, count);
          copy(values, layers[layer]!.values, from, to, count);
        }),
      [Symbol.dispose]: () => {
        for (const tensor of layers.flatMap(({ keys, values }) => [keys, values])) tensor[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    this.parameters[Symbol.dispose]();
    this.#rope[Symbol.dispose]();
  }

  /** Of the residual stream and the rotary table: f32, or f64 where gradients are checked. */
  get #wide(): "f32" | "f64" {
    return this.precision.activations === "f64" ? "f64" : "f32";
  }

  /** `stream + branch(RMS(stream))`. */
  #residual(pass: Pass, stream: Tensor, normName: string, branch: Branch): Tensor<"N D"> {
    const normed = this.#norm(pass.scope, stream, normName);
    const next = branch(normed, stream);
    free(pass.scope, stream, normed);
    return next;
  }

  #attention(pass: Pass, layer: number, x: Tensor, stream: Tensor): Tensor<"N D"> {
    const { scope, positionIds, ropeTable, layout, cache } = pass;
    const { numHeads, numKvHeads } = this.config;
    const names = blockNames(layer);
    const [flatQ, flatK] = [this.#linear(pass, names.q, x), this.#linear(pass, names.k, x)];
    const v = this.#linear(pass, names.v, x); // [N, K·E]
    const q = rope(scope, flatQ, positionIds, ropeTable, numHeads); // [N, H·E]
    const k = rope(scope, flatK, positionIds, ropeTable, numKvHeads); // [N, K·E]
    const past = cache?.kvCache.layers[layer];
    if (past !== undefined && cache !== null) {
      this.backend.kernels.setRows({ x: k, rows: cache.rows, y: past.keys });
      this.backend.kernels.setRows({ x: v, rows: cache.rows, y: past.values });
    }
    const mixed = attention(scope, q, past?.keys ?? k, past?.values ?? v, { layout, numHeads, numKvHeads });
    const output = this.#linear(pass, names.o, mixed, stream);
    free(scope, flatQ, flatK, q, k, v, mixed);
    return output;
  }

  #mlp(pass: Pass, layer: number, x: Tensor, stream: Tensor): Tensor<"N D"> {
    const names = blockNames(layer);
    const gate = this.#linear(pass, names.gate, x); // [N, F]
    const up = this.#linear(pass, names.up, x);
    const gated = swiglu(pass.scope, gate, up);
    const output = this.#linear(pass, names.down, gated, stream);
    free(pass.scope, gate, up, gated);
    return output;
  }

  #linear(pass: Pass, name: string, x: Tensor, residual: Tensor | null = null): Tensor {
    return linear(pass.scope, x, this.parameters.get(`${name}.weight`), {
      bias: hasBias(this.config, name) ? this.parameters.get(`${name}.bias`) : null,
      lora: pass.adapters?.weightsFor(name) ?? null,
      residual,
      compute: this.precision.compute,
    });
  }

  #norm(scope: Scope, x: Tensor, name: string): Tensor<"N D"> {
    return rmsNorm(scope, x, this.parameters.get(name), this.config.rmsNormEps, this.precision.activations);
  }
}

/** Returns temporaries to the pool at once where no tape needs them; logits of a long prompt would else hold every layer. */
function free(scope: Scope, ...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) scope.free(tensor);
}

function checkBatch({ tokenIds, positionIds, layout }: TokenBatch, { vocabSize, maxSeqLen }: LlamaConfig): void {
  const numTokens = tokenIds.length;
  if (positionIds.length !== numTokens)
    throw new ShapeError("positionIds", `[${numTokens}]`, `[${positionIds.length}]`, "one position per token");
  if (layout.qOffsets.at(-1) !== numTokens)
    throw new ShapeError(
      "layout.qOffsets",
      `to end at ${numTokens}`,
      `${layout.qOffsets.at(-1)}`,
      "every token belongs to a sequence",
    );
  for (let i = 0; i < numTokens; i++) {
    if (tokenIds[i]! < 0 || tokenIds[i]! >= vocabSize)
      throw new SelkieError(
        "bad-input",
        `tokenIds[${i}]: expected an id below ${vocabSize}, got ${tokenIds[i]}; use the tokenizer of this checkpoint`,
      );
    if (positionIds[i]! < 0 || positionIds[i]! >= maxSeqLen)
      throw new SelkieError(
        "bad-input",
        `positionIds[${i}]: expected a position below ${maxSeqLen}, got ${positionIds[i]}; shorten or split the text`,
      );
  }
}

function checkCache(scope: Scope, batch: TokenBatch, { kvCache, rows }: NonNullable<ForwardOptions["cache"]>): void {
  if (scope.isRecording)
    throw new SelkieError("bad-option", "internal: a cache stops gradients; use a scope that does not record");
  if (rows.length !== batch.tokenIds.length)
    throw new ShapeError("cache.rows", `[${batch.tokenIds.length}]`, `[${rows.length}]`, "one cache row per token");
  for (const row of rows)
    if (row < 0 || row >= kvCache.numRows)
      throw new ShapeError("cache.rows", `rows below ${kvCache.numRows}`, `${row}`, "create a larger cache");
}

/** A Llama model with its configuration. */
export interface LlamaLm extends CausalLm {
  readonly config: LlamaConfig;
}

/** Options of {@link createLlama}. */
export interface CreateLlamaOptions {
  /** Draws the initial weights: normal of deviation 0.02, ones for norms, zeros for biases. Without it they are unspecified, for a loader to write. */
  readonly rng?: Rng;
}

/** Allocates a Llama model. */
export function createLlama(
  backend: Backend,
  config: LlamaConfig,
  precision: Precision,
  options: CreateLlamaOptions = {},
): LlamaLm {
  const lm = new Llama(backend, config, precision);
  if (options.rng !== undefined) initialize(lm.parameters, options.rng);
  return lm;
}

function initialize(parameters: ParameterStore, rng: Rng): void {
  for (const { name, shape } of parameters.specs) {
    const tensor = parameters.get(name);
    const stream = rng.fork("init", name);
    const draw = shape.length === 2 ? () => stream.normal() * initialStd : () => (name.endsWith(".bias") ? 0 : 1);
    tensor.write(Float64Array.from({ length: tensor.size }, draw));
  }
}

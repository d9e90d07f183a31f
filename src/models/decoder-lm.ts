/**
 * @file What decoder-only models of the usual kind have in common around their blocks: parameters, rotary table, cache,
 * output layer, checks of what comes in. The blocks themselves are a function that the architecture passes.
 */
import {
  type AdapterBatch,
  type BlockPass,
  blockLinears,
  type DecodeCache,
  embeddingName,
  KvCache,
  type LinearLayer,
  outputName,
  type ParameterSpec,
  ParameterStore,
} from "../nn/index.ts";
import {
  type AttentionLayout,
  type Backend,
  type QuantisedFormat,
  type Scope,
  slidingWindow,
  type Tensor,
} from "../tensor/index.ts";
import { type Rng, SelkieError, ShapeError } from "../util/index.ts";
import type { Architecture, ConfiguredLm, CreateModelOptions } from "./architecture.ts";
import type { ForwardOptions, Precision, TokenBatch } from "./causal-lm.ts";
import type { DecoderConfig } from "./decoder-config.ts";
import { computeRopeFrequencies, GrowingRopeTable } from "./rope-scaling.ts";

const initialStd = 0.02; // initializer_range of the releases

/** One forward pass as the blocks see it. */
export interface DecoderPass extends BlockPass {
  /** `[N]`. */
  readonly tokenIds: Int32Array;
  /** Storage of the residual stream: f32, or f64 where gradients are checked. */
  readonly wide: "f32" | "f64";
}

/** What tells one architecture of this kind from another. */
export interface DecoderParts<Config extends DecoderConfig> {
  readonly architecture: Architecture<Config>;
  /** Final hidden states after the last norm, `[N, D]`. */
  forward(pass: DecoderPass, config: Config): Tensor<"N D">;
  /** Positions each layer looks back on, one's own included. @defaultValue all of them */
  windowOf?(config: Config, layer: number): number;
}

/**
 * The format of a parameter. Embedding and output layer get 8 bits in any case: with 4, they alone cost five times what all
 * other matrices together do (shipped model, held-out text: 0.0045 nats per token against 0.0009).
 */
function chooseFormat({ name, shape }: ParameterSpec, { weights }: Precision): QuantisedFormat | null {
  if (weights === undefined || shape.length !== 2) return null;
  return name === embeddingName || name === outputName ? "int8" : weights;
}

class DecoderLm<Config extends DecoderConfig> implements ConfiguredLm<Config> {
  readonly backend: Backend;
  readonly config: Config;
  readonly precision: Precision;
  readonly parameters: ParameterStore;
  readonly linearLayers: readonly LinearLayer[];
  readonly attentionWindows: readonly number[];
  readonly #parts: DecoderParts<Config>;
  readonly #rope: GrowingRopeTable;
  readonly #caches = new WeakSet<DecodeCache>();

  constructor(parts: DecoderParts<Config>, backend: Backend, config: Config, precision: Precision) {
    this.#parts = parts;
    this.backend = backend;
    this.config = config;
    this.precision = precision;
    this.linearLayers = blockLinears(config);
    this.attentionWindows = Array.from(
      { length: config.numLayers },
      (_, layer) => parts.windowOf?.(config, layer) ?? Number.POSITIVE_INFINITY,
    );
    this.parameters = new ParameterStore(backend, parts.architecture.parameters(config), precision.params, (spec) =>
      chooseFormat(spec, precision),
    );
    const frequencies = computeRopeFrequencies(config.headDim, config.ropeTheta, config.ropeScaling);
    this.#rope = new GrowingRopeTable(backend, config.maxSeqLen, frequencies, this.#wide);
  }

  get architecture(): Architecture<Config> {
    return this.#parts.architecture;
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
    const pass = this.#passOf(scope, batch, adapters, cache);
    try {
      return this.#parts.forward(pass, this.config);
    } catch (error) {
      if (cache !== null) retract(cache, batch.layout);
      throw error;
    }
  }

  createCache(numRows: number): DecodeCache {
    const { numLayers, numKvHeads, headDim } = this.config;
    const dtype = this.precision.activations;
    const cache = new KvCache(this.backend, { numRows, numLayers, width: numKvHeads * headDim, dtype });
    this.#caches.add(cache);
    return cache;
  }

  [Symbol.dispose](): void {
    this.parameters[Symbol.dispose]();
    this.#rope[Symbol.dispose]();
  }

  get #wide(): "f32" | "f64" {
    return this.precision.activations === "f64" ? "f64" : "f32";
  }

  #passOf(scope: Scope, batch: TokenBatch, adapters: AdapterBatch | null, cache: DecodeCache | null): DecoderPass {
    const { tokenIds, positionIds, layout } = batch;
    const layoutFor = layoutsOf(layout, this.attentionWindows);
    const kv = cache === null ? null : this.#ownCache(scope, cache);
    return {
      scope,
      parameters: this.parameters,
      activations: this.precision.activations,
      compute: this.precision.compute,
      rmsNormEps: this.config.rmsNormEps,
      wide: this.#wide,
      tokenIds,
      positionIds,
      ropeTable: this.#rope.covering(positionIds),
      adapters,
      cache: kv && { kv, rows: kv.extend(layout) },
      layoutFor,
    };
  }

  /** The cache, if {@link createCache} made it: kernels trust its sizes. */
  #ownCache(scope: Scope, cache: DecodeCache): KvCache {
    if (scope.isRecording)
      throw new SelkieError("bad-option", "internal: a cache stops gradients; use a scope that does not record");
    if (cache instanceof KvCache && this.#caches.has(cache)) return cache;
    throw new SelkieError("bad-option", "internal: cache: expected one that createCache of this model made");
  }
}

/** Takes the tokens of a pass that failed back, so that it can be tried again. */
function retract(cache: DecodeCache, { qOffsets, kStarts, kLengths }: AttentionLayout): void {
  for (const [b, sequence] of kStarts.entries())
    cache.truncate(sequence, kLengths[b]! - (qOffsets[b + 1]! - qOffsets[b]!));
}

/**
 * What each layer sees. Layers with a window that some text exceeds see that much of what the batch lets them see; one layout
 * serves all layers of the same window.
 */
function layoutsOf(layout: AttentionLayout, windows: readonly number[]): (layer: number) => AttentionLayout {
  const longest = layout.kLengths.reduce((most, length) => Math.max(most, length), 0);
  const byWindow = new Map<number, AttentionLayout>();
  return (layer) => {
    const window = windows[layer]!;
    if (longest <= window) return layout;
    const known = byWindow.get(window) ?? withinWindow(layout, window);
    byWindow.set(window, known);
    return known;
  };
}

/** The layout with no query looking back beyond `window` positions, its own included. */
function withinWindow(layout: AttentionLayout, window: number): AttentionLayout {
  const { visible } = layout;
  const windowed = slidingWindow(window)(layout);
  if (!visible) return windowed;
  const begin = visible.begin.map((first, row) =>
    Math.max(first, Math.min(windowed.visible!.begin[row]!, visible.end[row]!)),
  );
  return { ...layout, visible: { begin, end: visible.end } };
}

function checkBatch({ tokenIds, positionIds, layout }: TokenBatch, { vocabSize, maxSeqLen }: DecoderConfig): void {
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

/** Allocates a model of these parts. */
export function createDecoder<Config extends DecoderConfig>(
  parts: DecoderParts<Config>,
  backend: Backend,
  config: Config,
  precision: Precision,
  options: CreateModelOptions = {},
): ConfiguredLm<Config> {
  const lm = new DecoderLm(parts, backend, config, precision);
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

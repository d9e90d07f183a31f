/** @file What training, generation and scoring need of a causal language model, whatever its blocks are. */
import type { AdapterBatch, DecodeCache, LinearLayer, ParameterStore } from "../nn/index.ts";
import type { AttentionLayout, Backend, ComputeType, DType, QuantisedFormat, Scope, Tensor } from "../tensor/index.ts";

/** Number formats, chosen once and passed down. Losses, norms' statistics, the residual stream and sums are f32 in all of them. */
export interface Precision {
  /** Storage of weights; training needs f32 (f64 for gradient checks). */
  readonly params: DType;
  /** Keeps matrices quantised instead: for frozen bases and decoding. Lookup and output matrices are never below int8. */
  readonly weights?: QuantisedFormat;
  /** Storage of activations between ops. */
  readonly activations: DType;
  /** Arithmetic of products. */
  readonly compute: ComputeType;
}

/** f32 throughout. */
export const f32Precision: Precision = { params: "f32", activations: "f32", compute: "f32" };
/** f32 master weights, bf16 activations and products: for training. */
export const bf16TrainPrecision: Precision = { params: "f32", activations: "bf16", compute: "bf16" };
/** bf16 weights as well: for frozen bases and decoding. */
export const bf16Precision: Precision = { params: "bf16", activations: "bf16", compute: "bf16" };

/** Tokens of one forward pass: sequences packed one after another, no padding. */
export interface TokenBatch {
  /** `[N]`. */
  readonly tokenIds: Int32Array;
  /** `[N]`; restarts at 0 with each document. */
  readonly positionIds: Int32Array;
  readonly layout: AttentionLayout;
}

/** Options of {@link CausalLm.hidden}. */
export interface ForwardOptions {
  readonly adapters?: AdapterBatch | null;
  /**
   * Goes on with sequences of this cache, made by {@link CausalLm.createCache}: the layout names each by its row in
   * `kStarts`, and `kLengths` counts its tokens with those of this pass. Refused where the scope records gradients.
   */
  readonly cache?: DecodeCache | null;
}

/** A decoder-only language model. */
export interface CausalLm extends Disposable {
  readonly backend: Backend;
  readonly precision: Precision;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly maxSeqLen: number;
  readonly parameters: ParameterStore;
  /** Linear layers of the blocks, in order; what LoRA attaches to. */
  readonly linearLayers: readonly LinearLayer[];
  /** Positions each layer looks back on, one's own included, one entry per layer; `Infinity` where there is no window. */
  readonly attentionWindows: readonly number[];
  /** `[V, D]`; the embedding itself when the two are tied. */
  readonly outputWeight: Tensor<"V D">;
  /** Final hidden states after the last norm, `[N, D]`; feed them to `crossEntropy`, `tokenLogprobs` or {@link logits}. */
  hidden(scope: Scope, batch: TokenBatch, options?: ForwardOptions): Tensor<"N D">;
  /** A cache with room for `numRows` tokens; whoever decodes hands it back to {@link hidden} and disposes of it. */
  createCache(numRows: number): DecodeCache;
}

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** True reads text that spells a control token as that token, for templates that mean it. @defaultValue false */
  readonly controlTokens?: boolean;
}

/** A token where it stands in a text. */
export interface TokenPiece {
  readonly id: number;
  /** What the token adds; empty until the last token of a character. The texts of all tokens joined are the text. */
  readonly text: string;
  /** UTF-8 bytes of the text that the token stands for; 0 for control tokens. */
  readonly numBytes: number;
}

/** Text to ids and back. */
export interface Tokenizer {
  /** One more than the highest id. */
  readonly vocabSize: number;
  /**
   * Ends a document: training appends it.
   *
   * @throws {@link SelkieError} `"bad-file"` when read where the checkpoint names none.
   */
  readonly eosTokenId: number;
  /** Any of these ends a completion, `eosTokenId` among them; none where the checkpoint names none. */
  readonly stopTokens: readonly number[];
  /** Put before every text, as the model was trained: the beginning-of-text token or nothing, in most models. */
  readonly prefixIds: readonly number[];
  /** Put behind a whole text by the tokenizer itself; nothing in most models. */
  readonly suffixIds: readonly number[];
  /** Ids that control the model: text never becomes them unless asked for, and decoding leaves them out. */
  readonly controlIds: ReadonlySet<number>;
  /** Ids of `text` alone: no prefix, no suffix, and what spells a control token is text. */
  encode(text: string, options?: EncodeOptions): number[];
  /** Text of `tokenIds`, control tokens left out. */
  decode(tokenIds: ArrayLike<number>): string;
  /** The token of an id as the files hold it; `null` where there is none. */
  tokenOf(id: number): string | null;
  /** Each token with the text it adds. */
  pieces(tokenIds: ArrayLike<number>): TokenPiece[];
}

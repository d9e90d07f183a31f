/**
 * @file The engine: one loaded model as a long-lived service. Requests come and go in a running batch, each with its
 * adapter, sampler, stop strings and cancel; adapters are named by what they hold, and training runs beside decoding.
 * Callers see this interface alone, so the model may live in this thread (`local.ts`), in a worker (`remote.ts`), or elsewhere.
 */
import type { SampledToken, SamplerConfig, TokenLogprob } from "../generate/index.ts";
import type { DigestPart, Precision, Tokenizer } from "../models/index.ts";
import type { LinearLayer, LoraAdapter, LoraModules } from "../nn/index.ts";
import type {
  AdapterJob,
  AdapterResult,
  BankProgress,
  DatumLike,
  MeanLoss,
  PolicyProgress,
  PolicyResult,
  SoftTargets,
  TaughtDocument,
  TrainingPlan,
} from "../train/index.ts";
import type { Rng } from "../util/index.ts";

/** What is known of the model without looking at its weights. */
export interface EngineModel {
  readonly directory: string;
  /** What adapters are bound to. */
  readonly digest: string;
  /** What the digest is of: everything in the directory that shapes an answer. */
  readonly parts: readonly DigestPart[];
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly maxSeqLen: number;
  readonly numParameters: number;
  readonly linearLayers: readonly LinearLayer[];
  readonly precision: Precision;
  readonly instructionSet: string;
  readonly numThreads: number;
}

/** Names an adapter of an engine: the SHA-256 of its weights, or the name it was added under. */
export type AdapterId = string;

/** One prompt to continue. */
export interface EngineRequest {
  /** At least one id, fewer than `maxSeqLen`. */
  readonly promptIds: ArrayLike<number>;
  /** At least 1; prompt and completion together also end at the model's `maxSeqLen`. */
  readonly maxNewTokens: number;
  /** @defaultValue greedy */
  readonly sampler?: SamplerConfig | undefined;
  /** A sampled token among these ends the completion and is its last token. @defaultValue none */
  readonly stopTokens?: readonly number[] | undefined;
  /** The completion ends before the first of these texts. @defaultValue none */
  readonly stopStrings?: readonly string[] | undefined;
  /** Likeliest tokens to report in the place of each sampled one, 0 to 20. @defaultValue 0 */
  readonly topLogprobs?: number | undefined;
  /** An adapter that was added; `null` is the model alone. @defaultValue null */
  readonly adapter?: AdapterId | null | undefined;
  /** Random stream of the request, of which a copy is drawn from; sampling needs this or `seed`. */
  readonly rng?: Rng | undefined;
  /** Names the random stream instead: equal seeds give equal completions. */
  readonly seed?: number | string | undefined;
}

/** A completion. */
export interface EngineGeneration {
  /** Sampled ids, the stop token included. */
  readonly tokenIds: readonly number[];
  /** Nats of each sampled token under the untruncated softmax at the sampling temperature (at 1 for greedy decoding). */
  readonly logprobs: readonly number[];
  /** For each sampled token the likeliest ones in its place, best first; lists are empty unless asked for. */
  readonly topLogprobs: readonly (readonly TokenLogprob[])[];
  /** True when tokens were drawn from that very softmax. */
  readonly fullSoftmax: boolean;
  /** Decoded completion, up to the stop string where one was met. */
  readonly text: string;
  readonly stopReason: "stop" | "length";
  readonly stopString: string | null;
}

/** A token of a completion that is being made, with the text that became certain by it. */
export interface TokenEvent extends SampledToken {
  readonly text: string;
}

/** A completion that is being made. Iterate over it for its tokens; they are kept until somebody does. */
export interface EngineStream extends AsyncIterable<TokenEvent> {
  /** Rejects with the request's own error, or with `"stopped"` when it was cancelled. */
  readonly result: Promise<EngineGeneration>;
  /** Gives its place in the batch back before the next step. */
  cancel(): void;
}

/** One sequence to read. */
export interface EngineReading {
  /** At least one id, at most `maxSeqLen`. */
  readonly tokenIds: ArrayLike<number>;
  readonly adapter?: AdapterId | null | undefined;
}

/** Options of long calls. */
export interface EngineCall<Progress = never> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** How far a call of {@link Engine.generate} has come. */
export interface EngineProgress {
  readonly finished: number;
  readonly total: number;
  /** Sampled so far, over all requests of the call. */
  readonly numTokens: number;
}

/** An adapter to train, as plain data: with the objective of all engines, nats per supervised token. */
export interface EngineJob extends Omit<AdapterJob, "objective"> {
  readonly objective?: never;
}

/** Names a copy of the weights that an engine keeps. */
export type WeightsId = number;

/** What {@link Engine.trainModel} did; the trained weights are in the engine. */
export type EngineModelTraining = Pick<PolicyResult, "lossCurve" | "resumedFrom">;

/** Adapters to train over the model's frozen weights. */
export interface EngineTraining {
  readonly jobs: readonly EngineJob[];
  readonly seed: number | string;
  /** Rows of one forward pass. @defaultValue that of `trainAdapters` */
  readonly maxTokensPerStep?: number | undefined;
}

/** How busy an engine is. */
export interface EngineStats {
  readonly numWaiting: number;
  readonly numRunning: number;
  readonly numAdapters: number;
  /** Rows of the cache of keys and values. */
  readonly cacheRows: number;
  readonly liveBytes: number;
  readonly peakBytes: number;
}

/**
 * A model at work; dispose of it to end its thread and free its memory. Every call may reject with a `SelkieError`.
 *
 * {@link Engine.trainModel}, {@link Engine.mergeAdapter} and {@link Engine.restoreWeights} change the weights, so they run alone: they wait until
 * all requests and calls before them have ended, and what comes later waits for them and sees the new weights. All other
 * calls run side by side. `model.digest` keeps naming the weights as they were loaded.
 */
export interface Engine extends AsyncDisposable {
  readonly model: EngineModel;
  readonly tokenizer: Tokenizer;
  /** Starts one completion. A request that cannot be served fails alone, through its `result`. */
  submit(request: EngineRequest): EngineStream;
  /** Completions of many requests, in their order; the first failure cancels the others. */
  generate(requests: readonly EngineRequest[], call?: EngineCall<EngineProgress>): Promise<EngineGeneration[]>;
  /** Log-probability of each token after the first, `[T - 1]` per reading, nats. */
  score(readings: readonly EngineReading[], call?: EngineCall): Promise<Float32Array[]>;
  /** Mean of the final hidden states over a reading's tokens, `[D]` per reading, of length 1. */
  embed(readings: readonly EngineReading[], call?: EngineCall): Promise<Float32Array[]>;
  /** Makes an adapter known; adding one twice counts, and it takes as many removals. @returns its name. */
  addAdapter(adapter: LoraAdapter, id?: AdapterId): Promise<AdapterId>;
  /** Takes one {@link addAdapter} back. Requests that run with it end as they would have; new ones are refused. */
  removeAdapter(id: AdapterId): Promise<void>;
  /** Trains adapters while requests run; results are in the order of the jobs and do not depend on the requests. */
  trainAdapters(training: EngineTraining, call?: EngineCall<BankProgress>): Promise<AdapterResult[]>;
  /**
   * KL(base ‖ adapted) after every token, nats: what an observer who expects the model alone is surprised by.
   *
   * @returns `[T]` per reading; zeros for a reading without an adapter.
   */
  divergence(readings: readonly EngineReading[], call?: EngineCall): Promise<Float64Array[]>;
  /** Logits of the token after every token, `[T · V]` per reading: `4 · T · V` bytes, so ask for a few at a time. */
  predict(readings: readonly EngineReading[], call?: EngineCall): Promise<Float32Array[]>;
  /** What the model expects at each token of each document, by its `topK` likeliest tokens. */
  softTargets(documents: readonly TaughtDocument[], options: { readonly topK: number }): Promise<SoftTargets[]>;
  /** Diagonal Fisher information of an adapter's weights on documents; see `adapterFisher`. */
  fisher(adapter: LoraAdapter, documents: readonly DatumLike[]): Promise<LoraModules>;
  /** Mean loss of documents under the model as it is now. */
  meanLoss(documents: readonly DatumLike[]): Promise<MeanLoss>;
  /**
   * Trains the model's own weights as planned; an adapter is merged at the end.
   *
   * @throws SelkieError `"diverged"` when the loss stops being a number. After that, or when the signal fired, weights of a
   * plan for the whole model are those of the last update; go back with {@link Engine.restoreWeights}.
   */
  trainModel(plan: TrainingPlan, call?: EngineCall<PolicyProgress>): Promise<EngineModelTraining>;
  /** `W += scale · loraAlpha / loraRank · B A` for every module of the adapter. @defaultValue `scale` is 1 */
  mergeAdapter(adapter: LoraAdapter, scale?: number): Promise<void>;
  /** Keeps a copy of the weights as they are, until it is forgotten. */
  keepWeights(): Promise<WeightsId>;
  /** Puts a copy back. */
  restoreWeights(id: WeightsId): Promise<void>;
  forgetWeights(id: WeightsId): Promise<void>;
  /** SHA-256 of the weights as they are now. */
  digestWeights(): Promise<string>;
  /** Writes the model as it is now as a checkpoint directory with the tokenizer it was loaded with. @returns its digest. */
  save(directory: string): Promise<string>;
  stats(): Promise<EngineStats>;
}

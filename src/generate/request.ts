/** @file What callers ask of decoding, checked once on entry, and what they get. */
import type { CausalLm } from "../models/index.ts";
import type { AdapterPlaces } from "../nn/index.ts";
import { type Rng, SelkieError } from "../util/index.ts";
import { checkAdapterIndex, checkTokenIds } from "./packing.ts";
import {
  checkSampler,
  type Draw,
  greedySampler,
  isFullSoftmax,
  maxTopLogprobs,
  type SampledToken,
  type SamplerConfig,
  type TokenLogprob,
} from "./samplers.ts";
import { hasPenalties, TokenCounts } from "./token-counts.ts";

/** One prompt to continue. */
export interface GenerateRequest {
  /** At least one id, fewer than `maxSeqLen`. */
  readonly promptIds: ArrayLike<number>;
  /** At least 1; prompt and completion together also end at the model's `maxSeqLen`. */
  readonly maxNewTokens: number;
  /** @defaultValue greedy */
  readonly sampler?: SamplerConfig;
  /** A sampled token among these ends the completion and is its last token. @defaultValue none */
  readonly stopTokens?: readonly number[];
  /** Adapter of {@link GenerateOptions.bank}; `null` is the base model. @defaultValue null */
  readonly adapterIndex?: number | null;
  /** Random stream of this request, advanced by one draw per token. @defaultValue `options.rng.fork("request", index)` */
  readonly rng?: Rng | undefined;
  /** Likeliest tokens to return with each sampled one, 0 to {@link maxTopLogprobs}. @defaultValue 0 */
  readonly topLogprobs?: number;
}

/** Options of {@link generate}. */
export interface GenerateOptions {
  readonly bank?: AdapterPlaces | null;
  /** Parent of the requests' random streams; needed when a request samples and brings none. */
  readonly rng?: Rng | undefined;
  /** Sequences decoded together, at least 1. @defaultValue 64 */
  readonly maxBatch?: number;
  /** Cache rows: tokens of prompts and completions held at once. One longer request still runs. @defaultValue 16384 */
  readonly maxBatchTokens?: number;
  /** False leaves log-probabilities of greedy tokens out (NaN), which saves a pass over the vocabulary. @defaultValue true */
  readonly logprobs?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called after every step. */
  readonly onProgress?: (progress: GenerateProgress) => void;
}

/** How far a call of {@link generate} has come. */
export interface GenerateProgress {
  readonly finished: number;
  readonly total: number;
  /** Sampled so far, over all requests. */
  readonly numTokens: number;
}

/** A completion. */
export interface Generation {
  /** Sampled ids, the stop token included. */
  readonly tokenIds: readonly number[];
  /**
   * Nats of each sampled token under the untruncated softmax at the sampling temperature (at 1 for greedy decoding),
   * penalties and biases included.
   */
  readonly logprobs: readonly number[];
  /** For each sampled token the likeliest ones in its place, best first; lists are empty unless asked for. */
  readonly topLogprobs: readonly (readonly TokenLogprob[])[];
  /** True when tokens were drawn from that very softmax of the model's own logits; false for greedy, truncation and penalties. */
  readonly fullSoftmax: boolean;
  readonly stopReason: "stop" | "length";
}

/** A checked request with its defaults filled in, and what has been sampled for it. */
export interface Sequence {
  readonly promptIds: ArrayLike<number>;
  readonly sampler: SamplerConfig;
  readonly stopTokens: ReadonlySet<number>;
  readonly adapterIndex: number | null;
  readonly rng: Rng | null;
  /** Tokens to sample at most. */
  readonly limit: number;
  readonly tokenIds: number[];
  readonly logprobs: number[];
  readonly topLogprobs: (readonly TokenLogprob[])[];
  readonly numTopLogprobs: number;
  /** `null` when the sampler needs none. */
  readonly counts: TokenCounts | null;
  stopReason: "stop" | "length" | "error" | null;
  /** Why it failed, where it did: it alone, not the sequences beside it. */
  error: SelkieError | null;
}

/** Checks a request and fills in its defaults. */
export function toSequence(
  lm: CausalLm,
  request: GenerateRequest,
  who: string,
  options: Pick<GenerateOptions, "bank">,
): Sequence {
  const { promptIds, maxNewTokens, sampler = greedySampler, adapterIndex = null, topLogprobs = 0 } = request;
  if (promptIds.length === 0)
    throw new SelkieError("bad-input", `${who}: expected a prompt of at least one token, got none`);
  if (promptIds.length >= lm.maxSeqLen)
    throw new SelkieError(
      "bad-input",
      `${who}: expected a prompt of fewer than ${lm.maxSeqLen} tokens (the model's maxSeqLen), got ${promptIds.length}; shorten it`,
    );
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1)
    throw new SelkieError("bad-option", `${who}: expected maxNewTokens of at least 1, got ${maxNewTokens}`);
  checkTokenIds(who, promptIds, lm.vocabSize);
  checkAdapterIndex(who, adapterIndex, options.bank ?? null);
  checkSampler(sampler, lm.vocabSize);
  if (!Number.isInteger(topLogprobs) || topLogprobs < 0 || topLogprobs > maxTopLogprobs)
    throw new SelkieError("bad-option", `${who}: expected topLogprobs from 0 to ${maxTopLogprobs}, got ${topLogprobs}`);
  const rng = request.rng ?? null;
  if (rng === null && sampler.temperature > 0)
    throw new SelkieError(
      "bad-option",
      `${who}: temperature ${sampler.temperature} needs a random stream; pass rng in the request or the options`,
    );
  return {
    promptIds,
    sampler,
    stopTokens: new Set(request.stopTokens),
    adapterIndex,
    rng,
    limit: Math.min(maxNewTokens, lm.maxSeqLen - promptIds.length),
    tokenIds: [],
    logprobs: [],
    topLogprobs: [],
    numTopLogprobs: topLogprobs,
    counts: hasPenalties(sampler) ? new TokenCounts(sampler, promptIds, lm.vocabSize) : null,
    stopReason: null,
    error: null,
  };
}

/** What came of a sequence that ended without an error. */
export function toGeneration({ tokenIds, logprobs, topLogprobs, sampler, stopReason }: Sequence): Generation {
  if (stopReason === null || stopReason === "error")
    throw new SelkieError("internal", "internal: a sequence that has not ended has no result");
  return { tokenIds, logprobs, topLogprobs, fullSoftmax: isFullSoftmax(sampler), stopReason };
}

/** How the next token of a sequence is chosen from a row of logits. */
export function toDraw(row: number, { sampler, rng, counts, numTopLogprobs }: Sequence): Draw {
  return { row, config: sampler, rng, counts, topLogprobs: numTopLogprobs };
}

/** Appends a sampled token to a sequence. */
export function recordToken(sequence: Sequence, { tokenId, logprob, topLogprobs }: SampledToken): void {
  sequence.tokenIds.push(tokenId);
  sequence.logprobs.push(logprob);
  sequence.topLogprobs.push(topLogprobs);
  sequence.counts?.add(tokenId);
}

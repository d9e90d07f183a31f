/**
 * @file Batched decoding with a key/value cache and continuous batching: sequences of any length enter while there is
 * room, every step is one packed pass (prompts of those that enter, the last token of the others), finished ones leave.
 *
 * A request's result does not depend on the requests beside it: each has its own random stream and cache rows, and
 * kernels treat rows alike. Requests that enter together with the same prompt and adapter share one prefill.
 */
import type { CausalLm } from "../models/index.ts";
import { Decoder } from "./decoder.ts";
import { type GenerateOptions, type GenerateRequest, type Generation, toSequence } from "./request.ts";
import { isFullSoftmax } from "./samplers.ts";
import { yieldToEvents } from "./yield.ts";

/**
 * Continues every prompt; results are in the order of the requests.
 *
 * @throws {@link SelkieError} `"bad-input"` for an empty or too long prompt or an id outside the vocabulary,
 * `"bad-option"` for a sampler, limit, adapter or missing random stream. The signal's reason when aborted.
 */
export async function generate(
  lm: CausalLm,
  requests: readonly GenerateRequest[],
  options: GenerateOptions = {},
): Promise<Generation[]> {
  const sequences = requests.map((request, index) => toSequence(lm, request, index, options));
  if (sequences.length === 0) return [];
  lm.parameters.freeze();
  const { bank = null, maxBatch = 64, maxBatchTokens = 16384, logprobs = true } = options;
  using decoder = new Decoder(lm, sequences, {
    bank,
    maxBatch: Math.max(1, maxBatch),
    maxBatchTokens,
    wantLogprobs: logprobs,
  });
  while (decoder.numFinished < sequences.length) {
    options.signal?.throwIfAborted();
    decoder.step();
    options.onProgress?.({ finished: decoder.numFinished, total: sequences.length, numTokens: decoder.numTokens });
    await yieldToEvents();
  }
  return sequences.map(({ tokenIds, logprobs, topLogprobs, sampler, stopReason }) => ({
    tokenIds,
    logprobs,
    topLogprobs,
    fullSoftmax: isFullSoftmax(sampler),
    stopReason: stopReason!,
  }));
}

/**
 * @file Batched decoding with a key/value cache and continuous batching: sequences of any length enter while there is
 * room, every step is one packed pass (prompts of those that enter, the last token of the others), finished ones leave.
 *
 * A request's result does not depend on the requests beside it: each has its own random stream and cache rows, and
 * kernels treat rows alike. Requests that enter together with the same prompt and adapter share one prefill.
 */
import type { CausalLm } from "../models/index.ts";
import {
  type GenerateOptions,
  type GenerateRequest,
  type Generation,
  type Sequence,
  toGeneration,
  toSequence,
} from "./request.ts";
import { numRowsOf, RunningBatch } from "./running-batch.ts";
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
  const sequences = requests.map((request, index) =>
    toSequence(
      lm,
      { ...request, rng: request.rng ?? options.rng?.fork("request", index) },
      `generate: request ${index}`,
      options,
    ),
  );
  if (sequences.length === 0) return [];
  lm.parameters.freeze();
  const { bank = null, maxBatch = 64, maxBatchTokens = 16384, logprobs = true } = options;
  const limits = { maxBatch: Math.max(1, maxBatch), maxBatchTokens };
  using batch = new RunningBatch(lm, { ...limits, bank, wantLogprobs: logprobs });
  batch.reserve(rowsFor(sequences, limits));
  for (const sequence of sequences) batch.add(sequence);
  let numTokens = 0;
  while (batch.size > 0) {
    options.signal?.throwIfAborted();
    for (const { error } of batch.step()) {
      if (error !== null) throw error;
      numTokens++;
    }
    options.onProgress?.({ finished: sequences.length - batch.size, total: sequences.length, numTokens });
    await yieldToEvents();
  }
  return sequences.map(toGeneration);
}

/** Cache rows that sequences which are all known take at most, within the limits. */
function rowsFor(
  sequences: readonly Sequence[],
  { maxBatch, maxBatchTokens }: { readonly maxBatch: number; readonly maxBatchTokens: number },
): number {
  const needs = sequences.map(numRowsOf).sort((a, b) => b - a);
  const together = needs.slice(0, maxBatch).reduce((sum, rows) => sum + rows, 0);
  return Math.max(needs[0]!, Math.min(together, maxBatchTokens));
}

/** @file Log-probability of given tokens, packed into batches by a token budget; `N × V` logits are never formed. */
import type { CausalLm } from "../models/index.ts";
import type { AdapterPlaces } from "../nn/index.ts";
import { Scope, tokenLogprobs } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { adaptersOf, checkAdapterIndex, checkTokenIds, groupByAdapter, packRuns, type TokenRun } from "./packing.ts";
import { yieldToEvents } from "./yield.ts";

/** One sequence to score. */
export interface ScoreRequest {
  /** At least one id, at most `maxSeqLen`. */
  readonly tokenIds: ArrayLike<number>;
  /** Adapter of {@link ScoreOptions.bank}; `null` is the base model. @defaultValue null */
  readonly adapterIndex?: number | null;
}

/** Options of {@link scoreTokens}. */
export interface ScoreOptions {
  readonly bank?: AdapterPlaces | null;
  /** Tokens of one forward pass, at least 1; a longer sequence gets a pass of its own. @defaultValue 4096 */
  readonly maxBatchTokens?: number;
  readonly signal?: AbortSignal | undefined;
}

interface ScoreRun extends TokenRun {
  readonly index: number;
}

/**
 * Log-probability of every token but the first, given all before it.
 *
 * @returns Per sequence of length `T`, `[T - 1]` nats: entry `t` belongs to token `t + 1`.
 * @throws {@link SelkieError} `"bad-input"` for an empty or too long sequence or an id outside the vocabulary.
 */
export async function scoreTokens(
  lm: CausalLm,
  requests: readonly ScoreRequest[],
  options: ScoreOptions = {},
): Promise<Float32Array[]> {
  const { bank = null, maxBatchTokens = 4096 } = options;
  const runs = requests.map(({ tokenIds, adapterIndex = null }, index): ScoreRun => {
    const who = `score: sequence ${index}`;
    if (tokenIds.length === 0) throw new SelkieError("bad-input", `${who}: expected at least one token, got none`);
    if (tokenIds.length > lm.maxSeqLen)
      throw new SelkieError(
        "bad-input",
        `${who}: expected at most ${lm.maxSeqLen} tokens, got ${tokenIds.length}; split it into windows`,
      );
    checkTokenIds(who, tokenIds, lm.vocabSize);
    checkAdapterIndex(who, adapterIndex, bank);
    return { index, tokenIds, position: 0, cacheStart: 0, adapterIndex };
  });
  lm.parameters.freeze();
  const results = runs.map((run) => new Float32Array(run.tokenIds.length - 1));
  for (const group of groupByAdapter(runs.filter((run) => run.tokenIds.length > 1)))
    for (const part of splitByTokens(group, maxBatchTokens)) {
      options.signal?.throwIfAborted();
      scorePass(lm, part, bank, results);
      await yieldToEvents();
    }
  return results;
}

/** Scores one packed pass into `results`. */
function scorePass(
  lm: CausalLm,
  runs: readonly ScoreRun[],
  bank: AdapterPlaces | null,
  results: readonly Float32Array[],
): void {
  const { batch } = packRuns(runs, false);
  const targets = batch.tokenIds.map((_, row) => batch.tokenIds[row + 1] ?? -1);
  const offsets = batch.layout.qOffsets;
  for (let b = 0; b < runs.length; b++) targets[offsets[b + 1]! - 1] = -1; // the last token predicts nothing we were given
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, batch, { adapters: adaptersOf(runs, bank) }); // [N, D]
  const logprobs = tokenLogprobs(scope, hidden, lm.outputWeight, targets, { compute: lm.precision.compute }).readSync();
  runs.forEach((run, b) => {
    results[run.index]!.set(logprobs.subarray(offsets[b]!, offsets[b + 1]! - 1));
  });
}

/** Consecutive parts of at most `maxTokens` tokens, or one run each. */
function splitByTokens(runs: readonly ScoreRun[], maxTokens: number): ScoreRun[][] {
  const parts: ScoreRun[][] = [];
  let numTokens = Number.POSITIVE_INFINITY;
  for (const run of runs) {
    if (numTokens + run.tokenIds.length > maxTokens) {
      parts.push([]);
      numTokens = 0;
    }
    parts.at(-1)!.push(run);
    numTokens += run.tokenIds.length;
  }
  return parts;
}

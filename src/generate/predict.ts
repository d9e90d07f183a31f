/**
 * @file A model's predictions whole: the logits of every next token. For comparisons over the full vocabulary, such as the
 * divergence between two models. They take `4 · T · V` bytes, so whoever asks for many does so a few texts at a time.
 */
import type { CausalLm } from "../models/index.ts";
import { linear, Scope } from "../tensor/index.ts";
import { adaptersOf, groupByAdapter, packRuns, type TokenRun, wholeRun } from "./packing.ts";
import type { ScoreOptions, ScoreRequest } from "./score.ts";
import { yieldToEvents } from "./yield.ts";

/** Logits of one forward pass. */
const maxLogits = 1 << 22;

interface PredictRun extends TokenRun {
  readonly index: number;
}

/**
 * Logits of the token after every token.
 *
 * @returns Per sequence of length `T`, `[T · V]`, f32: row `t` is about the token after token `t`.
 * @throws {@link SelkieError} `"bad-input"` for an empty or too long sequence or an id outside the vocabulary.
 */
export async function predictTokens(
  lm: CausalLm,
  requests: readonly ScoreRequest[],
  { bank = null, signal }: Pick<ScoreOptions, "bank" | "signal"> = {},
): Promise<Float32Array[]> {
  const runs = requests.map(
    (request, index): PredictRun => ({ index, ...wholeRun(`predict: sequence ${index}`, request, lm, bank) }),
  );
  lm.parameters.freeze();
  const results: Float32Array[] = new Array(runs.length);
  for (const group of groupByAdapter(runs))
    for (const part of inPasses(group, Math.max(1, Math.floor(maxLogits / lm.vocabSize)))) {
      signal?.throwIfAborted();
      predictPass(lm, part, bank, results);
      await yieldToEvents();
    }
  return results;
}

/** Consecutive parts of at most `maxRows` tokens, or one run each. */
function inPasses(runs: readonly PredictRun[], maxRows: number): PredictRun[][] {
  const parts: PredictRun[][] = [];
  let numRows = Number.POSITIVE_INFINITY;
  for (const run of runs) {
    if (numRows + run.tokenIds.length > maxRows) {
      parts.push([]);
      numRows = 0;
    }
    parts.at(-1)!.push(run);
    numRows += run.tokenIds.length;
  }
  return parts;
}

function predictPass(
  lm: CausalLm,
  runs: readonly PredictRun[],
  bank: NonNullable<ScoreOptions["bank"]> | null,
  results: Float32Array[],
): void {
  const { batch } = packRuns(runs, false);
  const { qOffsets } = batch.layout;
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, batch, { adapters: adaptersOf(runs, bank) }); // [N, D]
  const logits = linear(scope, hidden, lm.outputWeight, { compute: lm.precision.compute, dtype: "f32" }).readSync();
  runs.forEach((run, b) => {
    results[run.index] = Float32Array.from(
      logits.subarray(qOffsets[b]! * lm.vocabSize, qOffsets[b + 1]! * lm.vocabSize),
    );
  });
}

/**
 * @file How far an adapter moves the model's predictions: the Kullback–Leibler divergence of its next-token distribution
 * from the base model's, over the full vocabulary. Logits are formed for a few positions at a time.
 */
import type { CausalLm } from "../models/index.ts";
import type { LoraBank } from "../nn/index.ts";
import { gatherRows, linear, Scope, type Tensor } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { expOfNonPositive } from "./exp.ts";
import { adaptersOf, checkAdapterIndex, checkTokenIds, packRuns } from "./packing.ts";
import { yieldToEvents } from "./yield.ts";

/** Options of {@link nextTokenKl}. */
export interface DivergenceOptions {
  readonly bank: LoraBank;
  /** Adapter of the bank that is compared with the base model. @defaultValue 0 */
  readonly adapterIndex?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Logits held at once, per model. */
const maxLogits = 1 << 22;

/**
 * KL(base ‖ adapted) after every token of every sequence, nats: what an observer who expects the base model is surprised
 * by, and large where the adapter no longer says what the base says.
 *
 * @returns Per sequence of length `T`, `[T]`: entry `t` is about the token after token `t`.
 */
export async function nextTokenKl(
  lm: CausalLm,
  sequences: readonly ArrayLike<number>[],
  { bank, adapterIndex = 0, signal }: DivergenceOptions,
): Promise<Float64Array[]> {
  checkAdapterIndex("divergence", adapterIndex, bank);
  lm.parameters.freeze();
  const results: Float64Array[] = [];
  for (const [index, tokenIds] of sequences.entries()) {
    signal?.throwIfAborted();
    const who = `divergence: sequence ${index}`;
    if (tokenIds.length === 0 || tokenIds.length > lm.maxSeqLen)
      throw new SelkieError("bad-input", `${who}: expected 1 to ${lm.maxSeqLen} tokens, got ${tokenIds.length}`);
    checkTokenIds(who, tokenIds, lm.vocabSize);
    results.push(klOfSequence(lm, tokenIds, bank, adapterIndex));
    await yieldToEvents();
  }
  return results;
}

function klOfSequence(lm: CausalLm, tokenIds: ArrayLike<number>, bank: LoraBank, adapterIndex: number): Float64Array {
  const run = { tokenIds, position: 0, cacheStart: 0, adapterIndex };
  const { batch } = packRuns([run], false);
  using scope = new Scope(lm.backend);
  const base = lm.hidden(scope, batch); // [T, D]
  const adapted = lm.hidden(scope, batch, { adapters: adaptersOf([run], bank) });
  const result = new Float64Array(tokenIds.length);
  const rowsAtOnce = Math.max(1, Math.floor(maxLogits / lm.vocabSize));
  for (let from = 0; from < result.length; from += rowsAtOnce) {
    const rows = Int32Array.from({ length: Math.min(rowsAtOnce, result.length - from) }, (_, row) => from + row);
    const [p, q] = [logitsOf(lm, base, rows), logitsOf(lm, adapted, rows)];
    for (const [row, position] of rows.entries())
      result[position] = klOfLogits(rowOf(p, row, lm.vocabSize), rowOf(q, row, lm.vocabSize));
  }
  return result;
}

const rowOf = (logits: Float32Array, row: number, width: number): Float32Array =>
  logits.subarray(row * width, (row + 1) * width);

function logitsOf(lm: CausalLm, hidden: Tensor, rows: Int32Array): Float32Array {
  using scope = new Scope(lm.backend);
  const picked = gatherRows(scope, hidden, rows);
  const logits = linear(scope, picked, lm.outputWeight, { compute: lm.precision.compute, dtype: "f32" });
  return Float32Array.from(logits.readSync());
}

/** log Σ exp, and the largest, of a row. */
function logSumExp(logits: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > largest) largest = logit;
  let total = 0;
  for (const logit of logits) total += expOfNonPositive(logit - largest);
  return largest + Math.log(total);
}

/** Σ p (log p − log q) of two rows of logits; at least 0 whatever the rounding. */
export function klOfLogits(p: Float32Array, q: Float32Array): number {
  const [pTotal, qTotal] = [logSumExp(p), logSumExp(q)];
  let total = 0;
  for (let token = 0; token < p.length; token++) {
    const logP = p[token]! - pTotal;
    total += expOfNonPositive(Math.min(0, logP)) * (logP - (q[token]! - qTotal));
  }
  return Math.max(0, total);
}

/**
 * @file How far an adapter, or another model, moves the base model's predictions: the Kullback–Leibler divergence of its
 * next-token distribution from the base's, over the full vocabulary. Logits are formed for a few positions at a time.
 */
import type { CausalLm, TokenBatch } from "../models/index.ts";
import type { AdapterPlaces } from "../nn/index.ts";
import { gatherRows, linear, Scope, type Tensor } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import { expOfNonPositive } from "./exp.ts";
import { adaptersOf, checkAdapterIndex, checkTokenIds, packRuns, type TokenRun } from "./packing.ts";
import { yieldToEvents } from "./yield.ts";

/** Options of {@link nextTokenKl}. */
export interface DivergenceOptions {
  readonly bank: AdapterPlaces;
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
  const adapted: Reading = {
    lm,
    read: (scope, run, batch) => lm.hidden(scope, batch, { adapters: adaptersOf([{ ...run, adapterIndex }], bank) }),
  };
  return compareAll(plainReading(lm), adapted, sequences, signal);
}

/**
 * KL(base ‖ other) after every token of every sequence, nats, of two models with the same vocabulary.
 *
 * @returns Per sequence of length `T`, `[T]`: entry `t` is about the token after token `t`.
 */
export async function modelKl(
  base: CausalLm,
  other: CausalLm,
  sequences: readonly ArrayLike<number>[],
  { signal }: Pick<DivergenceOptions, "signal"> = {},
): Promise<Float64Array[]> {
  if (base.vocabSize !== other.vocabSize)
    throw new SelkieError(
      "bad-input",
      `divergence: expected two models of one vocabulary, got ${base.vocabSize} and ${other.vocabSize} tokens`,
    );
  return compareAll(plainReading(base), plainReading(other), sequences, signal);
}

/** A model, and how it reads a sequence to hidden states `[T, D]`. */
interface Reading {
  readonly lm: CausalLm;
  read(scope: Scope, run: TokenRun, batch: TokenBatch): Tensor;
}

const plainReading = (lm: CausalLm): Reading => ({ lm, read: (scope, _, batch) => lm.hidden(scope, batch) });

async function compareAll(
  base: Reading,
  other: Reading,
  sequences: readonly ArrayLike<number>[],
  signal: AbortSignal | undefined,
): Promise<Float64Array[]> {
  base.lm.parameters.freeze();
  other.lm.parameters.freeze();
  const longest = Math.min(base.lm.maxSeqLen, other.lm.maxSeqLen);
  const results: Float64Array[] = [];
  for (const [index, tokenIds] of sequences.entries()) {
    signal?.throwIfAborted();
    const who = `divergence: sequence ${index}`;
    if (tokenIds.length === 0 || tokenIds.length > longest)
      throw new SelkieError("bad-input", `${who}: expected 1 to ${longest} tokens, got ${tokenIds.length}`);
    checkTokenIds(who, tokenIds, base.lm.vocabSize);
    results.push(klOfSequence(base, other, tokenIds));
    await yieldToEvents();
  }
  return results;
}

function klOfSequence(base: Reading, other: Reading, tokenIds: ArrayLike<number>): Float64Array {
  const run = { tokenIds, position: 0, cacheStart: 0, adapterIndex: null };
  const { batch } = packRuns([run], false);
  using baseScope = new Scope(base.lm.backend);
  using otherScope = new Scope(other.lm.backend);
  const [p, q] = [base.read(baseScope, run, batch), other.read(otherScope, run, batch)]; // [T, D]
  const { vocabSize } = base.lm;
  const result = new Float64Array(tokenIds.length);
  const rowsAtOnce = Math.max(1, Math.floor(maxLogits / vocabSize));
  for (let from = 0; from < result.length; from += rowsAtOnce) {
    const rows = Int32Array.from({ length: Math.min(rowsAtOnce, result.length - from) }, (_, row) => from + row);
    const [pLogits, qLogits] = [logitsOf(base.lm, p, rows), logitsOf(other.lm, q, rows)];
    for (const [row, position] of rows.entries())
      result[position] = klOfLogits(rowOf(pLogits, row, vocabSize), rowOf(qLogits, row, vocabSize));
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

/** @file One forward pass over packed sequences, with or without the backward pass; all trainers and scores go through here. */

import type { CausalLm } from "../models/index.ts";
import type { AdapterBatch } from "../nn/index.ts";
import { crossEntropy, gatherRows, Scope, type Tensor, tokenLogprobs } from "../tensor/index.ts";
import { type PreparedDocument, packSequences } from "./data.ts";

/** Low-rank weights for the row ranges of some sequences; `null` where the model itself is meant. */
export type AdaptersOf = ((offsets: Int32Array) => AdapterBatch) | null;

/** What a sequence is to predict: one entry per supervised token, or `topK` where a teacher spreads its expectation. */
export interface Entries {
  readonly rows: Int32Array;
  readonly targets: Int32Array;
  /** Of the tokens, times the probabilities of their soft targets. */
  readonly weights: Float32Array;
}

/** The entries of one sequence, in order. */
export function entriesOf({ targets, weights, numSupervised, softTargets }: PreparedDocument): Entries {
  const perToken = softTargets?.topK ?? 1;
  const size = numSupervised * perToken;
  const entries = { rows: new Int32Array(size), targets: new Int32Array(size), weights: new Float32Array(size) };
  let at = 0;
  for (let row = 0; row < targets.length; row++) {
    if (weights[row] === 0) continue;
    for (let k = 0; k < perToken; k++, at++) {
      const from = row * perToken + k;
      entries.rows[at] = row;
      entries.targets[at] = softTargets === null ? targets[row]! : softTargets.tokenIds[from]!;
      entries.weights[at] = softTargets === null ? weights[row]! : weights[row]! * softTargets.probs[from]!;
    }
  }
  return entries;
}

/** Sequences in one batch: the last hidden states to predict from, and where each entry stands among them. */
interface Prediction {
  readonly hidden: Tensor<"N D">;
  /** Row of `hidden` that predicts each entry, `[E]`. */
  readonly rows: Int32Array;
  readonly targets: Int32Array;
}

function predict(
  scope: Scope,
  lm: CausalLm,
  sequences: readonly PreparedDocument[],
  adaptersOf: AdaptersOf,
): Prediction {
  const { batch, offsets } = packSequences(sequences, { trim: true });
  const all = lm.hidden(scope, batch, { adapters: adaptersOf?.(offsets) ?? null });
  const entries = sequences.map(entriesOf);
  const rows = Int32Array.from(entries.flatMap((own, index) => Array.from(own.rows, (row) => offsets[index]! + row)));
  const targets = Int32Array.from(entries.flatMap((own) => Array.from(own.targets)));
  if (sequences.every(({ softTargets }) => softTargets === null)) return { hidden: all, rows, targets };
  return { hidden: gatherRows(scope, all, rows), rows: rows.map((_, index) => index), targets }; // rows repeat
}

/** Puts `values[i]` at place `rows[i]`. */
function scatter<A extends Int32Array | Float32Array>(array: A, rows: Int32Array, values: ArrayLike<number>): A {
  rows.forEach((row, index) => {
    array[row] = values[index]!;
  });
  return array;
}

const gather = (rows: Int32Array, values: ArrayLike<number>): Float64Array =>
  Float64Array.from(rows, (row) => values[row]!);

/** By entry, without a trace on the tape. */
function logprobsOf(lm: CausalLm, { hidden, rows, targets }: Prediction): Float64Array {
  using scope = new Scope(lm.backend);
  const all = scatter(new Int32Array(hidden.shape[0]!).fill(-1), rows, targets);
  const { compute } = lm.precision;
  return gather(rows, tokenLogprobs(scope, hidden, lm.outputWeight, all, { compute }).readSync());
}

/**
 * Adds the gradient of `-Σ coefficients[i] · logprobs[i]` over the entries of all sequences.
 *
 * @param sequences - Packed in this order; with adapters, contiguous per adapter.
 * @param coefficients - By entry, sequence after sequence; 0 leaves an entry out. A function of the log-probabilities forms
 * the logits twice.
 * @returns Log-probabilities by entry, nats; 0 for those left out.
 */
export function differentiate(
  lm: CausalLm,
  sequences: readonly PreparedDocument[],
  coefficients: ArrayLike<number> | ((logprobs: Float64Array) => ArrayLike<number>),
  adaptersOf: AdaptersOf,
): Float64Array {
  using scope = new Scope(lm.backend, { grad: true });
  const prediction = predict(scope, lm, sequences, adaptersOf);
  const { hidden, rows, targets } = prediction;
  const size = hidden.shape[0]!;
  const { loss, logprobs } = crossEntropy(
    scope,
    hidden,
    lm.outputWeight,
    scatter(new Int32Array(size).fill(-1), rows, targets),
    scatter(
      new Float32Array(size),
      rows,
      typeof coefficients === "function" ? coefficients(logprobsOf(lm, prediction)) : coefficients,
    ),
    { compute: lm.precision.compute },
  );
  const values = gather(rows, logprobs.readSync());
  scope.backward(loss);
  return values;
}

/** Log-probabilities by entry, nats, without gradients. */
export function measure(lm: CausalLm, sequences: readonly PreparedDocument[], adaptersOf: AdaptersOf): Float64Array {
  using scope = new Scope(lm.backend);
  return logprobsOf(lm, predict(scope, lm, sequences, adaptersOf));
}

/** `-Σ weights · logprobs` of each sequence, nats, `[B]`. */
export function sequenceNats(sequences: readonly PreparedDocument[], logprobs: ArrayLike<number>): Float64Array {
  let at = 0;
  return Float64Array.from(sequences, (sequence) => {
    let nats = 0;
    for (const weight of entriesOf(sequence).weights) {
      if (weight !== 0) nats -= weight * logprobs[at]!; // 0 · -∞ would not be 0
      at++;
    }
    return nats;
  });
}

/**
 * Adds the gradient of `Σ_b factors[b] · nats[b]` to the trainable parameters.
 *
 * @param adaptersOf - Called with the row ranges of the sequences; `null` trains the model itself.
 * @returns Nats of each sequence, `[B]`, without its factor: cross-entropy to its tokens, or to its soft targets where it has some.
 */
export function forwardBackward(
  lm: CausalLm,
  sequences: readonly PreparedDocument[],
  factors: readonly number[],
  adaptersOf: AdaptersOf,
): Float64Array {
  const coefficients = sequences.flatMap((sequence, index) =>
    Array.from(entriesOf(sequence).weights, (weight) => factors[index]! * weight),
  );
  return sequenceNats(sequences, differentiate(lm, sequences, coefficients, adaptersOf));
}

/** Nats of each sequence, `[B]`, without gradients. */
export function forwardOnly(
  lm: CausalLm,
  sequences: readonly PreparedDocument[],
  adaptersOf: AdaptersOf,
): Float64Array {
  return sequenceNats(sequences, measure(lm, sequences, adaptersOf));
}

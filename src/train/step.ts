/** @file One forward pass over packed sequences, with or without the backward pass; all trainers and scores go through here. */

import type { CausalLm } from "../models/index.ts";
import type { AdapterBatch } from "../nn/index.ts";
import { crossEntropy, gatherRows, Scope, tokenLogprobs } from "../tensor/index.ts";
import { type PackedBatch, type PreparedDocument, packSequences } from "./data.ts";

/** What the rows of a batch are to predict: one entry per row, or several where a teacher spreads its expectation. */
interface Expected {
  /** Row of each entry; `null` when entries are rows. */
  readonly rows: Int32Array | null;
  readonly targets: Int32Array;
  /** Probability of each entry's target; 0 where nothing is learned. */
  readonly probs: Float32Array;
  /** Entries of each sequence, `[B + 1]`. */
  readonly offsets: Int32Array;
}

function expectedOf(packed: PackedBatch, sequences: readonly PreparedDocument[]): Expected {
  const { targets, lossMask, offsets } = packed;
  if (sequences.every(({ softTargets }) => softTargets === null))
    return { rows: null, targets, probs: Float32Array.from(lossMask), offsets };
  const entries: { row: number; target: number; prob: number }[] = [];
  const ends = sequences.map(({ softTargets }, index) => {
    for (let row = offsets[index]!; row < offsets[index + 1]!; row++) {
      if (lossMask[row] === 0) continue;
      if (softTargets === null) entries.push({ row, target: targets[row]!, prob: 1 });
      else {
        const first = (row - offsets[index]!) * softTargets.topK;
        for (let at = first; at < first + softTargets.topK; at++)
          entries.push({ row, target: softTargets.tokenIds[at]!, prob: softTargets.probs[at]! });
      }
    }
    return entries.length;
  });
  return {
    rows: Int32Array.from(entries, ({ row }) => row),
    targets: Int32Array.from(entries, ({ target }) => target),
    probs: Float32Array.from(entries, ({ prob }) => prob),
    offsets: Int32Array.of(0, ...ends),
  };
}

/** `-Σ probs · logprobs` over the entries of each sequence, nats. */
function sequenceNats({ offsets, probs }: Expected, logprobs: ArrayLike<number>): Float64Array {
  const nats = new Float64Array(offsets.length - 1);
  for (let index = 0; index < nats.length; index++)
    for (let at = offsets[index]!; at < offsets[index + 1]!; at++)
      if (probs[at] !== 0) nats[index]! -= probs[at]! * logprobs[at]!;
  return nats;
}

/** `weights[b] · probs` on the entries of sequence `b`. */
function entryWeights({ offsets, probs }: Expected, weights: readonly number[]): Float32Array {
  const entries = new Float32Array(probs.length);
  weights.forEach((weight, index) => {
    for (let at = offsets[index]!; at < offsets[index + 1]!; at++)
      if (probs[at] !== 0) entries[at] = weight * probs[at]!;
  });
  return entries;
}

/**
 * Adds the gradient of `Σ_b weights[b] · nats[b]` to the trainable parameters.
 *
 * @param sequences - Packed in this order; with adapters, contiguous per adapter.
 * @param adaptersOf - Called with the row ranges of the sequences; `null` trains the model itself.
 * @returns Unweighted nats of each sequence, `[B]`: cross-entropy to its tokens, or to its soft targets where it has some.
 */
export function forwardBackward(
  lm: CausalLm,
  sequences: readonly PreparedDocument[],
  weights: readonly number[],
  adaptersOf: ((offsets: Int32Array) => AdapterBatch) | null,
): Float64Array {
  const packed = packSequences(sequences, { trim: true });
  using scope = new Scope(lm.backend, { grad: true });
  const hidden = lm.hidden(scope, packed.batch, { adapters: adaptersOf?.(packed.offsets) ?? null });
  const expected = expectedOf(packed, sequences);
  const predicting = expected.rows === null ? hidden : gatherRows(scope, hidden, expected.rows);
  const entryLoss = entryWeights(expected, weights);
  const { loss, logprobs } = crossEntropy(scope, predicting, lm.outputWeight, expected.targets, entryLoss, {
    compute: lm.precision.compute,
  });
  const nats = sequenceNats(expected, logprobs.readSync());
  scope.backward(loss);
  return nats;
}

/** Nats of each sequence, `[B]`, without gradients. */
export function forwardOnly(
  lm: CausalLm,
  sequences: readonly PreparedDocument[],
  adaptersOf: ((offsets: Int32Array) => AdapterBatch) | null,
): Float64Array {
  const packed = packSequences(sequences, { trim: true });
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, packed.batch, { adapters: adaptersOf?.(packed.offsets) ?? null });
  const expected = expectedOf(packed, sequences);
  const predicting = expected.rows === null ? hidden : gatherRows(scope, hidden, expected.rows);
  const targets = expected.targets.map((target, at) => (expected.probs[at] === 0 ? -1 : target));
  const logprobs = tokenLogprobs(scope, predicting, lm.outputWeight, targets, { compute: lm.precision.compute });
  return sequenceNats(expected, logprobs.readSync());
}

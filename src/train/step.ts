/** @file One forward pass over packed sequences, with or without the backward pass; all trainers and scores go through here. */

import type { CausalLm } from "../models/index.ts";
import type { AdapterBatch } from "../nn/index.ts";
import { crossEntropy, Scope, tokenLogprobs } from "../tensor/index.ts";
import { type PackedBatch, type PreparedDocument, packSequences } from "./data.ts";

/** Sum of `-logprobs` over the supervised rows of each sequence, nats. */
function sequenceNats(packed: PackedBatch, logprobs: ArrayLike<number>): Float64Array {
  const { offsets, lossMask } = packed;
  const nats = new Float64Array(offsets.length - 1);
  for (let index = 0; index < nats.length; index++)
    for (let row = offsets[index]!; row < offsets[index + 1]!; row++)
      if (lossMask[row] === 1) nats[index]! -= logprobs[row]!;
  return nats;
}

/** `weights[b]` on the supervised rows of sequence `b`, 0 elsewhere. */
function rowWeights(packed: PackedBatch, weights: readonly number[]): Float32Array {
  const { offsets, lossMask } = packed;
  const rows = new Float32Array(lossMask.length);
  weights.forEach((weight, index) => {
    for (let row = offsets[index]!; row < offsets[index + 1]!; row++) if (lossMask[row] === 1) rows[row] = weight;
  });
  return rows;
}

/**
 * Adds the gradient of `Σ_b weights[b] · nats[b]` to the trainable parameters, or overwrites theirs with it.
 *
 * @param sequences - Packed in this order; with adapters, contiguous per adapter.
 * @param adaptersOf - Called with the row ranges of the sequences; `null` trains the model itself.
 * @param gradients - `"overwrite"` needs no gradients set to zero, but every trainable parameter must take part.
 * @returns Unweighted nats of each sequence, `[B]`.
 */
export function forwardBackward(
  lm: CausalLm,
  sequences: readonly PreparedDocument[],
  weights: readonly number[],
  adaptersOf: ((offsets: Int32Array) => AdapterBatch) | null,
  gradients: "add" | "overwrite" = "add",
): Float64Array {
  const packed = packSequences(sequences, { trim: true });
  using scope = new Scope(lm.backend, { grad: true, overwriteGrads: gradients === "overwrite" });
  const hidden = lm.hidden(scope, packed.batch, { adapters: adaptersOf?.(packed.offsets) ?? null });
  const { loss, logprobs } = crossEntropy(scope, hidden, lm.outputWeight, packed.targets, rowWeights(packed, weights), {
    compute: lm.precision.compute,
  });
  const nats = sequenceNats(packed, logprobs.readSync());
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
  const targets = packed.targets.map((target, row) => (packed.lossMask[row] === 1 ? target : -1));
  const logprobs = tokenLogprobs(scope, hidden, lm.outputWeight, targets, { compute: lm.precision.compute });
  return sequenceNats(packed, logprobs.readSync());
}

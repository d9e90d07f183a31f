/** @file How well a model, with or without an adapter, predicts documents. */

import type { CausalLm } from "../models/index.ts";
import { bankOf, type LoraAdapter } from "../nn/index.ts";
import { cutByRows, type DatumLike, prepareDocuments, requireSupervised } from "./data.ts";
import { forwardOnly } from "./step.ts";

/** Options of {@link meanLoss}. */
export interface MeanLossOptions {
  /** Applied to every document. @defaultValue none */
  readonly adapter?: LoraAdapter | null;
  /** Rows of one forward pass; at least 1. @defaultValue 4096 */
  readonly maxTokensPerBatch?: number;
}

/** Loss over the supervised tokens of some documents. */
export interface MeanLoss {
  /** Nats per supervised token. */
  readonly lossNats: number;
  /** Bits per supervised token. */
  readonly lossBits: number;
  readonly numSupervised: number;
  /** Nats per supervised token of each document, in order; NaN where none is supervised. */
  readonly perDocument: readonly number[];
  readonly notes: readonly string[];
}

/** Mean loss of `documents`, each token weighing the same; documents longer than the model are split with a note. */
export function meanLoss(lm: CausalLm, documents: readonly DatumLike[], options: MeanLossOptions = {}): MeanLoss {
  const { adapter = null, maxTokensPerBatch = 4096 } = options;
  const { sequences, notes } = prepareDocuments(documents, lm);
  requireSupervised(sequences, "meanLoss");
  using bank = adapter && bankOf(lm.backend, lm.linearLayers, [adapter]);
  const adaptersOf = bank && ((offsets: Int32Array) => bank.batch(Int32Array.of(0, offsets.at(-1)!)));
  const nats = new Float64Array(documents.length);
  const counts = new Float64Array(documents.length);
  for (const group of cutByRows(sequences, (sequence) => sequence.numUsefulRows, maxTokensPerBatch)) {
    const sums = forwardOnly(lm, group, adaptersOf);
    group.forEach(({ documentIndex, numSupervised }, index) => {
      nats[documentIndex]! += sums[index]!;
      counts[documentIndex]! += numSupervised;
    });
  }
  const numSupervised = counts.reduce((total, count) => total + count, 0);
  const lossNats = nats.reduce((total, value) => total + value, 0) / numSupervised;
  return {
    lossNats,
    lossBits: lossNats / Math.LN2,
    numSupervised,
    perDocument: [...nats].map((sum, i) => sum / counts[i]!),
    notes,
  };
}

/** @file A text as one vector: the mean of a model's final hidden states, scaled to length 1. */
import { adaptersOf, packRuns, wholeRun } from "../generate/index.ts";
import type { CausalLm } from "../models/index.ts";
import type { AdapterPlaces } from "../nn/index.ts";
import { Scope } from "../tensor/index.ts";

/** Mean over the tokens of the final hidden states, divided by its Euclidean norm, `[D]`. */
export function meanHidden(
  lm: CausalLm,
  sequence: { readonly tokenIds: ArrayLike<number>; readonly adapterIndex: number | null },
  bank: AdapterPlaces,
): Float32Array {
  const runs = [wholeRun("embed", sequence, lm, bank)];
  using scope = new Scope(lm.backend);
  const hidden = lm.hidden(scope, packRuns(runs, false).batch, { adapters: adaptersOf(runs, bank) }).readSync(); // [T, D]
  const mean = new Float32Array(lm.hiddenSize);
  for (let i = 0; i < hidden.length; i++) mean[i % mean.length]! += hidden[i]! / sequence.tokenIds.length;
  const norm = Math.hypot(...mean);
  return mean.map((value) => value / norm);
}

/**
 * @file Diagonal Fisher information of an adapter's weights: how sharply the likelihood of some documents depends on each
 * of them. It is the empirical Fisher (tokens as given, not sampled from the model), one square per document. Copies of
 * the adapter stand side by side in a bank, one document each, so that one pass gives the gradients of many documents.
 */
import type { CausalLm } from "../models/index.ts";
import { bankOf, type LoraAdapter, type LoraModule, type LoraModules } from "../nn/index.ts";
import { type DatumLike, prepareDocuments, requireSupervised } from "./data.ts";
import { forwardBackward } from "./step.ts";

/** Options of {@link adapterFisher}. */
export interface FisherOptions {
  /** Documents of one pass, each with a copy of the adapter in memory; at least 1. @defaultValue 16 */
  readonly documentsPerPass?: number;
}

/**
 * `F_i = mean over documents d of (∂ log p(d) / ∂ θ_i)²`, with `log p(d)` summed over the supervised tokens of `d`, nats.
 *
 * @returns In the shapes of the adapter's factors; all at least 0. `loraA` of a fresh adapter gets zeros, since its `loraB` is 0.
 * @throws {@link SelkieError} `"no-supervised-tokens"` when the documents hold nothing to predict.
 */
export function adapterFisher(
  lm: CausalLm,
  adapter: LoraAdapter,
  documents: readonly DatumLike[],
  { documentsPerPass = 16 }: FisherOptions = {},
): LoraModules {
  const { sequences } = prepareDocuments(documents, lm);
  requireSupervised(sequences, "adapterFisher");
  lm.parameters.disableGrad();
  lm.parameters.freeze();
  const squares = new Map([...adapter.modules].map(([name, module]) => [name, zerosLike(module)]));
  for (let first = 0; first < sequences.length; first += documentsPerPass) {
    const group = sequences.slice(first, first + documentsPerPass);
    using bank = bankOf(
      lm.backend,
      lm.linearLayers,
      group.map(() => adapter),
    );
    bank.parameters.enableGrad();
    bank.parameters.zeroGrad();
    const ones = group.map(() => 1);
    forwardBackward(lm, group, ones, (offsets) => bank.batch(offsets));
    for (const index of group.keys())
      for (const [name, gradient] of bank.extractGradient(index)) addSquares(squares.get(name)!, gradient);
  }
  for (const { loraA, loraB } of squares.values())
    for (const values of [loraA, loraB]) for (let i = 0; i < values.length; i++) values[i]! /= sequences.length;
  return squares;
}

const zerosLike = ({ loraA, loraB }: LoraModule): LoraModule => ({
  loraA: new Float32Array(loraA.length),
  loraB: new Float32Array(loraB.length),
});

function addSquares(sum: LoraModule, { loraA, loraB }: LoraModule): void {
  for (let i = 0; i < loraA.length; i++) sum.loraA[i]! += loraA[i]! ** 2;
  for (let i = 0; i < loraB.length; i++) sum.loraB[i]! += loraB[i]! ** 2;
}

/** @file The penalties of `adapter-regularizer.ts` at work. */
import type { LoraAdapter } from "../nn/index.ts";
import type { Backend } from "../tensor/index.ts";
import type { AdapterPenalty, AdapterRegularizer } from "./adapter-regularizer.ts";
import { elasticPenalty } from "./elastic-weights.ts";
import { type SubspaceGrams, subspacePenalty, withSubspace } from "./orthogonal-subspaces.ts";

/** The penalty as a function of the adapter's weights. What can be computed once is computed here; `backend` is there for products. */
export function createPenalty(
  regularizer: AdapterRegularizer,
  backend: Backend,
): (adapter: LoraAdapter) => AdapterPenalty {
  switch (regularizer.kind) {
    case "elastic-weights": {
      const { strength, memory } = regularizer;
      return (adapter) => elasticPenalty(strength, memory, adapter);
    }
    case "orthogonal-subspaces": {
      const { strength, earlier } = regularizer;
      const grams = earlier.reduce<SubspaceGrams>((sums, one) => withSubspace(sums, one, backend), new Map());
      return (adapter) => subspacePenalty(strength, grams, adapter, backend);
    }
    default:
      return regularizer satisfies never;
  }
}

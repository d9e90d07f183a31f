/**
 * @file A penalty on an adapter's own weights, added to its training loss. It is plain data, so that a job can be sent to
 * another thread; `adapter-penalty.ts` makes of it what the bank calls before every update.
 */
import type { LoraAdapter, LoraModules } from "../nn/index.ts";

/** What is remembered of the past: where the weights were, and how much each mattered. */
export interface ElasticMemory {
  readonly anchor: LoraAdapter;
  readonly fisher: LoraModules;
}

/** A penalty and its slope. */
export interface AdapterPenalty {
  readonly nats: number;
  /** By the adapter's weights; modules it leaves out have none. */
  readonly gradient: LoraModules;
}

/** What holds an adapter; made by `elasticWeights` and `orthogonalSubspaces`. */
export type AdapterRegularizer =
  | {
      readonly kind: "elastic-weights";
      /** λ, at least 0; 0 changes nothing. */
      readonly strength: number;
      readonly memory: ElasticMemory;
    }
  | {
      readonly kind: "orthogonal-subspaces";
      /** λ, at least 0; 0 changes nothing. */
      readonly strength: number;
      /** Adapters whose directions are to be avoided. */
      readonly earlier: readonly LoraAdapter[];
    };

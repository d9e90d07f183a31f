/** @file A penalty on an adapter's own weights, added to its training loss: what it is asked and what it answers. */
import type { LoraAdapter, LoraModules } from "../nn/index.ts";
import type { Backend } from "../tensor/index.ts";

/** A penalty and its slope. */
export interface AdapterPenalty {
  readonly nats: number;
  /** By the adapter's weights; modules it leaves out have none. */
  readonly gradient: LoraModules;
}

/** Write your own as an object with a `name` and a `penalty`; the bank never looks at anything else. */
export interface AdapterRegularizer {
  readonly name: string;
  /** Called before every update with the weights as they are; must not keep or change them. `backend` is there for products. */
  penalty(adapter: LoraAdapter, backend: Backend): AdapterPenalty;
}

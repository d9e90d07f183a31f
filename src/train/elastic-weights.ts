/**
 * @file Elastic weight consolidation (Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks",
 * arXiv 1612.00796, eq. 3): weights that earlier documents depend on are held by a spring,
 * `penalty(θ) = strength / 2 · Σ_i F_i (θ_i − θ*_i)²`, with `F` the diagonal Fisher information.
 *
 * Deviations:
 *  1. θ are the factors of one LoRA adapter that is trained on and on, not all weights of the model;
 *  2. one spring for the whole past instead of one per task: the online form of Schwarz et al. 2018 ("Progress & compress",
 *     arXiv 1805.06370, section 3.2), `F ← decay · F + F_new` around the latest θ*;
 *  3. `F` is the empirical Fisher, per document (`fisher.ts`);
 *  4. the gradient goes through clipping and AdamW like the loss's own. AdamW divides by the size of the gradient, so however
 *     large `strength` is, weights keep trembling around θ* by about a learning rate.
 */
import type { LoraAdapter, LoraModule, LoraModules } from "../nn/index.ts";
import { SelkieError } from "../util/index.ts";
import type { AdapterPenalty, AdapterRegularizer, ElasticMemory } from "./adapter-regularizer.ts";

/**
 * The memory once one more lot of documents was learned.
 *
 * @param memory - `null` when there was none.
 * @param fisher - Of the documents just learned, at `adapter`; see `adapterFisher`.
 * @param decay - Share of the old information that is kept, in [0, 1]; 1 never forgets. @defaultValue 1
 */
export function remember(
  memory: ElasticMemory | null,
  adapter: LoraAdapter,
  fisher: LoraModules,
  decay = 1,
): ElasticMemory {
  if (!(decay >= 0 && decay <= 1))
    throw new SelkieError("bad-option", `elastic weights: expected a decay in [0, 1], got ${decay}`);
  const sum = (old: Float32Array | undefined, values: Float32Array) =>
    old === undefined ? values : values.map((value, i) => decay * old[i]! + value);
  const modules = [...fisher].map(([name, { loraA, loraB }]): [string, LoraModule] => {
    const old = memory?.fisher.get(name);
    return [name, { loraA: sum(old?.loraA, loraA), loraB: sum(old?.loraB, loraB) }];
  });
  return { anchor: adapter, fisher: new Map(modules) };
}

/**
 * Holds an adapter to `memory`.
 *
 * @param strength - λ, at least 0; 0 changes nothing.
 */
export function elasticWeights(strength: number, memory: ElasticMemory): AdapterRegularizer {
  if (!(strength >= 0))
    throw new SelkieError("bad-option", `elastic weights: expected a strength of at least 0, got ${strength}`);
  return { kind: "elastic-weights", strength, memory };
}

/** The penalty of {@link elasticWeights} and its slope at `adapter`. */
export function elasticPenalty(
  strength: number,
  { anchor, fisher }: ElasticMemory,
  { modules }: LoraAdapter,
): AdapterPenalty {
  let nats = 0;
  const pull = (values: Float32Array, centre: Float32Array, weights: Float32Array) => {
    const gradient = new Float32Array(values.length);
    for (let i = 0; i < gradient.length; i++) {
      const distance = values[i]! - centre[i]!;
      gradient[i] = strength * weights[i]! * distance;
      nats += (strength / 2) * weights[i]! * distance ** 2;
    }
    return gradient;
  };
  const gradient = new Map<string, LoraModule>();
  for (const [name, { loraA, loraB }] of modules) {
    const [centre, weights] = [anchor.modules.get(name), fisher.get(name)];
    if (centre === undefined || weights === undefined) continue;
    gradient.set(name, {
      loraA: pull(loraA, centre.loraA, weights.loraA),
      loraB: pull(loraB, centre.loraB, weights.loraB),
    });
  }
  return { nats, gradient };
}

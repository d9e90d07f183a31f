/**
 * @file Orthogonal low-rank adaptation, O-LoRA (Wang et al. 2023, "Orthogonal subspace learning for language model
 * continual learning", arXiv 2310.14152): a new adapter reads from directions that no earlier one reads from,
 * `penalty(A) = strength · Σ_t Σ_jk (A_t Aᵀ)_jk²` per module, over the frozen `loraA` of earlier adapters `t`.
 *
 * Deviations:
 *  1. the released code sums absolute values where the paper's formula sums squares; squares here: their slope fades as
 *     directions become orthogonal, while AdamW makes of a slope of ±1 a step that never settles;
 *  2. of the past only `S = Σ_t A_tᵀ A_t` is looked at in training, `[in, in]` per module, made once per job: the penalty is
 *     `strength · tr(A S Aᵀ)`, so an update costs the same after 100 adapters as after one, and is the sum the paper asks for;
 *  3. the L2 term that the released code has beside it (off by default there) is left to the job's weight decay.
 *
 * A space of `in` dimensions has room for `in / r` orthogonal adapters: 12 of rank 16 where `in` is 192. What comes
 * after that is only kept apart as well as can be.
 */
import type { LoraAdapter, LoraModule } from "../nn/index.ts";
import { type Backend, Scope } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import type { AdapterPenalty, AdapterRegularizer } from "./adapter-regularizer.ts";

/** `Σ A_tᵀ A_t` by module path, `[in, in]`. */
export type SubspaceGrams = ReadonlyMap<string, Float32Array>;

/** `grams` with one more adapter. */
export function withSubspace(
  grams: SubspaceGrams,
  { modules, loraRank }: LoraAdapter,
  backend: Backend,
): SubspaceGrams {
  const next = new Map(grams);
  for (const [name, { loraA }] of modules) {
    const inSize = loraA.length / loraRank;
    using scope = new Scope(backend);
    const [a, old] = [scope.from(loraA, [loraRank, inSize]), grams.get(name)];
    const gram = scope.from(old ?? new Float32Array(inSize * inSize), [inSize, inSize]);
    backend.kernels.gemm({ a, b: a, c: gram, transposeA: true, accumulate: true, compute: "f32" });
    next.set(name, Float32Array.from(gram.readSync()));
  }
  return next;
}

/**
 * Holds an adapter's `loraA` orthogonal to those of `earlier` adapters; `loraB` is free.
 *
 * @param strength - λ, at least 0; 0 changes nothing.
 */
export function orthogonalSubspaces(strength: number, earlier: readonly LoraAdapter[]): AdapterRegularizer {
  if (!(strength >= 0))
    throw new SelkieError("bad-option", `orthogonal subspaces: expected a strength of at least 0, got ${strength}`);
  return { kind: "orthogonal-subspaces", strength, earlier };
}

/** The penalty of {@link orthogonalSubspaces} and its slope at `adapter`. */
export function subspacePenalty(
  strength: number,
  grams: SubspaceGrams,
  { modules, loraRank }: LoraAdapter,
  backend: Backend,
): AdapterPenalty {
  let nats = 0;
  const gradient = new Map<string, LoraModule>();
  for (const [name, { loraA, loraB }] of modules) {
    const gram = grams.get(name);
    if (gram === undefined) continue;
    const inSize = loraA.length / loraRank;
    using scope = new Scope(backend);
    const a = scope.from(loraA, [loraRank, inSize]);
    const product = scope.empty([loraRank, inSize], "f32"); // A S
    backend.kernels.gemm({ a, b: scope.from(gram, [inSize, inSize]), c: product, compute: "f32" });
    const slope = Float32Array.from(product.readSync());
    for (let i = 0; i < slope.length; i++) {
      nats += strength * slope[i]! * loraA[i]!;
      slope[i]! *= 2 * strength;
    }
    gradient.set(name, { loraA: slope, loraB: new Float32Array(loraB.length) });
  }
  return { nats, gradient };
}

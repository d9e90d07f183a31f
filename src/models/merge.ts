/** @file Folding an adapter into the weights it was trained over, which makes it part of the model for good. */
import type { LoraAdapter } from "../nn/index.ts";
import { Scope } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import type { CausalLm } from "./causal-lm.ts";

/**
 * `W += scale · loraAlpha / loraRank · B A` for every module of `adapter`, in f32 and in place.
 *
 * @param scale - 1 merges the whole change, less a part of it, -1 takes it back (within the rounding of f32).
 * @throws {@link SelkieError} `"adapter-mismatch"` when a module does not fit; the weights are then as they were.
 */
export function mergeAdapter(lm: CausalLm, adapter: LoraAdapter, scale = 1): void {
  const { loraRank, loraAlpha, modules } = adapter;
  const layers = new Map(lm.linearLayers.map((layer) => [layer.name, layer]));
  for (const [name, { loraA, loraB }] of modules) {
    const layer = layers.get(name);
    if (
      layer === undefined ||
      loraA.length !== loraRank * layer.inSize ||
      loraB.length !== loraRank * layer.outSize ||
      lm.parameters.get(`${name}.weight`).dtype === "bf16"
    )
      throw new SelkieError(
        "adapter-mismatch",
        `merge: module "${name}" does not fit the model, or its weights are bf16, which would lose small changes; use the base model the adapter was trained on, loaded with f32 weights`,
      );
  }
  lm.parameters.thaw();
  for (const [name, { loraA, loraB }] of modules) {
    const { inSize, outSize } = layers.get(name)!;
    const weight = lm.parameters.get(`${name}.weight`);
    using scope = new Scope(lm.backend);
    lm.backend.kernels.gemm({
      a: scope.from(loraB, [outSize, loraRank], weight.dtype),
      b: scope.from(loraA, [loraRank, inSize], weight.dtype),
      c: weight,
      alpha: (scale * loraAlpha) / loraRank,
      accumulate: true,
      compute: "f32",
    });
  }
}

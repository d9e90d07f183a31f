/** @file Folding an adapter into the weights it was trained over, which makes it part of the model for good. */
import type { LoraAdapter } from "../nn/index.ts";
import { Scope } from "../tensor/index.ts";
import { SelkieError } from "../util/index.ts";
import type { CausalLm } from "./causal-lm.ts";

/**
 * `W += scale · loraAlpha / loraRank · B A` for every module of `adapter`, in f32 and in place.
 *
 * @param scale - 1 merges the whole change, less a part of it, -1 takes it back (within the rounding of f32).
 * @throws {@link SelkieError} `"adapter-mismatch"` when a module does not fit, `"bad-option"` when the weights are not f32; they are
 * then as they were.
 */
export function mergeAdapter(lm: CausalLm, adapter: LoraAdapter, scale = 1): void {
  const { loraRank, loraAlpha, modules } = adapter;
  const layers = new Map(lm.linearLayers.map((layer) => [layer.name, layer]));
  checkMergeable(lm, "merge");
  for (const [name, { loraA, loraB }] of modules) {
    const layer = layers.get(name);
    if (layer === undefined || loraA.length !== loraRank * layer.inSize || loraB.length !== loraRank * layer.outSize)
      throw new SelkieError(
        "adapter-mismatch",
        `merge: module "${name}" does not fit the model; use the base model the adapter was trained on`,
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

/** Throws `"bad-option"` unless the model's matrices can take an adapter up: bf16 and quantised ones would lose small changes. */
export function checkMergeable(lm: CausalLm, who: string): void {
  for (const { name } of lm.linearLayers) {
    const { dtype, quantised } = lm.parameters.get(`${name}.weight`);
    const format = quantised === null ? dtype : quantised.format;
    if (format === "f32" || format === "f64") continue;
    throw new SelkieError(
      "bad-option",
      `${who}: expected weights in f32, got ${name} in ${format}, and weights that are bf16 or quantised would lose an adapter's small changes; load the model with f32 weights`,
    );
  }
}

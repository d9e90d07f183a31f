/** @file Exponential moving average of parameters (Polyak averaging), the last link of a chain. */
import { createTensor } from "../../tensor/index.ts";
import { SelkieError } from "../../util/index.ts";
import type { GradientTransform } from "./transform.ts";

/**
 * `average = decay · average + (1 - decay) · parameters` after every update, from the first parameters on. At the end of
 * training the average takes their place.
 *
 * @param decay - In [0, 1).
 */
export function ema(decay: number): GradientTransform {
  if (!(decay >= 0 && decay < 1)) throw new SelkieError("bad-option", `EMA: expected a decay in [0, 1), got ${decay}`);
  return {
    name: "ema",
    init({ flat }) {
      const average = createTensor(flat.backend, flat.shape, flat.dtype);
      flat.backend.kernels.axpby({ x: flat, alpha: 1, y: average, beta: 0 });
      return { tensors: { ema: average } };
    },
    reset({ flat }, { tensors }, runs) {
      for (const { offset, length } of runs)
        flat.backend.kernels.axpby({
          x: flat.view(offset, [length]),
          alpha: 1,
          y: tensors["ema"]!.view(offset, [length]),
          beta: 0,
        });
    },
    afterUpdate({ store: { flat }, groups }, { tensors }) {
      for (const { offset, length } of groups.flatMap(({ runs }) => runs))
        flat.backend.kernels.axpby({
          x: flat.view(offset, [length]),
          alpha: 1 - decay,
          y: tensors["ema"]!.view(offset, [length]),
          beta: decay,
        });
    },
    finish({ flat }, { tensors }) {
      flat.backend.kernels.axpby({ x: tensors["ema"]!, alpha: 1, y: flat, beta: 0 });
    },
  };
}

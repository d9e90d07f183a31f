/** @file The native sampling kernel (`native/kernels/sample.h`). */
import type { Kernels } from "../../backend.ts";
import type { NativeContext } from "./native.ts";

/** Numbers that the kernel returns per draw. */
const perDraw = 3;

export function sampleKernels(context: NativeContext): Pick<Kernels, "sampleRows"> {
  return {
    sampleRows({ logits, rows, temperatures, uniforms, tokenIds, logprobs }) {
      const drawn = new Float64Array(perDraw * rows.length);
      const numbers = [logits.shape[1]!, Number(logprobs !== null)];
      context.run("sampleRows", numbers, logits.data, rows, temperatures, uniforms, drawn);
      for (let draw = 0; draw < rows.length; draw++) {
        const at = perDraw * draw;
        tokenIds[draw] = drawn[at]!;
        if (logprobs !== null) logprobs[draw] = drawn[at]! < 0 ? Number.NaN : drawn[at + 1]! - Math.log(drawn[at + 2]!);
      }
    },
  };
}

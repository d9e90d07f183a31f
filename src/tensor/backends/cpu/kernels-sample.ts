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
        const [tokenId, distance, total] = drawn.subarray(perDraw * draw) as unknown as [number, number, number];
        tokenIds[draw] = tokenId;
        if (logprobs !== null) logprobs[draw] = tokenId < 0 ? Number.NaN : distance - Math.log(total);
      }
    },
  };
}

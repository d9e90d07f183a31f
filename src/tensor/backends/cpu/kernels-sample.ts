/** @file The native sampling kernel (`native/kernels/sample.h`). */
import type { Kernels } from "../../backend.ts";
import type { NativeContext } from "./native.ts";

/** Numbers that the kernel returns per draw: token, its score, total weight. */
const perDraw = 3;

export function sampleKernels(context: NativeContext): Pick<Kernels, "sampleRows"> {
  return {
    sampleRows({ logits, rows, temperatures, uniforms, tokenIds, logprobs, ...options }) {
      if (rows.length === 0) return;
      const { adjustments = null, truncations = null, likeliest = null } = options;
      const drawn = new Float64Array(perDraw * rows.length);
      context.run(
        "sampleRows",
        [logits.shape[1]!, Number(logprobs !== null)],
        ...[logits.data, rows, temperatures, uniforms],
        ...[truncations?.topKs ?? null, truncations?.topPs ?? null, truncations?.minPs.map(Math.log) ?? null],
        ...[adjustments?.offsets ?? null, adjustments?.tokenIds ?? null],
        ...[adjustments?.divisors ?? null, adjustments?.addends ?? null],
        drawn,
        ...[likeliest?.counts ?? null, likeliest?.tokenIds ?? null, likeliest?.logprobs ?? null],
      );
      const toLogprob = (draw: number, score: number) => score - Math.log(drawn[perDraw * draw + 2]!);
      for (let draw = 0; draw < rows.length; draw++) {
        const token = drawn[perDraw * draw]!;
        tokenIds[draw] = token;
        if (logprobs !== null) logprobs[draw] = token < 0 ? Number.NaN : toLogprob(draw, drawn[perDraw * draw + 1]!);
      }
      likeliest?.tokenIds.forEach((token, place) => {
        const draw = Math.floor((place * rows.length) / likeliest.tokenIds.length);
        likeliest.logprobs[place] = token < 0 ? Number.NaN : toLogprob(draw, likeliest.logprobs[place]!);
      });
    },
  };
}

/** @file Dropout (Srivastava et al. 2014, JMLR 15:1929), scaled in training so that inference needs nothing. */
import { type Rng, SelkieError } from "../../util/index.ts";
import type { Scope } from "../scope.ts";
import { checkOffsets } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** Packed examples with a random stream each: rows `offsets[b] .. offsets[b + 1]` belong to `rngs[b]`. */
export interface DropoutStreams {
  /** `[B + 1]`, ascending from 0 to the number of rows (the first axis). */
  readonly offsets: Int32Array;
  /** `[B]`, one per example; named by the example, so that what is dropped of it does not depend on its batch. */
  readonly rngs: readonly Rng[];
}

/**
 * `x[i] / (1 - p)` with probability `1 - p`, else 0. What is dropped depends on the stream and on the place of an element
 * in its example alone: not on the number of threads, nor on how the elements are shaped or which examples are packed
 * together. The backward pass reads the same stream again; nothing is stored. Takes `⌈size / 4⌉` blocks of each stream.
 *
 * @param p - Share that is dropped, in [0, 1); 0 returns `x` itself and takes nothing from the stream.
 * @param random - One stream for all of `x`, or one per packed example.
 * @throws {@link SelkieError} `"bad-option"` for another `p`.
 */
export function dropout(scope: Scope, x: Tensor, p: number, random: Rng | DropoutStreams): Tensor {
  if (!(p >= 0 && p < 1))
    throw new SelkieError("bad-option", `dropout: expected a share p from 0 to below 1, got ${p}; 0 drops nothing`);
  if (p === 0) return x;
  const { kernels } = scope.backend;
  const streams: DropoutStreams =
    "rngs" in random ? random : { offsets: Int32Array.of(0, x.shape[0] ?? 1), rngs: [random] };
  const numRows = x.shape[0] ?? 1;
  checkOffsets("dropout: offsets", streams.offsets, streams.rngs.length, numRows);
  const width = x.size / Math.max(1, numRows);
  const runs = streams.rngs.map((rng, index) => {
    const [first, end] = [streams.offsets[index]! * width, streams.offsets[index + 1]! * width];
    return { first, size: end - first, blocks: rng.takeBlocks(Math.ceil((end - first) / 4)) };
  });
  const apply = (from: Tensor, to: Tensor, accumulate: boolean): void => {
    for (const { first, size, blocks } of runs)
      kernels.dropout({ x: from.view(first, [size]), y: to.view(first, [size]), p, blocks, accumulate });
  };
  const y = scope.empty(x.shape, x.dtype);
  apply(x, y, false);
  scope.record([x], [y], (gradients) => {
    const { grad, accumulate } = gradients.into(x)!;
    apply(gradients.of(y)!, grad, accumulate);
  });
  return y;
}

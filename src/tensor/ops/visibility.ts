/**
 * @file Which keys a query sees, as layouts. Each function takes a layout and returns it with the ranges of its rule filled in.
 *
 * With `s` keys in a sequence, a query at position `p` sees
 *
 *     causal           0 .. p
 *     full             0 .. s - 1
 *     prefix(n)        0 .. max(p, n - 1): the first n tokens see each other, the rest is causal
 *     slidingWindow(w) p - w + 1 .. p
 *     blockCausal(c)   0 .. the last token of p's block: blocks of c tokens, the first of them at position 0
 *
 * cut off at the ends of the sequence. Positions count keys, so that a layout of cached decoding, whose queries are the last
 * ones, needs nothing else; what would lie beyond the last key is not there yet and is not seen.
 *
 * `slidingWindow` agrees with `sliding_window` in transformers 5 (`sliding_window_causal_mask_function`: the window counts
 * the query itself), `blockCausal` with its `create_causal_mask(block_sequence_ids=p // c)`; see `visibility.test.ts`.
 */
import { SelkieError, ShapeError } from "../../util/index.ts";
import type { AttentionLayout } from "../backend.ts";

/** A rule of visibility: fills the ranges of a layout. */
export type Visibility = (layout: AttentionLayout) => AttentionLayout;

/** Of the query at `position` among `numKeys` keys of sequence `sequence`. */
type RangeOf = (position: number, numKeys: number, sequence: number) => readonly [begin: number, end: number];

function fill(layout: AttentionLayout, rangeOf: RangeOf): AttentionLayout {
  const { qOffsets, kLengths } = layout;
  const numQueries = qOffsets.at(-1) ?? 0;
  const visible = { begin: new Int32Array(numQueries), end: new Int32Array(numQueries) };
  for (let b = 0; b < kLengths.length; b++) {
    const numKeys = kLengths[b]!;
    for (let row = qOffsets[b]!; row < qOffsets[b + 1]!; row++) {
      const [begin, end] = rangeOf(numKeys - qOffsets[b + 1]! + row, numKeys, b);
      visible.begin[row] = Math.max(0, begin);
      visible.end[row] = Math.min(numKeys, end);
    }
  }
  return { ...layout, visible };
}

function checkCount(who: string, count: number): void {
  if (!Number.isInteger(count) || count < 1)
    throw new SelkieError("bad-option", `${who}: expected a whole number of tokens above 0, got ${count}`);
}

/** A query sees its own position and all before it: what a layout without ranges means, and what is fastest. */
export const causal: Visibility = (layout) => ({ ...layout, visible: null });

/** Every query sees every key of its sequence, as in an encoder. */
export const full: Visibility = (layout) => fill(layout, (_, numKeys) => [0, numKeys]);

/**
 * The first `lengths[b]` tokens of sequence `b` see each other, later ones see causally (the prefix language model of Raffel
 * et al. 2020, arXiv 1910.10683).
 *
 * @param lengths - `[B]`, at least 0; what exceeds a sequence is cut off.
 */
export const prefix =
  (lengths: Int32Array): Visibility =>
  (layout) => {
    if (lengths.length !== layout.kLengths.length)
      throw new ShapeError(
        "prefix",
        `${layout.kLengths.length} lengths`,
        `${lengths.length}`,
        "give one for each sequence",
      );
    return fill(layout, (position, _, b) => [0, Math.max(position + 1, lengths[b]!)]);
  };

/**
 * A query sees itself and the `window - 1` tokens before it (Beltagy et al. 2020, arXiv 2004.05150, as decoders use it).
 *
 * @param window - Tokens, at least 1.
 */
export const slidingWindow = (window: number): Visibility => {
  checkCount("slidingWindow", window);
  return (layout) => fill(layout, (position) => [position - window + 1, position + 1]);
};

/**
 * A query sees its whole block and all blocks before it: blocks are read in order, tokens within one both ways (as in the
 * block diffusion of Arriola et al. 2025, arXiv 2503.09573).
 *
 * @param blockSize - Tokens, at least 1; 1 is causal.
 */
export const blockCausal = (blockSize: number): Visibility => {
  checkCount("blockCausal", blockSize);
  return (layout) => fill(layout, (position) => [0, (Math.floor(position / blockSize) + 1) * blockSize]);
};

/**
 * @file What a model keeps of the tokens it has read, while it decodes: keys and values, or whatever its layers need
 * instead. Only the model looks inside. Whoever decodes asks for room, shares prefixes and gives room back.
 */

/**
 * Memory of many sequences. A sequence is named by the row that {@link allocate} returned. A pass reads and writes it where
 * its layout says so: `kStarts[b]` is the sequence, `kLengths[b]` its tokens after the pass, and the queries of `b` are the
 * last of them.
 */
export interface DecodeCache extends Disposable {
  /** Tokens there is room for, over all sequences. */
  readonly numRows: number;
  /** Memory of one token, all layers. */
  readonly bytesPerRow: number;
  /** Makes room for `numRows` tokens in all, at least as many as before; sequences keep their names and their tokens. */
  grow(numRows: number): void;
  /** Room for a new sequence of up to `length` tokens, at least 1; `null` while there is not that much in one piece. */
  allocate(length: number): number | null;
  /**
   * Lets `to`, which is empty, begin with the first `length` tokens of `from`.
   *
   * @throws {@link SelkieError} `"bad-option"` unless `from` has that many tokens and `to` the room.
   */
  copy(from: number, to: number, length: number): void;
  /**
   * Forgets all but the first `length` tokens.
   *
   * @throws {@link SelkieError} `"bad-option"` when there are fewer.
   */
  truncate(sequence: number, length: number): void;
  /** Ends a sequence and gives its room back. */
  free(sequence: number): void;
}

/** @file What turns pieces of text into ids, whichever kind of model the tokenizer is of. */

/** Tokens with their ids, and how a piece of text is written with them. */
export interface Vocabulary {
  readonly vocab: ReadonlyMap<string, number>;
  /** Ids of a piece that is not empty. */
  encode(piece: string): readonly number[];
}

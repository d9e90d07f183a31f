/**
 * @file The form of the hand-written material that the screen of sources is measured on. A passage comes with facts in other
 * words than its own, so that a generator can put true and false edits together in many voices.
 */

/** One fact of a passage, reworded; `{v}` is where its value stands. */
export interface MaterialFact {
  /** As the passage has it. */
  readonly value: string;
  /** Something else of the same sort, which the passage does not say. */
  readonly wrong: string;
  /** Names its subject. */
  readonly named: string;
  /** In another order or voice, mostly with a pronoun. */
  readonly other: string;
  readonly question: string;
  /** On a record card. */
  readonly label: string;
}

/** One passage with what true and false edits are made from. */
export interface Material {
  readonly id: string;
  readonly text: string;
  readonly facts: readonly MaterialFact[];
  /** The passage's statement denied, or its denial asserted. */
  readonly negated: readonly string[];
  /** A sentence that binds a fact to somebody or something else of the passage. */
  readonly swapped: readonly string[];
  /** Something the passage says nothing of. */
  readonly added: readonly string[];
  /** A sentence that cannot be true if the passage is. */
  readonly contrary: readonly string[];
}

/** Shorthand of one fact. */
export const fact = (
  value: string,
  wrong: string,
  named: string,
  other: string,
  question: string,
  label: string,
): MaterialFact => ({ value, wrong, named, other, question, label });

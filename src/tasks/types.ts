/**
 * @file What a task hands to the self-edit loop: passages to learn and questions about them, in the shape of SQuAD.
 * Plain data, so that a world of ours and a file from disk look the same.
 */

/** One closed-book question with the one answer that counts as right. */
export interface Question {
  readonly question: string;
  readonly answer: string;
}

/** One text to learn, with the questions that examine it. */
export interface Passage {
  /**
   * Put before every training document when not empty (SEAL does so with SQuAD titles). Almanac passages leave it empty:
   * a title that names the person would hand the name to every document, the raw passage included.
   */
  readonly title: string;
  readonly context: string;
  readonly questions: readonly Question[];
}

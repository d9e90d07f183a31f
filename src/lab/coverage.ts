/** @file Whether an edit says what will be asked: answers found in its words. */
import type { ExamItem } from "../adapt/index.ts";
import { normaliseAnswer } from "../tasks/index.ts";
import { mean } from "../util/index.ts";

/** Share of the exam's gold answers that occur as words in the text of an edit (as in the analyses of SEAL's released edits), in [0, 1]. */
export function answerCoverage(items: readonly ExamItem[], text: string): number {
  const words = ` ${normaliseAnswer(text)} `;
  return mean(items.map(({ answer }) => (words.includes(` ${normaliseAnswer(answer)} `) ? 1 : 0)));
}

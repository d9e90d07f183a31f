/** @file Long texts are learned in pieces that leave the model space to write about them. */
import type { Tokenizer } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";
import { bestBreak } from "./breaks.ts";

/** Cuts where {@link bestBreak} says, so that each piece has at most `maxTokens`; white space at the cuts is dropped. */
function* splitText(text: string, countTokens: (text: string) => number, maxTokens: number): Generator<string> {
  // a token is at least one byte, a UTF-16 unit at most three
  if (text.length < 2 || 3 * text.length <= maxTokens || countTokens(text) <= maxTokens) {
    yield text;
    return;
  }
  const cut = bestBreak(text);
  for (const half of [text.slice(0, cut).trim(), text.slice(cut).trim()])
    if (half !== "") yield* splitText(half, countTokens, maxTokens);
}

/**
 * Passages of at most `maxTokens` tokens; pieces keep title, file and, where the answer occurs in them, questions.
 *
 * @param maxPieces - Stop after so many pieces: enough to see that there are too many. @defaultValue no limit
 */
export function chunkPassages(
  passages: readonly SourcePassage[],
  tokenizer: Tokenizer,
  maxTokens: number,
  maxPieces: number = Number.POSITIVE_INFINITY,
): SourcePassage[] {
  const countTokens = (text: string) =>
    text.length > 16 * maxTokens ? Number.POSITIVE_INFINITY : tokenizer.encode(text).length;
  const chunks: SourcePassage[] = [];
  for (const passage of passages) {
    const pieces = [...splitText(passage.context, countTokens, maxTokens).take(Math.max(0, maxPieces - chunks.length))];
    chunks.push(...(pieces.length === 1 ? [{ ...passage, context: pieces[0]! }] : shareQuestions(passage, pieces)));
  }
  return chunks;
}

/** One passage per piece; a question goes to the first piece that contains its answer, else to the first of all. */
function shareQuestions(passage: SourcePassage, pieces: readonly string[]): SourcePassage[] {
  const owner = ({ answer }: { answer: string }) =>
    Math.max(
      0,
      pieces.findIndex((piece) => piece.includes(answer)),
    );
  return pieces.map((context, index) => ({
    ...passage,
    context,
    id: `${passage.id}:${index + 1}`,
    questions: passage.questions.filter((question) => owner(question) === index),
  }));
}

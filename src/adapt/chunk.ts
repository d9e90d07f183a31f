/** @file Long texts are learned in pieces that leave the model room to write about them. */
import type { Tokenizer } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";

/** Cuts at paragraph, else sentence, else word boundaries, else anywhere, so that each piece has at most `maxTokens`. */
function* splitText(text: string, countTokens: (text: string) => number, maxTokens: number): Generator<string> {
  // a token is at least one byte, a UTF-16 unit at most three
  if (3 * text.length <= maxTokens || countTokens(text) <= maxTokens) {
    yield text;
    return;
  }
  const middle = text.length >> 1;
  const cut =
    [/\n\n+/g, /(?<=[.!?])\s+/g, /\s+/g].map((boundary) => nearest(text, boundary, middle)).find((at) => at !== null) ??
    wholeCharacter(text, middle);
  for (const half of [text.slice(0, cut).trim(), text.slice(cut).trim()])
    if (half !== "") yield* splitText(half, countTokens, maxTokens);
}

/** `at`, moved off the middle of a surrogate pair. */
const wholeCharacter = (text: string, at: number): number => ((text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at + 1 : at);

/** End of the boundary nearest to `middle` within the inner half of the text; `null` when there is none. */
function nearest(text: string, boundary: RegExp, middle: number): number | null {
  const from = middle >> 1;
  let best: number | null = null;
  for (const match of text.slice(from, middle + (middle >> 1)).matchAll(boundary)) {
    const at = from + match.index + match[0].length;
    if (best === null || Math.abs(at - middle) < Math.abs(best - middle)) best = at;
  }
  return best;
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

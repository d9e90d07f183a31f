/** @file Long texts are learned in pieces that leave the model room to write about them. */
import type { Tokenizer } from "../models/index.ts";
import type { SourcePassage } from "../tasks/index.ts";

/** Cuts at paragraph, else sentence, else word boundaries, else anywhere, so that each piece has at most `maxTokens`. */
function splitText(text: string, countTokens: (text: string) => number, maxTokens: number): string[] {
  if (3 * text.length <= maxTokens || countTokens(text) <= maxTokens) return [text]; // a token is at least one byte, a UTF-16 unit at most three
  const middle = text.length >> 1;
  const cut =
    [/\n\n+/g, /(?<=[.!?])\s+/g, /\s+/g].map((boundary) => nearest(text, boundary, middle)).find((at) => at !== null) ??
    wholeCharacter(text, middle);
  return [text.slice(0, cut), text.slice(cut)]
    .map((half) => half.trim())
    .filter((half) => half !== "")
    .flatMap((half) => splitText(half, countTokens, maxTokens));
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

/** Passages of at most `maxTokens` tokens; pieces keep title, file and, where the answer occurs in them, questions. */
export function chunkPassages(
  passages: readonly SourcePassage[],
  tokenizer: Tokenizer,
  maxTokens: number,
): SourcePassage[] {
  const countTokens = (text: string) =>
    text.length > 16 * maxTokens ? Number.POSITIVE_INFINITY : tokenizer.encode(text).length;
  return passages.flatMap((passage) => {
    const pieces = splitText(passage.context, countTokens, maxTokens);
    if (pieces.length === 1) return [passage];
    const owner = (answer: string) =>
      Math.max(
        0,
        pieces.findIndex((piece) => piece.includes(answer)),
      );
    return pieces.map((context, index) => ({
      ...passage,
      context,
      id: `${passage.id}:${index + 1}`,
      questions: passage.questions.filter(({ answer }) => owner(answer) === index),
    }));
  });
}

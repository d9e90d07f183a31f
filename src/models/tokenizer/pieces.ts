/**
 * @file The text that each token of a sequence adds, such that the texts joined are the text of the whole: a character that
 * takes several tokens appears with its last one, a space with the word it stands before.
 */
import type { TokenPiece } from "../causal-lm.ts";
import { byteOfToken, fromByteLetters, utf8Length } from "./bytes.ts";
import type { Pipeline } from "./pipeline.ts";

const mostPending = 8; // no character has more bytes; what is still no text then is ill-formed

/** Text and bytes of each token. */
export function readPieces(pipeline: Pipeline, tokenIds: readonly number[]): TokenPiece[] {
  const pieces: TokenPiece[] = [];
  let context = 0; // decoding begins here; tokens `context .. begin` have been told
  let begin = 0;
  let numPending = 0; // bytes of tokens `begin .. end - 1`
  for (let end = 1; end <= tokenIds.length; end++) {
    const id = tokenIds[end - 1]!;
    const before = pipeline.decode(tokenIds.slice(context, begin));
    const text = tellNew(before, pipeline.decode(tokenIds.slice(context, end)));
    const isWhole = !text.endsWith("\ufffd") || end - begin >= mostPending || end === tokenIds.length;
    const written = pipeline.controlIds.has(id) ? (pipeline.tokenOf(id) ?? "") : isWhole ? text : "";
    const isControl = pipeline.controlIds.has(id);
    const numBytes = isControl
      ? 0
      : isWhole && !text.includes("\ufffd")
        ? utf8Length(text) - numPending
        : countBytes(pipeline, id);
    pieces.push({ id, text: written, numBytes });
    if (!isControl) numPending += numBytes;
    if (!isWhole || isControl) continue;
    context = begin;
    begin = end;
    numPending = 0;
  }
  return pieces;
}

/** What `after` has beyond `before`. */
function tellNew(before: string, after: string): string {
  if (after.startsWith(before)) return after.slice(before.length);
  let common = 0;
  while (common < before.length && before[common] === after[common]) common++;
  return after.slice(common);
}

/** Bytes of a token that is a part of a character, or of none. */
function countBytes(pipeline: Pipeline, id: number): number {
  const token = pipeline.tokenOf(id);
  if (token === undefined) return 0;
  if (byteOfToken(token) !== null) return 1;
  return fromByteLetters(token)?.length ?? utf8Length(token);
}

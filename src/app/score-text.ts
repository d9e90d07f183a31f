/** @file Scores a text of any length: windows that overlap by half, every token but the first once. */
import type { AdaptEvent } from "../adapt/index.ts";
import type { AdapterId, Engine } from "../engine/index.ts";
import type { Tokenizer, TokenPiece } from "../models/index.ts";
import { SelkieError } from "../util/index.ts";
import type { WorkContext } from "./context.ts";

/** One token and its log-probability in nats; `null` when nothing stood before it. */
export interface ScoredToken {
  readonly id: number;
  readonly text: string;
  readonly logprob: number | null;
}

/** What `selkie score --json` prints about the text. */
export interface TextScore {
  readonly tokens: readonly ScoredToken[];
  readonly numTokens: number;
  readonly numScored: number;
  readonly totalNats: number;
  /** Of the scored part of the text, in UTF-8; `null` for token ids. */
  readonly bitsPerByte: number | null;
  /** `null` when the text fits the model's context. */
  readonly windows: { readonly count: number; readonly maxTokens: number; readonly overlap: number } | null;
}

interface Window {
  readonly start: number;
  readonly end: number;
  /** First token that this window scores. */
  readonly scoredFrom: number;
}

/** Windows over `numTokens` tokens: each later one begins half a window before the first token it scores. */
export function planWindows(numTokens: number, maxTokens: number): Window[] {
  const windows: Window[] = [{ start: 0, end: Math.min(numTokens, maxTokens), scoredFrom: 1 }];
  const overlap = Math.floor(maxTokens / 2);
  while (windows.at(-1)!.end < numTokens) {
    const scoredFrom = windows.at(-1)!.end;
    const start = scoredFrom - overlap;
    windows.push({ start, end: Math.min(numTokens, start + maxTokens), scoredFrom });
  }
  return windows;
}

/** A text to score. */
export interface TextInput {
  readonly text: string;
  /** True reads what spells a control token as that token. @defaultValue false */
  readonly controlTokens?: boolean;
}

/** The ids that the model was trained to see of a whole text. */
const encodeText = (tokenizer: Tokenizer, { text, controlTokens = false }: TextInput): number[] => [
  ...tokenizer.prefixIds,
  ...tokenizer.encode(text, { controlTokens }),
  ...tokenizer.suffixIds,
];

/** Tokens with their texts; what the tokenizer itself puts around a text has none. */
function readPieces(tokenizer: Tokenizer, ids: readonly number[], isText: boolean): readonly TokenPiece[] {
  if (!isText) return tokenizer.pieces(ids);
  const [begin, end] = [tokenizer.prefixIds.length, ids.length - tokenizer.suffixIds.length];
  const silent = (part: readonly number[]): TokenPiece[] => part.map((id) => ({ id, text: "", numBytes: 0 }));
  return [...silent(ids.slice(0, begin)), ...tokenizer.pieces(ids.slice(begin, end)), ...silent(ids.slice(end))];
}

/** Bytes of the text that its first token stands for: not the space that many tokenizers put before a text. */
export function unscoredBytes(tokenizer: Tokenizer, text: string, ids: readonly number[], first: TokenPiece): number {
  if (tokenizer.prefixIds.length > 0) return 0;
  const spaces = (of: string): number => of.length - of.replace(/^ +/, "").length;
  const written = tokenizer.decode(ids);
  return Math.max(0, first.numBytes - (spaces(written) - spaces(text)));
}

/** Refuses the scores of a model whose weights hold something that is no number. */
export function requireFinite(logprobs: Iterable<number | null>): void {
  for (const logprob of logprobs)
    if (logprob !== null && Number.isNaN(logprob))
      throw new SelkieError(
        "bad-file",
        "score: expected numbers from the model, got NaN; its weights, or the adapter's, are damaged",
      );
}

/** Scores a text, or token ids as they are. */
export async function scoreText(
  engine: Engine,
  adapter: AdapterId | null,
  input: TextInput | { readonly ids: readonly number[] },
  { signal, onEvent }: Pick<WorkContext, "signal"> & { readonly onEvent?: (event: AdaptEvent) => void },
): Promise<TextScore> {
  const { tokenizer } = engine;
  const { maxSeqLen } = engine.model;
  const ids = "text" in input ? encodeText(tokenizer, input) : input.ids;
  if (ids.length === 0)
    throw new SelkieError("bad-input", "score: expected a text of at least one token, got an empty one");
  const windows = planWindows(ids.length, maxSeqLen);
  const logprobs = new Array<number | null>(ids.length).fill(null);
  for (const [index, { start, end, scoredFrom }] of windows.entries()) {
    if (windows.length > 1) onEvent?.({ stage: "scoring, windows", done: index, total: windows.length });
    const [scored] = await engine.score([{ tokenIds: ids.slice(start, end), adapter }], { signal });
    for (let i = scoredFrom; i < end; i++) logprobs[i] = scored![i - start - 1]!;
  }
  requireFinite(logprobs);
  const totalNats = logprobs.reduce<number>((sum, logprob) => sum + (logprob ?? 0), 0);
  const pieces = readPieces(tokenizer, ids, "text" in input);
  const tokens = pieces.map(({ id, text }, index) => ({ id, text, logprob: logprobs[index]! }));
  // what the first token stands for is not scored
  const numBytes =
    "text" in input ? Buffer.byteLength(input.text) - unscoredBytes(tokenizer, input.text, ids, pieces[0]!) : 0;
  return {
    tokens,
    numTokens: ids.length,
    numScored: ids.length - 1,
    totalNats,
    bitsPerByte: numBytes > 0 ? -totalNats / Math.LN2 / numBytes : null,
    windows:
      windows.length === 1 ? null : { count: windows.length, maxTokens: maxSeqLen, overlap: Math.floor(maxSeqLen / 2) },
  };
}

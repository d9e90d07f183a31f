/**
 * @file Scores a text too long to hold as a list of tokens: it is tokenised in pieces and scored in windows as it comes, with
 * sums alone kept, so memory does not grow with the text and Ctrl-C is heard between pieces.
 */
import { setImmediate } from "node:timers/promises";
import type { AdaptEvent } from "../adapt/index.ts";
import type { AdapterId, Engine } from "../engine/index.ts";
import type { EncodeOptions, Tokenizer } from "../models/index.ts";
import type { WorkContext } from "./context.ts";
import { requireFinite, unscoredBytes } from "./score-text.ts";

/** Texts of more UTF-16 units are scored by {@link scoreLongText}, without a list of their tokens. */
export const longTextLength: number = 2 ** 20;

/** What `selkie score --json` prints about a long text. */
export interface LongTextScore {
  /** Left out: there are too many. */
  readonly tokens: null;
  readonly numTokens: number;
  readonly numScored: number;
  readonly totalNats: number;
  readonly bitsPerByte: number | null;
  readonly windows: { readonly count: number; readonly maxTokens: number; readonly overlap: number };
}

/** Sizes, for tests. */
export interface LongTextOptions {
  /** UTF-16 units tokenised at once. */
  readonly pieceLength: number;
  /** Tokens of a window at most; longer ones cost memory and are deaf for long. */
  readonly maxWindow: number;
}

const defaults: LongTextOptions = { pieceLength: 2 ** 16, maxWindow: 2048 };
/** Tokens of one call of the scorer. */
const tokensPerCall = 4096;
/** Text before a piece that is tokenised with it, since a token may depend on what stands before it. */
const maxContext = 256;

/** End of the piece that begins at `from`: after a line end, else before a space, else anywhere but in a character. */
function pieceEnd(text: string, from: number, length: number): number {
  if (from + length >= text.length) return text.length;
  const least = from + (length >> 1);
  const line = text.lastIndexOf("\n", from + length - 1);
  if (line >= least && text[line + 1]?.trim() !== "") return line + 1;
  for (let at = from + length; at > least; at--)
    if (text[at] === " " && /\S/.test(text[at - 1]!) && /\p{L}/u.test(text[at + 1] ?? "")) return at;
  return (text.charCodeAt(from + length) & 0xfc00) === 0xdc00 ? from + length + 1 : from + length;
}

/** Ids of a text, piece by piece, the same as of the whole wherever tokens do not reach over a line end or a space. */
export function* encodePieces(
  tokenizer: Tokenizer,
  text: string,
  pieceLength: number,
  options: EncodeOptions = {},
): Generator<{ readonly ids: readonly number[]; readonly end: number }> {
  for (let from = 0; from < text.length; ) {
    const end = pieceEnd(text, from, pieceLength);
    const piece = text.slice(from, end);
    if (from === 0) yield { ids: [...tokenizer.prefixIds, ...tokenizer.encode(piece, options)], end };
    else {
      const context = Math.min(maxContext, pieceLength >> 2);
      const start = pieceEnd(text, Math.max(0, from - 2 * context), context);
      const before = tokenizer.encode(text.slice(start, from), options);
      const both = tokenizer.encode(text.slice(start, end), options);
      const isPrefix = before.every((id, index) => both[index] === id);
      yield { ids: isPrefix ? both.slice(before.length) : tokenizer.encode(piece, options), end };
    }
    from = end;
  }
}

/** Windows over a stream of ids, planned as `planWindows` does: each begins half a window before the first token it scores. */
class Windows {
  #ids: number[] = [];
  /** Place of `#ids[0]` in the text. */
  #base = 0;
  #scoredFrom = 1;
  readonly #size: number;
  count = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get numTokens(): number {
    return this.#base + this.#ids.length;
  }

  add(ids: readonly number[]): void {
    for (const id of ids) this.#ids.push(id);
  }

  /** The next window with the place in it where scoring begins; `null` until there are ids enough, or at the end any. */
  next(isLast: boolean): { readonly tokenIds: readonly number[]; readonly scoredFrom: number } | null {
    const start = this.count === 0 ? 0 : this.#scoredFrom - Math.floor(this.#size / 2);
    const end = Math.min(this.numTokens, start + this.#size);
    if (this.#scoredFrom >= this.numTokens || (!isLast && end < start + this.#size)) return null;
    const tokenIds = this.#ids.slice(start - this.#base, end - this.#base);
    const window = { tokenIds, scoredFrom: this.#scoredFrom - start };
    this.count++;
    this.#scoredFrom = end;
    const drop = Math.max(0, end - this.#size - this.#base);
    if (drop > 8 * this.#size) {
      this.#ids = this.#ids.slice(drop);
      this.#base += drop;
    }
    return window;
  }
}

/** Scores a long text; see {@link LongTextScore}. */
export async function scoreLongText(
  engine: Engine,
  adapter: AdapterId | null,
  { text, controlTokens = false }: { readonly text: string; readonly controlTokens?: boolean },
  { signal, onEvent }: Pick<WorkContext, "signal"> & { readonly onEvent?: (event: AdaptEvent) => void },
  options: LongTextOptions = defaults,
): Promise<LongTextScore> {
  const { tokenizer } = engine;
  const maxTokens = Math.min(engine.model.maxSeqLen, options.maxWindow);
  const windows = new Windows(maxTokens);
  let [totalNats, end] = [0, 0];
  let unscored = 0;
  const score = async (isLast: boolean) => {
    for (;;) {
      const batch = [];
      while (batch.length < Math.max(1, Math.floor(tokensPerCall / maxTokens))) {
        const window = windows.next(isLast);
        if (window === null) break;
        batch.push(window);
      }
      if (batch.length === 0) return;
      const readings = batch.map(({ tokenIds }) => ({ tokenIds, adapter }));
      const scored = await engine.score(readings, { signal });
      for (const [index, { scoredFrom }] of batch.entries())
        for (const logprob of scored[index]!.subarray(scoredFrom - 1)) totalNats += logprob;
      onEvent?.({ stage: "scoring, characters", done: end, total: text.length });
    }
  };
  for (const piece of encodePieces(tokenizer, text, options.pieceLength, { controlTokens })) {
    await setImmediate(); // lets Ctrl-C in
    signal.throwIfAborted();
    // what the first token stands for is not scored
    if (end === 0 && piece.ids.length > 0)
      unscored = unscoredBytes(tokenizer, text.slice(0, piece.end), piece.ids, tokenizer.pieces([piece.ids[0]!])[0]!);
    end = piece.end;
    windows.add(piece.ids);
    await score(false);
  }
  windows.add(tokenizer.suffixIds);
  await score(true);
  requireFinite([totalNats]);
  const numBytes = Buffer.byteLength(text) - unscored;
  return {
    tokens: null,
    numTokens: windows.numTokens,
    numScored: windows.numTokens - 1,
    totalNats,
    bitsPerByte: numBytes > 0 ? -totalNats / Math.LN2 / numBytes : null,
    windows: { count: windows.count, maxTokens, overlap: Math.floor(maxTokens / 2) },
  };
}

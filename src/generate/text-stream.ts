/**
 * @file Text of a completion while it grows. A token may end within a character, and a stop string may be spread over
 * several tokens, so text is released once it is certain: characters are whole and no stop string can begin in it.
 */
import { decodeContinuation, type Tokenizer } from "../models/index.ts";

/** What a character that is not complete decodes to. */
const replacement = "\uFFFD";
/** A UTF-8 character has at most 4 bytes; pending tokens beyond that are no character at all. */
const maxPendingTokens = 4;
/** Earlier ids that a decoder may want to see. */
const contextTokens = 8;

/** The text of one completion. */
export class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly string[];
  #context: number[];
  #pending: number[] = [];
  #held = "";
  #text = "";
  #stopString: string | null = null;

  /** `stops` are the texts that end the completion; none of them is empty. */
  constructor(tokenizer: Tokenizer, promptIds: ArrayLike<number>, stops: readonly string[] = []) {
    this.#tokenizer = tokenizer;
    this.#stops = stops;
    this.#context = Array.from(promptIds).slice(-contextTokens);
  }

  /** Everything that was released. */
  get text(): string {
    return this.#text;
  }

  /** The stop string that was met, which the text ends before; `null` while there is none. */
  get stopString(): string | null {
    return this.#stopString;
  }

  /** Takes the next token; returns the text that has become certain. */
  push(tokenId: number): string {
    this.#pending.push(tokenId);
    const added = this.#decodePending();
    if (added.endsWith(replacement) && this.#pending.length < maxPendingTokens) return "";
    return this.#settle(added, false);
  }

  /** Takes the end of the completion; returns what was held back. */
  flush(): string {
    return this.#settle(this.#decodePending(), true);
  }

  #decodePending(): string {
    return this.#pending.length === 0 ? "" : decodeContinuation(this.#tokenizer, this.#context, this.#pending);
  }

  #settle(added: string, isEnd: boolean): string {
    this.#context = [...this.#context, ...this.#pending].slice(-contextTokens);
    this.#pending = [];
    if (this.#stopString !== null) return "";
    this.#held += added;
    const stop = firstStop(this.#held, this.#stops);
    const end = stop?.index ?? (isEnd ? this.#held.length : this.#held.length - unsureLength(this.#held, this.#stops));
    const released = this.#held.slice(0, end);
    this.#held = this.#held.slice(end);
    this.#stopString = stop?.text ?? null;
    this.#text += released;
    return released;
  }
}

/** The stop string that begins first in `text`; the longest of those that begin together. */
function firstStop(text: string, stops: readonly string[]): { readonly index: number; readonly text: string } | null {
  const found = stops
    .map((stop) => ({ index: text.indexOf(stop), text: stop }))
    .filter(({ index }) => index >= 0)
    .sort((a, b) => a.index - b.index || b.text.length - a.text.length);
  return found[0] ?? null;
}

/** Length of the longest end of `text` with which a stop string begins. */
function unsureLength(text: string, stops: readonly string[]): number {
  const longest = Math.max(0, ...stops.map((stop) => stop.length - 1));
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    const tail = text.slice(text.length - length);
    if (stops.some((stop) => stop.startsWith(tail))) return length;
  }
  return 0;
}

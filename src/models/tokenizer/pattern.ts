/**
 * @file Patterns of tokenizer.json: literal strings and Oniguruma regular expressions (translated by `oniguruma-to-es`),
 * where they match, and the five ways to split a text there. As `pattern.rs` and `NormalizedString::split` of the Rust
 * library.
 */
import { toRegExp } from "oniguruma-to-es";
import { SelkieError } from "../../util/index.ts";
import { describeCause } from "../files.ts";

/** Part `start .. end` of a text, in UTF-16 units; the parts of a text cover it in order. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly isMatch: boolean;
}

/** What becomes of a match when a text is split. */
export const splitBehaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
/** One of {@link splitBehaviors}. */
export type SplitBehavior = (typeof splitBehaviors)[number];

/** A regular expression that matches `text` itself. */
export const escapePattern = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

/** A pattern as tokenizer.json holds it. */
export type PatternJson = { readonly String: string } | { readonly Regex: string };

/** A compiled pattern; `where` names it in errors. */
export function compilePattern(pattern: PatternJson, where: string): RegExp {
  if ("String" in pattern) {
    if (pattern.String === "")
      throw new SelkieError("bad-file", `${where}: expected a pattern that is not empty, got ""; remove the step`);
    return new RegExp(escapePattern(pattern.String), "gu");
  }
  try {
    return toRegExp(spellOutWords(pattern.Regex), { global: true, target: "ES2025", verbose: false });
  } catch (cause) {
    throw new SelkieError(
      "bad-file",
      `${where}: expected a regular expression that can be translated, got ${JSON.stringify(pattern.Regex)}: ${describeCause(cause)}`,
      { cause },
    );
  }
}

const wordInClass = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
const word = `[${wordInClass}\\u00b2\\u00b3\\u00b9\\u00bc-\\u00be]`; // ² ³ ¹ ¼ ½ ¾ count outside of brackets alone
const notWord = word.replace("[", "[^");
const spelledOut: Readonly<Record<string, string>> = {
  w: word,
  W: notWord,
  b: `(?:(?<!${word})(?=${word})|(?<=${word})(?!${word}))`,
  B: `(?:(?<!${word})(?!${word})|(?<=${word})(?=${word}))`,
};
const spelledOutInClass: Readonly<Record<string, string>> = { w: wordInClass, W: `[^${wordInClass}]` };

/** `\w` and `\b` with the characters that Oniguruma takes for those of words; the translator takes others. */
function spellOutWords(source: string): string {
  let written = "";
  let depth = 0; // of character classes
  for (const [part, escaped] of source.matchAll(/\\(.)|\[:\^?\w+:\]|\[\^?\]?|./gsu)) {
    const table = depth > 0 ? spelledOutInClass : spelledOut;
    if (escaped !== undefined) written += Object.hasOwn(table, escaped) ? table[escaped]! : part;
    else written += part;
    if (escaped === undefined && part.startsWith("[") && !part.startsWith("[:")) depth++;
    else if (part === "]" && depth > 0) depth--;
  }
  return written;
}

/** Matches and what lies between them. An empty match right behind another match is skipped, as Oniguruma's iterator does. */
export function findSpans(text: string, pattern: RegExp): Span[] {
  const spans: Span[] = [];
  let done = 0;
  let lastEnd = -1;
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const start = match.index;
    const end = start + match[0].length;
    if (end === start) {
      pattern.lastIndex = start + ((text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1);
      if (start === lastEnd) continue;
    }
    if (done < start) spans.push({ start: done, end: start, isMatch: false });
    spans.push({ start, end, isMatch: true });
    done = end;
    lastEnd = end;
  }
  if (done < text.length) spans.push({ start: done, end: text.length, isMatch: false });
  return spans;
}

/** The same spans with matches and the rest exchanged. */
export const invertSpans = (spans: readonly Span[]): Span[] =>
  spans.map(({ start, end, isMatch }) => ({ start, end, isMatch: !isMatch }));

/** Ranges that are left of a text after splitting it at `spans`. */
export function splitSpans(
  spans: readonly Span[],
  behavior: SplitBehavior,
): readonly { readonly start: number; readonly end: number }[] {
  switch (behavior) {
    case "Isolated":
      return spans;
    case "Removed":
      return spans.filter(({ isMatch }) => !isMatch);
    case "Contiguous":
      return joinSpans(spans, (isMatch, previous) => isMatch === previous);
    case "MergedWithPrevious":
      return joinSpans(spans, (isMatch, previous) => isMatch && !previous);
    case "MergedWithNext":
      return joinSpans(spans.toReversed(), (isMatch, previous) => isMatch && !previous).toReversed();
    default:
      return behavior satisfies never;
  }
}

/** Spans in their order, each joined to the one before where `joins` says so. */
function joinSpans(
  spans: readonly Span[],
  joins: (isMatch: boolean, previous: boolean) => boolean,
): { start: number; end: number }[] {
  const joined: { start: number; end: number }[] = [];
  let previous = false;
  for (const { start, end, isMatch } of spans) {
    const last = joined.at(-1);
    if (last !== undefined && joins(isMatch, previous)) {
      last.start = Math.min(last.start, start);
      last.end = Math.max(last.end, end);
    } else joined.push({ start, end });
    previous = isMatch;
  }
  return joined;
}

/** @file Words of a text for retrieval, and which of them are names, as far as spelling tells. */

/** The words of `text` in order: lower case, without a possessive `'s`. */
export function wordsOf(text: string): string[] {
  return matchWords(text).map(({ word }) => word);
}

/**
 * Words spelt with a capital where a sentence does not ask for one, and numbers: what a text is about by name. The first
 * word of a sentence or line tells nothing and counts only if it is a name elsewhere in `text`.
 */
export function namesIn(text: string): Set<string> {
  const names = new Set<string>();
  for (const { word, isCapital, isFirst } of matchWords(text))
    if ((isCapital && !isFirst) || /\p{N}/u.test(word)) names.add(word);
  return names;
}

interface Word {
  readonly word: string;
  readonly isCapital: boolean;
  /** Begins a sentence or a line. */
  readonly isFirst: boolean;
}

function matchWords(text: string): Word[] {
  let end = 0;
  return [...text.matchAll(/[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)*/gu)].map((match) => {
    const between = text.slice(end, match.index);
    const isFirst = end === 0 || /\n|[.!?:]["'”’)]*\s/u.test(between);
    end = match.index + match[0].length;
    return {
      word: match[0].toLowerCase().replace(/['’]s$/u, ""),
      isCapital: /^\p{Lu}/u.test(match[0]),
      isFirst,
    };
  });
}

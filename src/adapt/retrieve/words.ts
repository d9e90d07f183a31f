/** @file Words of a text for retrieval, and which of them are names, as far as spelling tells. */

/** The words of `text` in order: lower case, without a possessive `'s`. */
export function wordsOf(text: string): string[] {
  return matchWords(text).map(({ word }) => word);
}

/**
 * Words spelt with a capital where a sentence does not ask for one, and numbers: what a text is about by name. The first
 * word of a sentence or line tells nothing by itself: it counts where another capital follows it ("Ada Shaw was born …"),
 * unless it is a word that often stands before a name ("And Ada", "Looking Ada up").
 */
export function namesIn(text: string): Set<string> {
  const names = new Set<string>();
  const words = matchWords(text);
  for (const [index, { word, isCapital, isFirst }] of words.entries()) {
    const next = words[index + 1];
    const leadsName = next?.isCapital === true && !next.isFirst && !beforeNames.has(word) && !word.endsWith("ing");
    if ((isCapital && (!isFirst || leadsName)) || /\p{N}/u.test(word)) names.add(word);
  }
  return names;
}

/** Words that begin a sentence and are followed by somebody's name. */
const beforeNames: ReadonlySet<string> = new Set(
  (
    "a about after although an and are as ask at because before beside besides both but by can could dear did do does during find for from " +
    "give had has have how if in into is let like may mr mrs ms miss dr name neither next no now of on once only or over " +
    "remember say should since so state take tell than that the then there though to under unless until was were what when where " +
    "whether which while who whose why will with without would yes"
  ).split(" "),
);

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

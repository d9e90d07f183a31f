/** @file Words as the screen of sources compares them: by lemma, with numbers as digits, and with the sort that the dictionary gives. */
import { functionWords } from "./lexicon.ts";
import { isOnlyName, lemmaOf, sortOf, type WordSort } from "./meanings.ts";
import { numberOf, plainNumbers } from "./numbers.ts";

/** One word of a text. */
export interface ScreenWord {
  readonly plain: string;
  /** What it is compared by. */
  readonly stem: string;
  readonly isNumber: boolean;
  /** Spelt like a name where its sentence asks for no capital. */
  readonly isName: boolean;
  /** Opens its sentence and may be a name: the dictionary has no small spelling of it. */
  readonly mayBeName: boolean;
  /** Carries grammar alone. */
  readonly isFunction: boolean;
  /** May come with a paraphrase without bringing a fact. */
  readonly isRelation: boolean;
  /** Begins its sentence or line. */
  readonly isFirst: boolean;
}

const withoutPossessive = (plain: string): string => plain.replace(/['’]s?$/u, "");

/** What a word is compared by. */
export const stemOf = (plain: string): string => lemmaOf(withoutPossessive(plain));

/** Sorts of words that tell of values instead of being some. */
const relationSorts: ReadonlySet<WordSort> = new Set(["verb", "adverb", "adjective", "general"]);

/** The sort of a word as it stands in a text. */
export const sortOfWord = ({ plain }: ScreenWord): WordSort => sortOf(withoutPossessive(plain));

const wordPattern = /[\p{L}\p{M}\p{N}]+(?:[.,:'’-][\p{L}\p{M}\p{N}]+)*|[%€$£]/gu;

const signs: Readonly<Record<string, string>> = { "%": "percent", "€": "euro", $: "dollar", "£": "pound" };

/** Spellings in order; words joined by a hyphen are two. */
const spellingsOf = (text: string): string[] =>
  [...plainNumbers(text).matchAll(wordPattern)].flatMap(([match]) =>
    /^\p{L}+-\p{L}+$/u.test(match) ? match.split("-") : [match],
  );

/** Words of one sentence or line, in order. */
export function screenWords(sentence: string): ScreenWord[] {
  const text = sentence.normalize("NFKC");
  const letters = text.replace(/[^\p{L}]/gu, "");
  const isShouted = letters.length > 1 && letters === letters.toUpperCase() && /[a-z]/iu.test(letters);
  const found = spellingsOf(text);
  return found.map((spelling, index) => toWord(spelling, index, found[index + 1], isShouted));
}

function toWord(spelling: string, index: number, follows: string | undefined, isShouted: boolean): ScreenWord {
  const plain = signs[spelling] ?? spelling.toLowerCase();
  const number = numberOf(plain);
  const isFunction = functionWords.has(plain) && number === null;
  const isCapital = !isShouted && /^\p{Lu}/u.test(spelling) && !isFunction && number === null;
  const isFollowed = follows !== undefined && /^\p{Lu}/u.test(follows) && !functionWords.has(follows.toLowerCase());
  const isName = isCapital && (index > 0 || isFollowed);
  return {
    plain,
    stem: number ?? stemOf(plain),
    isNumber: number !== null,
    isName,
    mayBeName: isCapital && index === 0 && isOnlyName(withoutPossessive(plain)),
    isFunction,
    isRelation: number === null && (isFunction || (!isName && relationSorts.has(sortOf(withoutPossessive(plain))))),
    isFirst: index === 0,
  };
}

/** Words that say something. */
export const contentOf = (words: readonly ScreenWord[]): ScreenWord[] => words.filter(({ isFunction }) => !isFunction);

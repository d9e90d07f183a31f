/** @file Words as the screen of sources compares them: without endings, with numbers as digits, synonyms as one. */
import {
  functionWords,
  irregular,
  measureWords,
  opposites,
  relationWords,
  spelledNumbers,
  synonyms,
} from "./lexicon.ts";

/** One word of a text. */
export interface ScreenWord {
  readonly plain: string;
  /** What it is compared by. */
  readonly stem: string;
  readonly isNumber: boolean;
  /** Spelt like a name where its sentence asks for no capital. */
  readonly isName: boolean;
  /** Opens its sentence and may be a name: no list has it. */
  readonly mayBeName: boolean;
  /** Carries grammar alone. */
  readonly isFunction: boolean;
  /** May come with a paraphrase without bringing a fact. */
  readonly isRelation: boolean;
  /** Begins its sentence or line. */
  readonly isFirst: boolean;
}

const endings: readonly (readonly [RegExp, string])[] = [
  [/['’]s?$/u, ""],
  [/(?:sses)$/u, "ss"],
  [/ie[sd]$/u, "y"],
  [/(?:ations?|itions?)$/u, ""],
  [/(?:ments?)$/u, ""],
  [/(?:ness(?:es)?)$/u, ""],
  [/(?:ings?|edly|ed)$/u, ""],
  [/(?:ers?|ors?)$/u, ""],
  [/(?:es|s)$/u, ""],
  [/ly$/u, ""],
];

/** A word without its commonest endings, so that "sailed" supports "sails" and "employer" "employed". */
export function stemOf(word: string): string {
  let stem = word.replace(/['’]s?$/u, "");
  stem = irregular[stem] ?? stem;
  for (const [ending, instead] of endings) {
    const shorter = stem.replace(ending, instead);
    if (shorter !== stem && shorter.length >= (ending.source.includes("ers?") ? 4 : 3)) {
      stem = shorter;
      if (ending.source.includes("ed") || ending.source.includes("ings")) break;
    }
  }
  stem = stem.replace(/([bdgkmnprt])\1$/u, "$1");
  return stem.length > 3 ? stem.replace(/(?:e|y)$/u, "") : stem;
}

const representative = new Map(synonyms.flatMap((group) => group.map((word) => [stemOf(word), stemOf(group[0]!)])));
const relationStems = new Set([...relationWords, ...measureWords].map(stemOf));
const relationForms = new Set([...relationWords, ...measureWords]);

/** In a list of ways of saying things; who does something ("painter") is not what is done ("paint"). */
const namesRelation = (plain: string): boolean =>
  relationForms.has(plain) ||
  (/(?:er|or|ist)s?$/u.test(plain) ? relationForms.has(plain.replace(/s$/u, "")) : relationStems.has(stemOf(plain)));
const oppositeStems = new Map<string, Set<string>>();
for (const [one, other] of opposites)
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const)
    oppositeStems.set(canonical(from), (oppositeStems.get(canonical(from)) ?? new Set()).add(canonical(to)));

function canonical(plain: string): string {
  const stem = stemOf(plain);
  return representative.get(stem) ?? stem;
}

/** Stems that exclude `stem`. */
export const oppositesOf = (stem: string): ReadonlySet<string> => oppositeStems.get(stem) ?? new Set();

const wordPattern = /[\p{L}\p{M}\p{N}]+(?:[.,:'’-][\p{L}\p{M}\p{N}]+)*|[%€$£]/gu;

/** A number as digits: `1,150` is `1150`, "sixty-two" is `62`, "3rd" is `3.`; `null` for what is none. */
function numberOf(plain: string): string | null {
  if (plain === "one") return null; // a pronoun more often than a count
  const spelled = spelledNumbers.get(plain);
  if (spelled !== undefined) return spelled;
  if (!/\p{N}/u.test(plain)) return null;
  const ordinal = /^(\d+)(?:st|nd|rd|th)$/u.exec(plain);
  if (ordinal !== null) return `${ordinal[1]!}.`;
  return plain
    .replace(/(?<=\d),(?=\d{3}(?!\d))/gu, "")
    .replace(/(\d+\.\d*?)0+$/u, "$1")
    .replace(/\.$/u, "");
}

/** Words of one sentence or line, in order. */
export function screenWords(sentence: string): ScreenWord[] {
  const text = sentence.normalize("NFKC");
  const letters = text.replace(/[^\p{L}]/gu, "");
  const isShouted = letters.length > 1 && letters === letters.toUpperCase() && /[a-z]/iu.test(letters);
  const found = [...text.matchAll(wordPattern)].flatMap((match) =>
    /^\p{L}+-\p{L}+$/u.test(match[0]) && numberOf(match[0].toLowerCase()) === null ? match[0].split("-") : [match[0]],
  );
  return found.map((spelling, index) => {
    const plain = spelling.toLowerCase();
    const number = numberOf(plain);
    const isCapital = !isShouted && /^\p{Lu}/u.test(spelling) && plain !== "i";
    const isFunction = functionWords.has(plain) && number === null;
    const stem = number ?? canonical(plain);
    const follows = found[index + 1];
    const isFollowed = follows !== undefined && /^\p{Lu}/u.test(follows) && !functionWords.has(follows.toLowerCase());
    return {
      plain,
      stem,
      isNumber: number !== null,
      isName: isCapital && !isFunction && number === null && (index > 0 || isFollowed),
      mayBeName: isCapital && index === 0 && !isFunction && number === null && !namesRelation(plain),
      isFunction,
      isRelation: number === null && (isFunction || namesRelation(plain)),
      isFirst: index === 0,
    };
  });
}

/** Words that say something. */
export const contentOf = (words: readonly ScreenWord[]): ScreenWord[] => words.filter(({ isFunction }) => !isFunction);

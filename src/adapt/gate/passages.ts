/** @file A passage as the screen compares claims with it, and claims in the words of their passage. */
import { type Claim, type Clause, clausesOf } from "./claims.ts";
import { prepositions, pronouns } from "./lexicon.ts";
import { explainedBy, familyOf, reachOf, synonymsOf } from "./meanings.ts";
import { isImplied, isSameAmount, isSameHour } from "./numbers.ts";
import { contentOf, type ScreenWord } from "./words.ts";

/** A passage, read once for all claims about it. */
export interface ReadPassage {
  readonly clauses: readonly Clause[];
  readonly stems: ReadonlySet<string>;
  /** All words as spelt, in lower case. */
  readonly plain: ReadonlySet<string>;
  readonly names: ReadonlySet<string>;
  /** Capitals that open a sentence and may be names. */
  readonly openers: ReadonlySet<string>;
  /** Whom or what each clause is about. */
  readonly subjects: ReadonlySet<string>;
  /** Subjects of its first sentence: what the whole of it is about. */
  readonly topic: ReadonlySet<string>;
  /** Its words, function words left out. */
  readonly content: readonly ScreenWord[];
  /** Stem of the word that has a meaning, or whose root has it. */
  readonly families: ReadonlyMap<string, string>;
  /** Meanings that its words bring to mind. */
  readonly reach: ReadonlySet<string>;
  /** Lemmas by which the dictionary explains its words. */
  readonly explained: ReadonlySet<string>;
}

/** Reads a passage. */
export function readPassage(context: string): ReadPassage {
  const clauses = clausesOf(context);
  const words = clauses.flatMap((clause) => clause.words);
  const content = contentOf(words);
  const plains = [...new Set(content.flatMap(({ plain, isName, isNumber }) => (isName || isNumber ? [] : [plain])))];
  return {
    clauses,
    stems: new Set(words.map(({ stem }) => stem)),
    plain: new Set(words.map(({ plain }) => plain)),
    names: new Set(words.filter(({ isName }) => isName).map(({ stem }) => stem)),
    openers: new Set(words.filter(({ mayBeName }) => mayBeName).map(({ stem }) => stem)),
    subjects: new Set(clauses.flatMap(({ subjects }) => [...subjects])),
    topic: clauses[0]?.subjects ?? new Set(),
    content,
    families: new Map(
      content
        .filter(({ isName, isNumber }) => !isName && !isNumber)
        .toReversed()
        .flatMap(({ plain, stem }) => [...familyOf(plain)].map((id) => [id, stem] as const)),
    ),
    reach: new Set(plains.flatMap((plain) => [...reachOf(plain)])),
    explained: new Set(plains.flatMap((plain) => [...explainedBy(plain)])),
  };
}

/** Numbers of a text with the word after them, which may be a unit. */
const amountsOf = (words: readonly ScreenWord[]): (readonly [number: ScreenWord, unit: ScreenWord])[] =>
  words.flatMap((word, index) => {
    const next = words[index + 1];
    return word.isNumber && next !== undefined && !next.isNumber ? [[word, next] as const] : [];
  });

/** What the passage calls a number of a claim. */
function numberIn(passage: ReadPassage, { plain, stem }: ScreenWord): string | null {
  const numbers = passage.content.filter(({ isNumber }) => isNumber);
  const same = numbers.find(
    (other) => isSameHour(stem, other.stem) || other.stem === `${stem}.` || `${other.stem}.` === stem,
  );
  if (same !== undefined) return same.stem;
  const words = passage.clauses.flatMap((clause) => clause.words);
  return words.find((word) => isImplied(stem, new Set([word.plain])))?.stem ?? (passage.plain.has(plain) ? stem : null);
}

/** Numbers and units that say an amount of the passage in another unit, with what the passage has. */
function convertedIn(passage: ReadPassage, claim: Claim): Map<ScreenWord, string> {
  const known = amountsOf(passage.clauses.flatMap(({ words }) => words));
  const converted = new Map<ScreenWord, string>();
  for (const [number, unit] of amountsOf(claim.words))
    for (const [other, otherUnit] of passage.stems.has(number.stem) ? [] : known)
      if (isSameAmount(Number(number.stem), unit.stem, Number(other.stem), otherUnit.stem)) {
        converted.set(number, other.stem);
        converted.set(unit, otherUnit.stem);
      }
  return converted;
}

/** A claim with each word that says what a word of the passage says under the stem of that word. */
export function alignedWith(passage: ReadPassage, claim: Claim): Claim {
  const converted = convertedIn(passage, claim);
  const stemFor = (word: ScreenWord): string => {
    const other = converted.get(word);
    if (other !== undefined) return other;
    if (word.isFunction || passage.stems.has(word.stem)) return word.stem;
    if (word.isNumber) return numberIn(passage, word) ?? word.stem;
    if (word.isName) return word.stem;
    const shared = [...familyOf(word.plain)].find((id) => passage.families.has(id));
    if (shared !== undefined) return passage.families.get(shared)!;
    return [...synonymsOf(word.plain)].find((other) => passage.stems.has(other)) ?? word.stem;
  };
  const aligned = new Map(claim.words.map((word) => [word, { ...word, stem: stemFor(word) }]));
  const inPassage = (words: readonly ScreenWord[]) => words.map((word) => aligned.get(word) ?? word);
  return { ...claim, words: inPassage(claim.words), value: inPassage(claim.value) };
}

export const isKnown = (passage: ReadPassage, { stem, plain }: ScreenWord): boolean =>
  passage.stems.has(stem) || passage.plain.has(plain);

/** How well a clause fits a claim: words in common, values before ways of saying. */
export function fitOf(clause: Clause, words: readonly ScreenWord[]): number {
  return words.reduce((sum, { stem, isRelation }) => {
    if (clause.stems.has(stem)) return sum + (isRelation ? 0.6 : 1);
    return clause.subjects.has(stem) ? sum + 0.4 : sum;
  }, 0);
}

/** The clauses that fit best; none when no word is shared. */
export function homesOf(passage: ReadPassage, words: readonly ScreenWord[]): Clause[] {
  const fits = passage.clauses.map((clause) => fitOf(clause, words));
  const best = Math.max(0, ...fits);
  return best === 0 ? [] : passage.clauses.filter((_, index) => fits[index] === best);
}

export const quote = (words: Iterable<string>): string => [...words].map((word) => `"${word}"`).join(", ");

/** The word a claim is about; `null` where it opens with a preposition, is a question, or is a label with a value. */
export function leadOf({ text, words, value }: Claim): ScreenWord | null {
  if (prepositions.has(words[0]?.plain ?? "") || text.includes("→") || value.length > 0) return null;
  const first = words.findIndex(({ isFunction, isNumber }) => !isFunction && !isNumber);
  const isNamed = first >= 0 && !words.slice(0, first).some(({ plain }) => pronouns.has(plain));
  return isNamed ? words[first]! : null;
}

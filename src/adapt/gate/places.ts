/** @file Values of the passage that stand where they do not belong. */
import { type Claim, type Clause, cutAt } from "./claims.ts";
import { prepositions } from "./lexicon.ts";
import { isMeasure, isUnit, oppositesOf } from "./meanings.ts";
import { leadOf, quote, type ReadPassage } from "./passages.ts";
import { contentOf, type ScreenWord, screenWords, sortOfWord, stemOf } from "./words.ts";

/** Values of a claim that can have been exchanged: numbers, and names that are not its subject. */
function valuesOf(claim: Claim): ScreenWord[] {
  const { words, value } = claim;
  const isValue = new Set(value.map(({ plain }) => plain));
  const isBound = (index: number): boolean => {
    const before = words[index - 1]?.plain ?? "";
    return (
      prepositions.has(before) ||
      (/^(?:the|a|an|his|her|its|their)$/u.test(before) && prepositions.has(words[index - 2]?.plain ?? ""))
    );
  };
  return words.filter((word, index) => word.isNumber || (word.isName && (isBound(index) || isValue.has(word.plain))));
}

/** What a number is of: its unit, or a time of the day; empty for a bare one. */
function measureOf(words: readonly ScreenWord[], { stem }: ScreenWord): string {
  const next = words[words.findIndex((word) => word.stem === stem) + 1];
  if (stem.includes(":")) return ":";
  return next !== undefined && !next.isFunction && !next.isNumber ? next.stem : "";
}

/** True where a value of a claim could stand in place of one of the passage: both names, or numbers of one unit. */
const sortsWith = (claim: Claim, value: ScreenWord, { words }: Clause, other: ScreenWord): boolean =>
  value.isNumber ? other.isNumber && measureOf(claim.words, value) === measureOf(words, other) : other.isName;

/** Words of the part of a statement that a value stands in; of a question, a label or a part that says no more, all. */
function partWith({ text, words, value, numAsked }: Claim, { plain }: ScreenWord): ReadonlySet<string> {
  const all = new Set(words.map((word) => word.plain));
  if (numAsked > 0 || value.length > 0) return all;
  const part =
    cutAt(text)
      .map(screenWords)
      .find((some) => some.some((word) => word.plain === plain)) ?? [];
  return contentOf(part).length > 2 ? new Set(part.map((word) => word.plain)) : all;
}

/**
 * A number or name that stands beside other words in the passage: those of the claim stand beside another of the same sort,
 * which the claim leaves out.
 */
export function misplaced(passage: ReadPassage, claim: Claim): string | null {
  const content = contentOf(claim.words);
  const said = new Set(content.map(({ stem }) => stem));
  const lead = leadOf(claim);
  for (const value of valuesOf(claim).filter(({ stem }) => passage.stems.has(stem) && !passage.topic.has(stem))) {
    const homes = passage.clauses.filter(({ stems }) => stems.has(value.stem));
    const near = partWith(claim, value);
    const unit = claim.words[claim.words.indexOf(value) + 1];
    const rest = content.filter(
      ({ stem, plain, isNumber, isName }) =>
        near.has(plain) &&
        !(plain === unit?.plain && isUnit(plain)) &&
        stem !== value.stem &&
        !isNumber &&
        !(isName && !value.isNumber && !passage.subjects.has(stem)) &&
        passage.stems.has(stem),
    );
    const isShort = ({ words }: Clause) => contentOf(words).filter(({ isNumber }) => !isNumber).length === 0; // "and in 2010 only 240"
    const isNear = ({ stem }: ScreenWord) =>
      homes.some(
        (home) => home.stems.has(stem) || home.subjects.has(stem) || (isShort(home) && home.sentence.has(stem)),
      );
    const rivals = passage.clauses.filter(
      (clause) =>
        !clause.stems.has(value.stem) &&
        clause.words.some(
          (other) =>
            sortsWith(claim, value, clause, other) && !said.has(other.stem) && !clause.subjects.has(other.stem),
        ),
    );
    const isAlone = ({ sentence }: Clause) =>
      !value.isNumber || [...sentence].filter((stem) => /^\d/u.test(stem)).length === 1;
    const isBeside = ({ stem }: ScreenWord) => homes.some((home) => isAlone(home) && home.sentence.has(stem));
    const against = rest.filter(
      (word) =>
        !isNear(word) &&
        !isBeside(word) &&
        !isMeasure(word.plain) &&
        sortOfWord(word) !== "verb" &&
        stemOf(word.plain) === word.stem &&
        rivals.some(({ stems }) => stems.has(word.stem)),
    );
    const isLeading =
      value.isNumber &&
      lead !== null &&
      against.includes(lead) &&
      !passage.topic.has(lead.stem) &&
      homes.some(({ sentence }) => sentence.has(lead.stem));
    if (against.length > 0 && (isLeading || !rest.some((word) => isNear(word) && !passage.topic.has(word.stem))))
      return `"${value.plain}" does not belong to ${quote(new Set(against.slice(0, 3).map(({ plain }) => plain)))}`;
  }
  return null;
}

/** What each number of some words counts or measures: the next word that says something, and after a unit that of which it is. */
function countedBy(words: readonly ScreenWord[]): Map<string, Set<string>> {
  const counted = new Map<string, Set<string>>();
  words.forEach(({ isNumber, plain, stem }, index) => {
    const [next, of, thing] = words.slice(index + 1) as (ScreenWord | undefined)[];
    const isOne = /^an?$/u.test(plain) && next !== undefined && isUnit(next.plain);
    if (!(isNumber || isOne) || next === undefined || next.isFunction || next.isNumber) return;
    const number = isOne ? "1" : stem;
    const things = counted.get(number) ?? new Set();
    if (!isOne) things.add(next.stem);
    if (isUnit(next.plain) && of?.plain === "of" && thing !== undefined && !thing.isFunction) things.add(thing.stem);
    counted.set(number, things);
  });
  return counted;
}

/** A number with another unit than in the passage, or counting what another number counts there. */
export function miscounted(passage: ReadPassage, claim: Claim): string | null {
  const known = countedBy(passage.clauses.flatMap(({ words }) => words));
  for (const [number, things] of countedBy(claim.words)) {
    const right = known.get(number);
    if (right === undefined) continue;
    const wrong = [...things].find(
      (thing) =>
        !right.has(thing) && (isUnit(thing) || [...known].some(([other, set]) => other !== number && set.has(thing))),
    );
    if (wrong !== undefined) return `"${number}" counts "${[...right][0]}" in the passage, not "${wrong}"`;
  }
  return null;
}

/** Each value with the preposition before it. */
const boundBy = (words: readonly ScreenWord[]): (readonly [preposition: string, stem: string])[] =>
  words.flatMap(({ plain }, index) => {
    const next = words.slice(index + 1, index + 3).find(({ isFunction }) => !isFunction);
    return prepositions.has(plain) && next !== undefined ? [[plain, next.stem] as const] : [];
  });

/** Two values that have changed places: "from A to B" for "from B to A". */
export function crossed(passage: ReadPassage, claim: Claim): string | null {
  const bonds = boundBy(claim.words);
  const known = passage.clauses.flatMap(({ words }) => boundBy(words));
  const isKnown = (preposition: string, stem: string) =>
    known.some(([one, other]) => one === preposition && other === stem);
  for (const [one, first] of bonds)
    for (const [other, second] of bonds)
      if (one !== other && first !== second && isKnown(one, second) && isKnown(other, first) && !isKnown(one, first))
        return `"${one} ${first}" and "${other} ${second}" have changed places`;
  return null;
}

/** "After 1894" for "until 1894": the same words behind an opposite of theirs. */
export function misordered(passage: ReadPassage, claim: Claim): string | null {
  const known = passage.clauses.flatMap(({ words }) => boundBy(words));
  for (const [order, stem] of boundBy(claim.words)) {
    const there = known.filter(([, other]) => other === stem).map(([other]) => other);
    const opposite = there.find((other) => oppositesOf(order).has(other));
    if (opposite !== undefined && !there.includes(order))
      return `it says "${order}" where the passage has "${opposite}"`;
  }
  return null;
}

/** A number that stands beside one thing in a sentence which tells of the claim's thing with another number. */
export function contrasted(passage: ReadPassage, claim: Claim): string | null {
  const said = new Set(claim.words.map(({ stem }) => stem));
  const nouns = contentOf(claim.words).filter(isThing);
  for (const { stem, plain } of claim.words.filter(({ isNumber }) => isNumber))
    for (const home of passage.clauses.filter(({ stems }) => stems.has(stem))) {
      const unsaid = home.words.find((word) => isThing(word) && !said.has(word.stem) && !home.subjects.has(word.stem));
      const other = passage.clauses.find(
        ({ sentence, stems, words }) =>
          sentence === home.sentence && !stems.has(stem) && words.some((word) => word.isNumber && !said.has(word.stem)),
      );
      const moved = nouns.find(
        (word) => other?.stems.has(word.stem) === true && !home.stems.has(word.stem) && !home.subjects.has(word.stem),
      );
      if (unsaid !== undefined && moved !== undefined && !other!.stems.has(unsaid.stem))
        return `"${plain}" belongs to "${unsaid.plain}", not to "${moved.plain}"`;
    }
  return null;
}

const isThing = (word: ScreenWord): boolean =>
  !word.isFunction &&
  !word.isNumber &&
  !isUnit(word.plain) &&
  !["verb", "adjective", "adverb"].includes(sortOfWord(word));

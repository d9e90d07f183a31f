/**
 * @file Words of a claim that its passage lacks. Whether one of them brings a fact is asked of the dictionary: a way of saying
 * something does not, nor does what a word of the passage is a kind of, is explained by or shares its root with; a name, a
 * number, a thing, or another one in place of what the passage names does.
 */
import type { Claim } from "./claims.ts";
import { auxiliaries, prepositions, pronouns } from "./lexicon.ts";
import { areRivals, explainedBy, familyOf, type WordSort } from "./meanings.ts";
import { isKnown, type ReadPassage } from "./passages.ts";
import { type ScreenWord, sortOfWord } from "./words.ts";

/** How much a word that nothing of the passage explains speaks against a claim; more than 1 in all makes it fail. */
const weights: Readonly<Record<WordSort, number>> = {
  verb: 0,
  adverb: 0,
  adjective: 0,
  general: 0,
  abstract: 0.5,
  person: 1,
  thing: 1,
  unknown: 1,
};
const certain = 2;
const limit = 1;

/** Words of a claim that its passage lacks and that are values, not ways of saying something. */
export function strangersIn(passage: ReadPassage, claim: Claim): ScreenWord[] {
  const strange = claim.words
    .filter((word) => !word.isFunction && !isKnown(passage, word))
    .map((word) => ({ word, weight: weightOf(passage, claim, word) }))
    .filter(({ weight }) => weight > 0);
  const total = strange.reduce((sum, { weight }) => sum + weight, 0);
  return total > limit ? strange.map(({ word }) => word) : [];
}

function weightOf(passage: ReadPassage, claim: Claim, word: ScreenWord): number {
  if (word.isNumber || word.isName) return certain;
  const sort = sortOfWord(word);
  if (isBareValue(claim) && claim.value.includes(word)) return sort === "adverb" ? 0 : certain;
  if (isRival(passage, claim, word)) return certain;
  if (isExplained(passage, word)) return 0;
  const weight = weights[sort];
  return weight < 1 || refersBack(passage, claim, word) ? weight : certain;
}

/** A few words that answer or follow a label: a value and nothing else. */
const isBareValue = ({ value }: Claim): boolean =>
  value.length > 0 && value.length <= 3 && !value.some(({ plain }) => pronouns.has(plain) || auxiliaries.has(plain));

/** True for a noun in place of one of the same kind, which the passage has and the claim leaves out. */
function isRival(passage: ReadPassage, claim: Claim, word: ScreenWord): boolean {
  const said = new Set(claim.words.map(({ stem }) => stem));
  return passage.content.some(
    ({ plain, stem, isName, isNumber }) => !isName && !isNumber && !said.has(stem) && areRivals(word.plain, plain),
  );
}

/** True for what the passage leads to: the kind of a thing, its measure, a part of it, a word in its explanation. */
function isExplained(passage: ReadPassage, { plain, stem }: ScreenWord): boolean {
  return (
    [...familyOf(plain)].some((id) => passage.reach.has(id)) ||
    passage.explained.has(stem) ||
    [...explainedBy(plain)].some((lemma) => passage.stems.has(lemma)) ||
    isCompound(passage, plain)
  );
}

/** "Startup" where the passage has "start". */
const isCompound = ({ content }: ReadPassage, plain: string): boolean =>
  content.some(
    (other) =>
      other.plain.length > 3 &&
      plain.length > other.plain.length + 1 &&
      (plain.startsWith(other.plain) || plain.endsWith(other.plain)),
  );

/** True for a word that takes up what the passage tells under another word: the claim has a value of the passage beside it. */
function refersBack(passage: ReadPassage, { words, value }: Claim, word: ScreenWord): boolean {
  const isAnchor = (other: ScreenWord) =>
    isKnown(passage, other) &&
    !other.isFunction &&
    !other.isRelation &&
    (other.isNumber || !passage.topic.has(other.stem));
  if (value.length > 0) return !value.includes(word) && value.some((other) => !other.isFunction);
  const verb = words.findIndex((_, index) => isVerbAt(words, index));
  return words.some(isAnchor) && words.indexOf(word) < verb;
}

/** A verb that carries its sentence, as far as places show. */
function isVerbAt(words: readonly ScreenWord[], index: number): boolean {
  const [before, word] = [words[index - 1], words[index]!];
  if (before === undefined) return false;
  if (auxiliaries.has(word.plain)) return true;
  return (
    sortOfWord(word) === "verb" &&
    !prepositions.has(before.plain) &&
    !/^(?:the|an?|his|her|its|their|and|or)$/u.test(before.plain)
  );
}

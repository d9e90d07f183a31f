/**
 * @file Words of a claim that its passage lacks. Whether one of them brings a fact is asked of the dictionary: a way of saying
 * something does not, nor does what a word of the passage is a kind of, is explained by or shares its root with; a name, a
 * number, a thing, or another one in place of what the passage names does.
 */
import type { Claim } from "./claims.ts";
import { auxiliaries, prepositions, pronouns } from "./lexicon.ts";
import { areRivals, explainedBy, familyOf, isFrequent, isPhrase, shareOf, type WordSort } from "./meanings.ts";
import { isKnown, type ReadPassage } from "./passages.ts";
import { type ScreenWord, sortOfWord } from "./words.ts";

/** How much a word of a sort speaks against a claim. */
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
/** A claim fails when its words weigh more than this in all. */
const limit = 1;
/** Weight of a word that is one too many by itself. */
const certain = 2;

/** Words of a claim that its passage lacks and that are values, not ways of saying something. */
export function strangersIn(passage: ReadPassage, claim: Claim): ScreenWord[] {
  const strange = claim.words
    .map((word, index) => ({ word, weight: isKnown(passage, word) ? 0 : weightOf(passage, claim, index) }))
    .filter(({ weight }) => weight > 0);
  const total = strange.reduce((sum, { weight }) => sum + weight, 0);
  return total > limit ? strange.map(({ word }) => word) : [];
}

function weightOf(passage: ReadPassage, claim: Claim, index: number): number {
  const word = claim.words[index]!;
  if (word.isFunction) return 0;
  if (word.isNumber || word.isName) return certain;
  const sort = sortAt(claim.words, index);
  if (isBareValue(claim) && index >= claim.numAsked) return sort === "adverb" ? 0 : certain;
  const weight = isFrequent(word.plain) ? Math.min(0.5, weights[sort]) : weights[sort];
  if (weight === 0 || isKindOfKnown(passage, word)) return 0;
  const isHeld = hasAnchor(passage, claim, index);
  if (index >= claim.numAsked && !isFrequent(word.plain) && (weight === 1 || !isHeld) && isRival(passage, claim, word))
    return certain;
  const isClear = isExplained(passage, word);
  if (
    weight === 1 &&
    !(isHeld && isReferring(claim, index, isClear)) &&
    !(sort === "person" && (isClear || hasNames(passage, claim)))
  )
    return certain;
  return isClear ? 0 : weight;
}

/** True for a word that takes up what was spoken of: in a question or label, before the verb, with "its" or, explained, with "the". */
const isReferring = (claim: Claim, index: number, isClear: boolean): boolean =>
  index < claim.numAsked ||
  (opensSentence(claim, index) && isPointedAt(claim.words, index)) ||
  isPossessed(claim.words, index) ||
  (isClear && claim.words[index - 1]?.plain === "the");

/** What a word is where it stands: between its subject and a preposition it is a verb, before a noun an adjective. */
function sortAt(words: readonly ScreenWord[], index: number): WordSort {
  const { plain } = words[index]!;
  const [before, after] = [words[index - 1], words[index + 1]];
  const isPart = [1, 2].some(
    (length) => index >= length && isPhrase(words.slice(index - length, index + 1).map((word) => word.plain)),
  );
  if (isPart) return "adverb";
  if (shareOf(plain, "verb") > 0 && standsAsVerb(before, after)) return "verb";
  if (shareOf(plain, "adjective") > 0.2 && after !== undefined && !after.isFunction) return "adjective";
  return sortOfWord(words[index]!);
}

/** After a subject, "to" or a word like "will", and before no noun: the place of a verb. */
function standsAsVerb(before: ScreenWord | undefined, after: ScreenWord | undefined): boolean {
  if (before === undefined || after === undefined || !after.isFunction) return false;
  if (auxiliaries.has(after.plain) || after.plain === "of") return false;
  return (
    !before.isFunction ||
    subjectPronouns.has(before.plain) ||
    /^(?:to|will|would|can|could|may|might|must|shall|should|do|does|did|not)$/u.test(before.plain)
  );
}

const subjectPronouns = new Set(["he", "she", "it", "they", "we", "i", "you", "who", "which", "that"]);

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

/** True for the kind of a thing of the passage, its measure or a part of it. */
const isKindOfKnown = (passage: ReadPassage, { plain }: ScreenWord): boolean =>
  [...familyOf(plain)].some((id) => passage.reach.has(id));

/** True for a word that explains one of the passage, is explained by it or made of it. */
function isExplained(passage: ReadPassage, { plain, stem }: ScreenWord): boolean {
  return (
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

/** True where the claim has a value of the passage besides the word at `index`: more than what all of it is about. */
function hasAnchor(passage: ReadPassage, { words, value, numAsked }: Claim, index: number): boolean {
  const known = words.filter(
    (other, at) => at !== index && isKnown(passage, other) && !other.isFunction && !other.isRelation,
  );
  if (value.length > 0 && index < numAsked) return known.some((word) => value.includes(word));
  return (
    known.some(({ isNumber, stem }) => isNumber || !passage.topic.has(stem)) ||
    known.filter(({ isName }) => !isName).length > 1
  );
}

/** "The means", "a patch", "visitors": not "marble was used", which is a value in front. */
const isPointedAt = (words: readonly ScreenWord[], index: number): boolean =>
  /s$/u.test(words[index]!.plain) ||
  words
    .slice(Math.max(0, index - 2), index)
    .some(({ plain }) => /^(?:the|an?|this|that|each|every|another)$/u.test(plain));

/** True where several names or numbers of the passage bear a claim: who is meant is clear, and the word says as what. */
const hasNames = (passage: ReadPassage, { words }: Claim): boolean =>
  words.filter((word) => (word.isName || word.isNumber) && isKnown(passage, word) && !passage.topic.has(word.stem))
    .length > 1;

/** True before the verb of a sentence: what is spoken of stands there, and what is said of it behind. */
function opensSentence({ words, numAsked }: Claim, index: number): boolean {
  if (index <= 2 && prepositions.has(words[0]!.plain)) return true; // "For the soup, "
  const verb = words.findIndex((_, at) => at > numAsked && isVerbAt(words, at));
  return verb < 0 || index < verb;
}

/** "Its gates" */
const isPossessed = (words: readonly ScreenWord[], index: number): boolean =>
  words.slice(Math.max(0, index - 2), index).some(({ plain }) => /^(?:its|his|her|their|our|my|your)$/u.test(plain));

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

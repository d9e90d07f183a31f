/**
 * @file Compares what an edit says with what its passage says, sentence by sentence. A sentence fails when it
 *  1. brings a value (a name, a number, a word that names a thing) which the passage lacks;
 *  2. has nothing to do with the passage;
 *  3. puts a value where the passage has another: what stands beside it stands beside another value there;
 *  4. tells of one what the passage tells of another;
 *  5. denies what the passage says, says what it denies, or says the opposite.
 * All of it is comparison of words, with a dictionary (`meanings.ts`): deterministic, quick, and blind to what only
 * understanding shows.
 */
import { type Claim, type Clause, claimsOf } from "./claims.ts";
import { absences, opposites } from "./lexicon.ts";
import { areRivals, isTime, isUnit, oppositesOf } from "./meanings.ts";
import { alignedWith, homesOf, isKnown, quote, type ReadPassage, readPassage } from "./passages.ts";
import { contrasted, crossed, miscounted, misordered, misplaced } from "./places.ts";
import { strangersIn } from "./strangers.ts";
import { exchanged, toldOfAnother, turned } from "./subjects.ts";
import { contentOf, type ScreenWord, sortOfWord, stemOf } from "./words.ts";

export { type ReadPassage, readPassage };

/** Why a sentence fails. */
export type DoubtKind = "stranger" | "unrelated" | "other value" | "other subject" | "denial" | "opposite";

/** One sentence that the passage does not bear out. */
export interface Doubt {
  readonly claim: string;
  readonly kind: DoubtKind;
  /** In words, for people. */
  readonly why: string;
}

/** A denial that the passage lacks, or the other way about, where nearly all of the claim stands in one clause. */
function deniedIn(passage: ReadPassage, claim: Claim): string | null {
  const content = contentOf(claim.words).filter(({ stem }) => passage.stems.has(stem));
  const homes = homesOf(passage, content);
  if (homes.length === 0) return null;
  const isDenied = claim.confirms === false ? !claim.isDenied : claim.isDenied;
  const shared = content.filter(({ stem }) =>
    homes.some(({ sentence, subjects }) => sentence.has(stem) || subjects.has(stem)),
  );
  const known = contentOf(claim.words).length;
  if (shared.length < Math.max(1, 0.6 * known) || homes.some((clause) => clause.isDenied === isDenied)) return null;
  const there = homes.flatMap(({ words }) => words);
  if (!isDenied && isLimit(claim.words, there)) return null;
  if (isDenied ? hasAbsence(there, claim.words) : hasAbsence(claim.words, there)) return null;
  return isDenied ? "the passage says so and does not deny it" : "the passage denies it";
}

const bounds = new Set(["least", "most", "must", "far", "away", "minimum", "maximum", "limit", "only", "until"]);

/** "At least 20 metres away" is "never within 20 metres". */
const isLimit = (words: readonly ScreenWord[], denied: readonly ScreenWord[]): boolean =>
  words.some(({ plain }) => bounds.has(plain)) &&
  words.some(({ isNumber, stem }) => isNumber && denied.some((other) => other.stem === stem));

/** True where `words` name an absence and `others` do not: who says it without a denial may say it so. */
function hasAbsence(words: readonly ScreenWord[], others: readonly ScreenWord[]): boolean {
  const named = new Set(others.map(({ stem }) => stem));
  return words.some(({ plain, stem }) => absences.has(plain) && !named.has(stem));
}

/** Words of grammar that have an opposite. */
const orders = new Set(opposites.flat());

/** A word whose opposite, or another of its kind, the passage has in the same place. */
function reversed(passage: ReadPassage, claim: Claim): string | null {
  const known = contentOf(claim.words).filter(({ stem }) => passage.stems.has(stem));
  const telling = known.filter(({ stem }) => !passage.names.has(stem) && !passage.topic.has(stem));
  const homes = homesOf(passage, telling.length > 0 ? telling : known);
  if (homes.length === 0) return null;
  for (const word of claim.words) {
    if (word.isFunction && !orders.has(word.plain)) continue;
    const hits = homes.map((home) => againstIn(passage, claim, home, word));
    if (hits.every((hit) => hit !== null)) return `it says "${word.plain}" where the passage has "${hits[0]}"`;
  }
  return null;
}

/** The word of a clause that excludes one of a claim, which says all else as the clause does. */
function againstIn(passage: ReadPassage, claim: Claim, home: Clause, word: ScreenWord): string | null {
  const { plain, stem, isFunction } = word;
  const isIn = (other: ScreenWord) => home.stems.has(other.stem) || home.subjects.has(other.stem);
  const others = contentOf(claim.words).filter((other) => other.stem !== stem);
  const isWhole = others.every((other) => isIn(other) || !passage.stems.has(other.stem));
  if (home.words.some((other) => other.plain === plain) || (passage.stems.has(stem) && !isFunction && !isWhole))
    return null;
  const said = new Set(claim.words.flatMap((other) => [other.stem, other.plain]));
  const left = home.words.filter((other) => !said.has(other.stem) && !said.has(other.plain));
  const isDeed = sortOfWord(word) === "verb" && !others.every(isIn); // "people bought" what "sold"
  const opposite = isDeed ? undefined : left.find((other) => areOpposite(ownLemma(word), ownLemma(other)));
  const isBound = (words: readonly ScreenWord[]) => words.some((other) => other.plain === "until"); // "open until" is "closes at"
  if (opposite !== undefined) return isFunction || isBound(claim.words) === isBound(home.words) ? opposite.plain : null;
  const isRivalled = isTimely(word) && others.length > 1 && others.every(isIn);
  return isRivalled ? (left.find((other) => isTimely(other) && areRivals(plain, other.plain))?.plain ?? null) : null;
}

/** Not the stem, which is that of the passage's word. */
const ownLemma = ({ plain, isFunction }: ScreenWord): string => (isFunction ? plain : stemOf(plain));

const areOpposite = (one: string, other: string): boolean => oppositesOf(one).has(other) || oppositesOf(other).has(one);

/** A time or a unit: one excludes another as opposites do. */
const isTimely = ({ plain, isFunction, isName, isNumber }: ScreenWord): boolean =>
  !isFunction && !isName && !isNumber && (isTime(plain) || isUnit(plain));

const isThing = (word: ScreenWord): boolean => ["thing", "person", "unknown"].includes(sortOfWord(word));

/** What is wrong with one claim; `null` when its passage bears it out as far as words show. */
export function doubtOf(passage: ReadPassage, original: Claim): Doubt | null {
  const claim = alignedWith(passage, original);
  const doubt = (kind: DoubtKind, why: string): Doubt => ({ claim: claim.text, kind, why });
  const content = contentOf(claim.words);
  const known = content.filter((word) => isKnown(passage, word));
  const isRefused = claim.confirms === false; // "Was she born in Calais? No." brings Calais and says nothing of it
  const strangers = strangersIn(passage, claim);
  if (strangers.length > 0 && !isRefused)
    return doubt("stranger", `the passage lacks ${quote(strangers.slice(0, 4).map(({ plain }) => plain))}`);
  if (known.length === 0 && content.some((word) => word.isNumber || word.isName || isThing(word)))
    return doubt("unrelated", "it shares no word with the passage");
  const checks: readonly (readonly [DoubtKind, (passage: ReadPassage, claim: Claim) => string | null])[] = [
    ["denial", deniedIn],
    ["opposite", reversed],
    ["other value", miscounted],
    ["other value", crossed],
    ["opposite", misordered],
    ["other value", contrasted],
    ["other value", misplaced],
    ["other subject", turned],
    ["other subject", exchanged],
    ["other subject", toldOfAnother],
  ];
  for (const [kind, check] of checks) {
    if (isRefused && (kind !== "denial" || strangers.length > 0)) continue;
    const why = check(passage, claim);
    if (why !== null) return doubt(kind, why);
  }
  return null;
}

/** What is wrong with each claim of `document` that fails. */
export const doubtsOf = (passage: ReadPassage, document: string): Doubt[] =>
  claimsOf(document).flatMap((claim) => doubtOf(passage, claim) ?? []);

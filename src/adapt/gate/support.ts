/**
 * @file Compares what an edit says with what its passage says, sentence by sentence. A sentence fails when it
 *  1. brings a value (a name, a number, a word that names a thing) which the passage lacks;
 *  2. has nothing to do with the passage;
 *  3. puts a value where the passage has another: what stands beside it stands beside another value there;
 *  4. tells of one what the passage tells of another;
 *  5. denies what the passage says, says what it denies, or says the opposite.
 * All of it is comparison of words (`lexicon.ts`): deterministic, quick, and blind to what only understanding shows.
 */
import { type Claim, claimsOf } from "./claims.ts";
import { absences, opposites } from "./lexicon.ts";
import { oppositesOf } from "./meanings.ts";
import { alignedWith, homesOf, isKnown, quote, type ReadPassage, readPassage } from "./passages.ts";
import { crossed, miscounted, misplaced } from "./places.ts";
import { strangersIn } from "./strangers.ts";
import { exchanged, toldOfAnother, turned } from "./subjects.ts";
import { contentOf } from "./words.ts";

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
    homes.some(({ stems, subjects }) => stems.has(stem) || subjects.has(stem)),
  );
  const known = contentOf(claim.words).length;
  if (shared.length < Math.max(1, 0.6 * known) || homes.some((clause) => clause.isDenied === isDenied)) return null;
  const said = new Set(claim.words.map(({ plain }) => plain));
  const stands = new Set(homes.flatMap(({ words }) => words.map(({ plain }) => plain)));
  const denying = isDenied ? stands : said; // who says it without a denial may say it by an absence
  if ([...denying].some((plain) => absences.has(plain) && !(isDenied ? said : stands).has(plain))) return null;
  return isDenied ? "the passage says so and does not deny it" : "the passage denies it";
}

/** Words of grammar that have an opposite. */
const ownOrders = new Set(opposites.flat());

/** A word whose opposite the passage has in the same place. */
function reversed(passage: ReadPassage, claim: Claim): string | null {
  const said = new Set(claim.words.map(({ stem }) => stem));
  const known = contentOf(claim.words).filter(({ stem }) => passage.stems.has(stem));
  const telling = known.filter(({ stem }) => !passage.names.has(stem) && !passage.topic.has(stem));
  const homes = homesOf(passage, telling.length > 0 ? telling : known);
  for (const { stem, plain, isFunction } of claim.words) {
    if (isFunction && !ownOrders.has(plain)) continue;
    const against = [...oppositesOf(stem)].filter((other) => !said.has(other));
    const isOrder = plain === "before" || plain === "after";
    const isWhole = homes.every(({ stems, subjects }) =>
      known.every((word) => word.stem === stem || stems.has(word.stem) || subjects.has(word.stem)),
    );
    if (against.length === 0 || homes.length === 0 || (passage.stems.has(stem) && !isOrder && !isWhole)) continue;
    const hits = homes.map(({ sentence, words }) => {
      const stems = isOrder ? sentence : new Set(words.map((word) => word.stem));
      return stems.has(stem) ? null : (against.find((other) => stems.has(other)) ?? null);
    });
    if (hits.every((hit) => hit !== null)) return `it says "${plain}" where the passage has "${hits[0]}"`;
  }
  return null;
}

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
  if (known.length === 0 && content.filter(({ isRelation }) => !isRelation).length > 0)
    return doubt("unrelated", "it shares no word with the passage");
  const checks: readonly (readonly [DoubtKind, (passage: ReadPassage, claim: Claim) => string | null])[] = [
    ["denial", deniedIn],
    ["opposite", reversed],
    ["other value", miscounted],
    ["other value", crossed],
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

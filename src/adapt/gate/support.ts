/**
 * @file Compares what an edit says with what its passage says, sentence by sentence. A sentence fails when it
 *  1. brings a value (a name, a number, a word that names a thing) which the passage lacks;
 *  2. has nothing to do with the passage;
 *  3. puts a value where the passage has another: what stands beside it stands beside another value there;
 *  4. tells of one what the passage tells of another;
 *  5. denies what the passage says, says what it denies, or says the opposite.
 * All of it is comparison of words (`lexicon.ts`): deterministic, quick, and blind to what only understanding shows.
 */
import { type Claim, type Clause, claimsOf, clausesOf } from "./claims.ts";
import { absences, auxiliaries, irregular, measureWords, prepositions, pronouns, unitWords } from "./lexicon.ts";
import { contentOf, oppositesOf, type ScreenWord, stemOf } from "./words.ts";

const measureStems = new Set(measureWords.map(stemOf));
const unitStems = new Set(unitWords.map(stemOf));

/** Why a sentence fails. */
export type DoubtKind = "stranger" | "unrelated" | "other value" | "other subject" | "denial" | "opposite";

/** One sentence that the passage does not bear out. */
export interface Doubt {
  readonly claim: string;
  readonly kind: DoubtKind;
  /** In words, for people. */
  readonly why: string;
}

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
}

/** Reads a passage. */
export function readPassage(context: string): ReadPassage {
  const clauses = clausesOf(context);
  const words = clauses.flatMap((clause) => clause.words);
  return {
    clauses,
    stems: new Set(words.map(({ stem }) => stem)),
    plain: new Set(words.map(({ plain }) => plain)),
    names: new Set(words.filter(({ isName }) => isName).map(({ stem }) => stem)),
    openers: new Set(words.filter(({ mayBeName }) => mayBeName).map(({ stem }) => stem)),
    subjects: new Set(clauses.flatMap(({ subjects }) => [...subjects])),
    topic: clauses[0]?.subjects ?? new Set(),
  };
}

const isKnown = (passage: ReadPassage, { stem, plain }: ScreenWord): boolean =>
  passage.stems.has(stem) || passage.plain.has(plain);

const isVerbal = (plain: string): boolean => (/(?:ed|ing|ly)$/u.test(plain) && plain.length > 4) || plain in irregular;

/** Words of a claim that its passage lacks and that are values, not ways of saying something. */
function strangersIn(passage: ReadPassage, claim: Claim): ScreenWord[] {
  const { words, value } = claim;
  const inValue = new Set(value);
  const isBare = value.length <= 3 && !value.some(({ plain }) => pronouns.has(plain) || auxiliaries.has(plain));
  const isHard = (word: ScreenWord): boolean => {
    if (word.isFunction || isKnown(passage, word)) return false;
    return word.isNumber || word.isName || (inValue.has(word) && (isBare || !word.isRelation));
  };
  const hard = words.filter(isHard);
  const soft = words.filter(
    (word, index) =>
      !word.isFunction &&
      !word.isRelation &&
      !isHard(word) &&
      !isKnown(passage, word) &&
      !isVerbal(word.plain) &&
      !standsAsVerb(words, index),
  );
  return hard.length === 0 && soft.length <= 1 && soft.every((word) => refersBack(passage, claim, word))
    ? []
    : [...hard, ...soft];
}

/**
 * True for a word that takes up what the passage tells under another word: it opens the claim with "the", or stands in a
 * label or question, and all else, at least a value, is in the passage.
 */
function refersBack(passage: ReadPassage, { words, value }: Claim, word: ScreenWord): boolean {
  const isHeld = (other: ScreenWord) => other === word || other.isRelation || isKnown(passage, other);
  const values = words.filter((other) => !other.isRelation && isKnown(passage, other));
  if (value.length > 0) return !value.includes(word) && value.some((other) => !other.isFunction) && words.every(isHeld);
  const at = words.indexOf(word);
  return (
    at <= 2 &&
    /^(?:the|this|that|these|those)$/u.test(words[at - 1]?.plain ?? "") &&
    values.length > 0 &&
    words.every(isHeld)
  );
}

/** After its subject and before its object: a verb, as far as the places of words show. */
function standsAsVerb(words: readonly ScreenWord[], index: number): boolean {
  const [before, after] = [words[index - 1], words[index + 1]];
  if (before === undefined || after === undefined) return false;
  const followsSubject =
    !before.isFunction || pronouns.has(before.plain) || before.plain === "to" || auxiliaries.has(before.plain);
  return (
    followsSubject &&
    !auxiliaries.has(before.plain) &&
    after.isFunction &&
    !auxiliaries.has(after.plain) &&
    after.plain !== "of"
  );
}

/** How well a clause fits a claim: words in common, values before ways of saying. */
function fitOf(clause: Clause, words: readonly ScreenWord[]): number {
  return words.reduce((sum, { stem, isRelation }) => {
    if (clause.stems.has(stem)) return sum + (isRelation ? 0.6 : 1);
    return clause.subjects.has(stem) ? sum + 0.4 : sum;
  }, 0);
}

/** The clauses that fit best; none when no word is shared. */
function homesOf(passage: ReadPassage, words: readonly ScreenWord[]): Clause[] {
  const fits = passage.clauses.map((clause) => fitOf(clause, words));
  const best = Math.max(0, ...fits);
  return best === 0 ? [] : passage.clauses.filter((_, index) => fits[index] === best);
}

const quote = (words: Iterable<string>): string => [...words].map((word) => `"${word}"`).join(", ");

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

/** The word a claim is about; `null` where it opens with a preposition, is a question, or is a label with a value. */
function leadOf({ text, words, value }: Claim): ScreenWord | null {
  if (prepositions.has(words[0]?.plain ?? "") || text.includes("→") || value.length > 0) return null;
  const first = words.findIndex(({ isFunction, isNumber }) => !isFunction && !isNumber);
  const isNamed = first >= 0 && !words.slice(0, first).some(({ plain }) => pronouns.has(plain));
  return isNamed ? words[first]! : null;
}

const sortsWith = (value: ScreenWord, other: ScreenWord): boolean => (value.isNumber ? other.isNumber : other.isName);

/**
 * A number or name that stands beside other words in the passage: those of the claim stand beside another of the same sort,
 * which the claim leaves out.
 */
function misplaced(passage: ReadPassage, claim: Claim): string | null {
  const content = contentOf(claim.words);
  const said = new Set(content.map(({ stem }) => stem));
  const lead = leadOf(claim);
  for (const value of valuesOf(claim).filter(({ stem }) => passage.stems.has(stem) && !passage.topic.has(stem))) {
    const homes = passage.clauses.filter(({ stems }) => stems.has(value.stem));
    const rest = content.filter(
      ({ stem, isNumber, isName }) =>
        stem !== value.stem &&
        !isNumber &&
        !(isName && !value.isNumber && !passage.subjects.has(stem)) &&
        passage.stems.has(stem),
    );
    const isShort = ({ words }: Clause) => contentOf(words).filter(({ isNumber }) => !isNumber).length <= 1; // "and in 2010 only 240"
    const isNear = ({ stem }: ScreenWord) =>
      homes.some(
        (home) => home.stems.has(stem) || home.subjects.has(stem) || (isShort(home) && home.sentence.has(stem)),
      );
    const rivals = passage.clauses.filter(
      ({ stems, words, subjects }) =>
        !stems.has(value.stem) &&
        words.some((other) => sortsWith(value, other) && !said.has(other.stem) && !subjects.has(other.stem)),
    );
    const isAlone = ({ sentence }: Clause) =>
      !value.isNumber || [...sentence].filter((stem) => /^\d/u.test(stem)).length === 1;
    const isBeside = ({ stem }: ScreenWord) => homes.some((home) => isAlone(home) && home.sentence.has(stem));
    const against = rest.filter(
      (word) =>
        !isNear(word) &&
        !isBeside(word) &&
        !measureStems.has(word.stem) &&
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

/** What each number of some words counts or measures: the next word that says something. */
function countedBy(words: readonly ScreenWord[]): Map<string, Set<string>> {
  const counted = new Map<string, Set<string>>();
  words.forEach(({ isNumber, stem }, index) => {
    const next = words[index + 1];
    if (!isNumber || next === undefined || next.isFunction || next.isNumber) return;
    counted.set(stem, (counted.get(stem) ?? new Set()).add(next.stem));
  });
  return counted;
}

/** A number with another unit than in the passage, or counting what another number counts there. */
function miscounted(passage: ReadPassage, claim: Claim): string | null {
  const known = countedBy(passage.clauses.flatMap(({ words }) => words));
  for (const [number, things] of countedBy(claim.words)) {
    const right = known.get(number);
    if (right === undefined) continue;
    const wrong = [...things].find(
      (thing) =>
        !right.has(thing) &&
        (unitStems.has(thing) || [...known].some(([other, set]) => other !== number && set.has(thing))),
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
function crossed(passage: ReadPassage, claim: Claim): string | null {
  const bonds = boundBy(claim.words);
  for (const clause of passage.clauses) {
    const known = boundBy(clause.words);
    const isKnown = (preposition: string, stem: string) =>
      known.some(([one, other]) => one === preposition && other === stem);
    for (const [one, first] of bonds)
      for (const [other, second] of bonds)
        if (one !== other && first !== second && isKnown(one, second) && isKnown(other, first) && !isKnown(one, first))
          return `"${one} ${first}" and "${other} ${second}" have changed places`;
  }
  return null;
}

/** The person a claim is about, when the passage tells its other words of somebody else. */
function exchanged(passage: ReadPassage, claim: Claim): string | null {
  const lead = leadOf(claim);
  if (lead === null || !passage.stems.has(lead.stem) || passage.clauses.length < 2) return null;
  const content = contentOf(claim.words);
  const mayBeName = (stem: string) => passage.names.has(stem) || passage.openers.has(stem);
  if (!lead.isName && !mayBeName(lead.stem)) return null;
  const own = ownName(content, lead);
  const said = new Set(content.map(({ stem }) => stem));
  const isAbout = ({ subjects, stems }: Clause) => subjects.has(lead.stem) || stems.has(lead.stem);
  const known = content.filter(({ stem }) => !own.has(stem) && passage.stems.has(stem));
  const values = known.filter(({ isRelation }) => !isRelation);
  const rest = values.length > 0 ? values : known;
  const isIn = ({ stem, isName }: ScreenWord, { stems, subjects }: Clause) =>
    stems.has(stem) || (isName && subjects.has(stem));
  const isHeld = rest.some((word) => passage.clauses.some((clause) => isAbout(clause) && isIn(word, clause)));
  const isTold = rest.some(({ stem }) =>
    passage.clauses.some((clause) => clause.stems.has(stem) && isFirstPerson(clause)),
  );
  if (rest.length === 0 || isHeld || isTold) return null;
  const owners = rest.map(({ stem }) =>
    passage.clauses.filter(({ stems }) => stems.has(stem)).flatMap(({ subjects }) => [...subjects].slice(0, 1)),
  );
  const isForeign = owners.every(
    (names) => names.length > 0 && names.every((name) => !said.has(name)) && names.some(mayBeName),
  );
  return isForeign
    ? `the passage tells ${quote(new Set(rest.slice(0, 3).map(({ plain }) => plain)))} of ${quote(new Set(owners.flat()))}, not of "${lead.plain}"`
    : null;
}

const isFirstPerson = ({ words }: Clause): boolean => words.some(({ plain }) => /^(?:i|we|my|our|us|me)$/u.test(plain));

/** Stems of the name that `lead` begins. */
function ownName(content: readonly ScreenWord[], lead: ScreenWord): Set<string> {
  const begin = content.indexOf(lead);
  const own = new Set([lead.stem]);
  for (let index = begin + 1; index < content.length && content[index]!.isName; index++) own.add(content[index]!.stem);
  return own;
}

/** "A hunts B" for "B hunts A": the same verb between the same two, neither in the passive. */
function turned(passage: ReadPassage, claim: Claim): string | null {
  const lead = leadOf(claim);
  const content = contentOf(claim.words);
  const tail = content.at(-1);
  if (lead === null || tail === undefined || content.length < 3 || isPassive(claim.words)) return null;
  const between = new Set(content.slice(1, -1).flatMap(({ stem, isName }) => (isName ? [] : [stem])));
  for (const { words, subjects, stems } of passage.clauses) {
    if (!stems.has(lead.stem) || subjects.has(lead.stem) || !subjects.has(tail.stem) || isPassive(words)) continue;
    const at = words.findIndex(({ stem }) => stem === lead.stem);
    if (words.slice(0, at).some(({ stem, isFunction }) => !isFunction && between.has(stem)))
      return `"${lead.plain}" and "${tail.plain}" have changed places`;
  }
  return null;
}

const isPassive = (words: readonly ScreenWord[]): boolean =>
  words.some(({ plain }) => plain === "by" || /^(?:is|are|was|were|be|been)$/u.test(plain));

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

/** A word whose opposite the passage has in the same place. */
function reversed(passage: ReadPassage, claim: Claim): string | null {
  const said = new Set(claim.words.map(({ stem }) => stem));
  const known = contentOf(claim.words).filter(({ stem }) => passage.stems.has(stem));
  const telling = known.filter(({ stem }) => !passage.names.has(stem) && !passage.topic.has(stem));
  const homes = homesOf(passage, telling.length > 0 ? telling : known);
  for (const { stem, plain } of claim.words) {
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
export function doubtOf(passage: ReadPassage, claim: Claim): Doubt | null {
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

/** @file Who or what a claim is about, when the passage tells it of another. */
import type { Claim, Clause } from "./claims.ts";
import { auxiliaries, prepositions } from "./lexicon.ts";
import { areApart, isUnit, shareOf, sortOf } from "./meanings.ts";
import { leadOf, quote, type ReadPassage } from "./passages.ts";
import { contentOf, type ScreenWord, sortOfWord } from "./words.ts";

/** The person a claim is about, when the passage tells its other words of somebody else. */
export function exchanged(passage: ReadPassage, claim: Claim): string | null {
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

/** Whom or what a clause is about, by its own words: the nouns before its verb, or after one that orders something. */
interface Agent {
  readonly words: readonly ScreenWord[];
  /** Index after them. */
  readonly end: number;
}

/** "Press the button": a verb in front, and what it is done to behind. */
const isOrder = ([first, second]: readonly ScreenWord[]): boolean =>
  first !== undefined &&
  second !== undefined &&
  shareOf(first.plain, "verb") > 0.2 &&
  !/(?:ed|ing|s)$/u.test(first.plain) &&
  (second.isFunction ? determiners.has(second.plain) : sortOfWord(first) === "verb");

const determiners = new Set(["the", "a", "an", "your", "its", "his", "her", "their", "it", "them"]);
const subjectPronouns = new Set(["he", "she", "it", "they", "we", "i", "this", "these", "those"]);
const relatives = new Set(["which", "who", "that", "whose"]);

const isNoun = (word: ScreenWord): boolean =>
  word.isName || word.mayBeName || !["verb", "adjective", "adverb"].includes(sortOfWord(word));

/** `null` where a pronoun stands for it, or nothing does. */
function agentOf(words: readonly ScreenWord[]): Agent | null {
  const skipped = isOrder(words) ? words.findIndex(({ isFunction }) => !isFunction) + 1 : 0;
  const begin = words.findIndex((word, index) => index >= skipped && !word.isFunction);
  if (begin < 0) return null;
  const opening = words.slice(0, begin);
  if (
    opening.some(
      ({ plain }) =>
        subjectPronouns.has(plain) || relatives.has(plain) || prepositions.has(plain) || auxiliaries.has(plain),
    )
  )
    return null;
  const length = words
    .slice(begin)
    .findIndex(
      (word, at) => word.isFunction || word.isNumber || (at > 0 && sortOfWord(word) === "verb" && !word.isName),
    );
  const own = words.slice(begin, length < 0 ? words.length : begin + length);
  const isPointedAt = own.length === 1 && determiners.has(words[begin - 1]?.plain ?? ""); // "the filter" is no verb
  return own.some((word) => (isPointedAt || isNoun(word)) && !isUnit(word.plain)) &&
    (isPointedAt || isNoun(own.at(-1)!))
    ? { words: own, end: begin + own.length }
    : null;
}

/**
 * Each clause with its agent. One that has none has that of the clause before it in the same sentence, a pronoun that of the
 * sentence before, and "who" or "which" what stands in front of it.
 */
function agentsOf({ clauses }: ReadPassage): (readonly [Clause, ReadonlySet<string>])[] {
  let [last, main]: [ReadonlySet<string>, ReadonlySet<string>] = [new Set(), new Set()];
  return clauses.map((clause, index) => {
    const before = clauses[index - 1];
    const isNew = before?.sentence !== clause.sentence;
    if (isNew && last.size > 0) main = last;
    const opening = clause.words.slice(0, 2).map(({ plain }) => plain);
    const agent = agentOf(clause.words);
    if (opening.some((plain) => relatives.has(plain))) last = isNew ? new Set() : tailOf(before!.words);
    else if (opening.some((plain) => subjectPronouns.has(plain))) last = main;
    else if (!isNew && isApposition(clause.words)) last = tailOf(before!.words);
    else if (agent !== null) last = new Set(agent.words.map(({ stem }) => stem));
    else if (isNew) last = new Set();
    return [clause, last] as const;
  });
}

/** ", a retired judge," */
const isApposition = (words: readonly ScreenWord[]): boolean =>
  /^(?:an?|the)$/u.test(words[0]?.plain ?? "") &&
  !words.some((word) => auxiliaries.has(word.plain) || (sortOfWord(word) === "verb" && !word.plain.endsWith("ed")));

/** The last thing of a clause, or the last name with the word before it: "son Peter". */
function tailOf(words: readonly ScreenWord[]): ReadonlySet<string> {
  const nouns = contentOf(words).filter(isNoun);
  const begin = nouns.at(-1)?.isName === true ? nouns.findLastIndex(({ isName }) => !isName) : nouns.length - 1;
  return new Set(nouns.slice(Math.max(0, begin)).map(({ stem }) => stem));
}

/** The thing or person a claim is about, when all else in it stands in a clause about another that the claim does not name. */
export function toldOfAnother(passage: ReadPassage, claim: Claim): string | null {
  const agent = claim.value.length > 0 || claim.numAsked > 0 ? null : agentOf(claim.words);
  const head = agent?.words.at(-1);
  const isPossessed = claim.words.slice(0, 2).some(({ plain }) => /^(?:his|her|its|their|our|my)$/u.test(plain));
  if (agent === null || head === undefined || isPossessed || !passage.stems.has(head.stem)) return null;
  const own = new Set(agent.words.map(({ stem }) => stem));
  const said = new Set(claim.words.map(({ stem }) => stem));
  const rest = contentOf(claim.words).filter((word) => !agent.words.includes(word) && !own.has(word.stem));
  const known = rest.filter(({ stem }) => passage.stems.has(stem));
  const telling = known.filter(({ isRelation, plain }) => !isRelation && !isUnit(plain));
  const needed = telling.length > 0 ? telling : known.length === rest.length ? known : [];
  if (needed.length === 0) return null;
  const isNamed = (stem: string) => passage.names.has(stem) || passage.openers.has(stem);
  const isWhole = (size: number): boolean =>
    rest.length >= size && passage.clauses.some(({ stems }) => rest.every(({ stem }) => stems.has(stem)));
  const agents = agentsOf(passage);
  const isGeneral = ["general", "abstract"].includes(sortOfWord(head)); // "the instrument is the banjo"
  if ((isGeneral || !isWhole(2)) && !agents.some(([, stems]) => stems.has(head.stem))) return null;
  if (agents[0]![1].has(head.stem) && !isNamed(head.stem) && !isWhole(3)) return null;
  const homes = agents.filter(([clause]) => tells(clause, needed, known));
  const isSomebody = ({ plain }: ScreenWord) => sortOf(plain) === "person" && plain.endsWith("s");
  const isForeign = ([{ stems, subjects, words }, foreign]: (typeof homes)[number]) =>
    foreign.size > 0 &&
    !agent.words.some(({ stem }) => stems.has(stem)) &&
    ![...foreign].some((stem) => stem === head.stem || !areApart(stem, head.plain)) &&
    ![...foreign].some((stem) => said.has(stem)) &&
    !(subjects.has(head.stem) && words.slice(0, 2).some(({ plain }) => subjectPronouns.has(plain))) &&
    !words.some(({ plain }) => plain === "that") &&
    (!isNamed(head.stem) ||
      [...foreign].some(isNamed) ||
      words.some((word) => foreign.has(word.stem) && isSomebody(word)));
  if (homes.length === 0 || !homes.every(isForeign)) return null;
  return `the passage tells it of ${quote(homes[0]![1])}, not of "${head.plain}"`;
}

/** True where a clause has the words that a claim is told by, or a pronoun for what was spoken of. */
function tells(
  { stems, subjects, words }: Clause,
  needed: readonly ScreenWord[],
  known: readonly ScreenWord[],
): boolean {
  const hasPronoun = words.some(({ plain }) => /^(?:it|him|her|them)$/u.test(plain));
  return (
    needed.every(({ stem }) => stems.has(stem) || (hasPronoun && subjects.has(stem))) &&
    known.some(({ stem }) => stems.has(stem))
  );
}

/** "A hunts B" for "B hunts A": the same verb between the same two, neither in the passive. */
export function turned(passage: ReadPassage, claim: Claim): string | null {
  const lead = leadOf(claim);
  const content = contentOf(claim.words);
  if (lead === null || content.length < 3 || isPassive(claim.words)) return null;
  for (const { words, subjects, stems } of passage.clauses) {
    if (!stems.has(lead.stem) || subjects.has(lead.stem) || isPassive(words)) continue;
    const at = words.findIndex(({ stem }) => stem === lead.stem);
    if (prepositions.has(words[at - 1]?.plain ?? "")) continue;
    const before = new Set(
      words
        .slice(0, at)
        .filter(({ isFunction, isName }) => !isFunction && !isName)
        .map(({ stem }) => stem),
    );
    const verb = content.findIndex((word, index) => index > 0 && before.has(word.stem) && !subjects.has(word.stem));
    const tail = verb < 0 ? undefined : content.slice(verb + 1).find(({ stem }) => subjects.has(stem));
    if (tail !== undefined) return `"${lead.plain}" and "${tail.plain}" have changed places`;
  }
  return null;
}

const isPassive = (words: readonly ScreenWord[]): boolean =>
  words.some(({ plain }) => plain === "by" || /^(?:is|are|was|were|be|been)$/u.test(plain));

/** @file Who or what a claim is about, when the passage tells it of another. */
import type { Claim, Clause } from "./claims.ts";
import { leadOf, quote, type ReadPassage } from "./passages.ts";
import { contentOf, type ScreenWord } from "./words.ts";

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

/** "A hunts B" for "B hunts A": the same verb between the same two, neither in the passive. */
export function turned(passage: ReadPassage, claim: Claim): string | null {
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

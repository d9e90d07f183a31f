/** @file What the screen asks the dictionary: what sort of word one is, which words say the same, and which exclude each other. */
import { type Meaning, meaningOf, type Pointer, type Sense, sensesOf, sensesOfForm } from "./dictionary.ts";
import { irregular, opposites } from "./lexicon.ts";

/** What a word is most likely to be. */
export type WordSort = "verb" | "adverb" | "adjective" | "general" | "abstract" | "person" | "thing" | "unknown";

/** Fields of nouns that are neither seen nor touched: act, attribute, thought, message, event, feeling, group, place, motive, phenomenon, possession, process, quantity, relation, shape, state, time. */
const abstractFields = new Set([4, 7, 9, 10, 11, 12, 14, 15, 16, 19, 21, 22, 23, 24, 25, 26, 28]);
const personField = 18;

/** A noun with so many kinds below it says what sort a thing is of, not which thing it is. */
const generalFrom = 60;

/** Two things of a kind as wide as this are not taken for one another. */
const wideFrom = 600;

/** Meanings rarer than this are none that a plain text has in mind. */
const rareShare = 0.02;
const unseenCount = 0.5;

function memoised<Value>(compute: (key: string) => Value): (key: string) => Value {
  const known = new Map<string, Value>();
  return (key) => {
    if (!known.has(key)) known.set(key, compute(key));
    return known.get(key)!;
  };
}

/** A sense with the share of all uses of its word. */
interface WeighedSense extends Sense {
  readonly share: number;
}

/** Meanings that a form has in plain text, with how common each is. */
export const plainSenses: (plain: string) => readonly WeighedSense[] = memoised((plain) => {
  const regular = sensesOfForm(plain);
  const base = irregular[plain];
  const all =
    base === undefined
      ? regular
      : [...regular, ...sensesOfForm(base).filter(({ meaning }) => meaning.part === "v" || meaning.part === "n")];
  const total = all.reduce((sum, { count }) => sum + count + unseenCount, 0);
  return all
    .map((sense) => ({ ...sense, share: (sense.count + unseenCount) / total }))
    .filter(({ share }) => share >= rareShare);
});

/** What a form is compared by: the lemma it is most often a form of. */
export const lemmaOf: (plain: string) => string = memoised((plain) => {
  const shares = new Map<string, number>();
  for (const { lemma, share } of plainSenses(plain)) shares.set(lemma, (shares.get(lemma) ?? 0) + share);
  const [best] = [...shares].toSorted(([, one], [, other]) => other - one);
  return best?.[0] ?? irregular[plain] ?? plain.replace(/(?<=\p{L}{2}[^s])s$/u, "");
});

const isNounal = ({ sign }: Pointer): boolean => sign === "~" || sign === "~i";

/** Number of kinds below a meaning, as far as `wideFrom`. */
const breadthOf: (id: string) => number = memoised((id) => {
  const seen = new Set<string>();
  const open = [id];
  while (open.length > 0 && seen.size < wideFrom)
    for (const { to } of meaningOf(open.pop()!).pointers.filter(isNounal))
      if (!seen.has(to)) {
        seen.add(to);
        open.push(to);
      }
  return seen.size;
});

function sortOfSense({ part, field, id }: Meaning): WordSort {
  if (part === "v") return "verb";
  if (part === "r") return "adverb";
  if (part === "a") return "adjective";
  if (breadthOf(id) >= generalFrom) return "general";
  if (abstractFields.has(field)) return "abstract";
  return field === personField ? "person" : "thing";
}

/** Shares of each sort among the uses of a word. */
export const sortsOf: (plain: string) => ReadonlyMap<WordSort, number> = memoised((plain) => {
  const shares = new Map<WordSort, number>();
  for (const { meaning, share } of plainSenses(plain)) {
    const sort = sortOfSense(meaning);
    shares.set(sort, (shares.get(sort) ?? 0) + share);
  }
  return shares;
});

/** The sort that most uses of a word are of. */
export const sortOf: (plain: string) => WordSort = memoised((plain) => {
  const [best] = [...sortsOf(plain)].toSorted(([, one], [, other]) => other - one);
  return best?.[0] ?? "unknown";
});

/** A noun counted as often as this comes with any subject: "home", "world", "hand". */
const frequentFrom = 40;

/** True for the everyday nouns. */
export const isFrequent: (plain: string) => boolean = memoised(
  (plain) =>
    plainSenses(plain).reduce((sum, { meaning, count }) => sum + (meaning.part === "n" ? count : 0), 0) >= frequentFrom,
);

/** True where the dictionary has some words in a row as one adverb or adjective: "at sea", "by heart". */
export const isPhrase = (words: readonly string[]): boolean =>
  sensesOf(words.join("_")).some(({ meaning: { part } }) => part === "r" || part === "a");

/** Share of the uses of a word in which it is a verb, or another sort. */
export const shareOf = (plain: string, sort: WordSort): number => sortsOf(plain).get(sort) ?? 0;

/** Fields of what is measured: attributes, quantities, times. */
const measureFields = new Set([7, 23, 28]);
const timeField = 28;

/** True for a word that asks for a measure or a date: "weight", "age", "year". */
export const isMeasure: (plain: string) => boolean = memoised(
  (plain) =>
    plainSenses(plain).reduce(
      (sum, { meaning: { part, field }, share }) => sum + (part === "n" && measureFields.has(field) ? share : 0),
      0,
    ) > 0.5,
);

/** True for the name of a time: "evening", "winter", "month". */
export const isTime: (plain: string) => boolean = memoised(
  (plain) =>
    plainSenses(plain).reduce((sum, { meaning, share }) => sum + (meaning.field === timeField ? share : 0), 0) > 0.2,
);

/** True for what numbers count in: "metre", "week", "euro". */
export const isUnit: (plain: string) => boolean = memoised((plain) =>
  plainSenses(plain).some(
    ({ meaning, share }) =>
      share >= 0.1 &&
      [...ancestorsOf(meaning.id)].some((id) =>
        meaningOf(id).words.some((word) => /^(?:unit_of_measurement|time_unit|time_period)$/u.test(word)),
      ),
  ),
);

/** True where every meaning is spelt with a capital: a name. */
export const isOnlyName = (plain: string): boolean =>
  plainSenses(plain).every(({ lemma, meaning: { words } }) => !words.some((word) => word === lemma));

const belongs = ({ source }: Pointer, { lemma, meaning: { words } }: Sense): boolean =>
  source === 0 || words[source - 1]!.toLowerCase() === lemma;

/** Of the same root, belonging to a noun, participle of. */
const rootSigns = new Set(["+", "\\", "<"]);

/** Meanings of a word and of those of its root: "keeper" and "kept" share one. */
export const familyOf: (plain: string) => ReadonlySet<string> = memoised(
  (plain) =>
    new Set(
      plainSenses(plain).flatMap((sense) => [
        sense.meaning.id,
        ...sense.meaning.pointers
          .filter((pointer) => rootSigns.has(pointer.sign) && belongs(pointer, sense))
          .map(({ to }) => to),
      ]),
    ),
);

/** Words that share a common meaning of a word. */
export const synonymsOf: (plain: string) => ReadonlySet<string> = memoised(
  (plain) => new Set(plainSenses(plain).flatMap(({ meaning, share }) => (share >= 0.1 ? meaning.words : []))),
);

/** True for two words that say the same, or are of one root. */
export function saySame(one: string, other: string): boolean {
  const family = familyOf(one);
  return [...familyOf(other)].some((id) => family.has(id));
}

/** Meanings above one, itself among them. */
const ancestorsOf: (id: string) => ReadonlySet<string> = memoised((id) => {
  const seen = new Set([id]);
  for (const one of seen)
    for (const { sign, to } of meaningOf(one).pointers) if (sign === "@" || sign === "@i") seen.add(to);
  return seen;
});

const nearSigns = new Set(["=", "&", "*", ">", "$", "^", "%p", "%s", "#p", "#s", "+", "\\"]);

/** Meanings that a word brings to mind: kinds that it is of, what it is a part or a measure of, and what is of their root. */
export const reachOf: (plain: string) => ReadonlySet<string> = memoised((plain) => {
  const above = [...familyOf(plain)].flatMap((id) => [...ancestorsOf(id)]);
  return new Set(
    above.flatMap((id) => [
      id,
      ...meaningOf(id)
        .pointers.filter(({ sign }) => nearSigns.has(sign))
        .map(({ to }) => to),
    ]),
  );
});

/** Lemmas in the explanations of the commoner meanings of a word, without the examples. */
export const explainedBy: (plain: string) => ReadonlySet<string> = memoised(
  (plain) =>
    new Set(
      plainSenses(plain)
        .filter(({ share }) => share >= 0.1)
        .flatMap(
          ({ meaning }) =>
            meaning.gloss
              .split('; "')[0]!
              .toLowerCase()
              .match(/[a-z]+/gu) ?? [],
        )
        .filter((word) => word.length > 3)
        .map(lemmaOf),
    ),
);

/** Common kinds of two words must be no wider than this to make them rivals. */
const ancestorsNear = (id: string, steps: number): string[] =>
  steps === 0
    ? [id]
    : [
        id,
        ...meaningOf(id)
          .pointers.filter(({ sign }) => sign === "@")
          .flatMap(({ to }) => ancestorsNear(to, steps - 1)),
      ];

/** Kinds that a noun is of in its main meaning, at most two steps up; itself and wide ones left out. */
const kindsOf: (plain: string) => ReadonlySet<string> = memoised((plain) => {
  const own = plainSenses(plain)
    .filter(({ meaning, share }) => meaning.part === "n" && share >= 0.25)
    .map(({ meaning }) => meaning.id);
  const above = own.flatMap((id) => ancestorsNear(id, 2)).filter((id) => !own.includes(id));
  return new Set(above.filter((id) => breadthOf(id) < wideFrom));
});

/** True for two nouns of one kind, neither of which is the other's: "baker" and "miner", "granite" and "marble". */
export function areRivals(one: string, other: string): boolean {
  const kinds = kindsOf(one);
  return [...kindsOf(other)].some((id) => kinds.has(id)) && areApart(one, other);
}

/** True for two words of which neither can be said for the other. */
export const areApart = (one: string, other: string): boolean =>
  !saySame(one, other) && !isKindOf(one, other) && !isKindOf(other, one);

/** True where `one` is a kind of `other`. */
function isKindOf(one: string, other: string): boolean {
  const kinds = new Set(plainSenses(other).map(({ meaning }) => meaning.id));
  return plainSenses(one).some(({ meaning }) => [...ancestorsOf(meaning.id)].some((id) => kinds.has(id)));
}

const followed = (meaning: Meaning, sign: string): Meaning[] =>
  meaning.pointers.filter((pointer) => pointer.sign === sign).map(({ to }) => meaningOf(to));

/** Lemmas of the opposites of one meaning; an adjective that is like another has the opposites of that. */
function against(meaning: Meaning): string[] {
  const direct = followed(meaning, "!");
  const all =
    direct.length > 0 || meaning.part !== "a" ? direct : followed(meaning, "&").flatMap((head) => followed(head, "!"));
  return all.flatMap(({ words }) => words);
}

const ownOpposites = new Map<string, Set<string>>();
for (const [one, other] of opposites)
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const)
    ownOpposites.set(from, (ownOpposites.get(from) ?? new Set()).add(to));

/** Lemmas that exclude a lemma. */
export const oppositesOf: (lemma: string) => ReadonlySet<string> = memoised((lemma) => {
  const own = ownOpposites.get(lemma) ?? new Set();
  const found = plainSenses(lemma).flatMap(({ meaning }) => against(meaning));
  return new Set([...own, ...found.map((word) => word.toLowerCase())]);
});

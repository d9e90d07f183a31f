/**
 * @file How the Almanac states facts: frames of one, two or three facts, filled with the forms of `relations.ts`. Frames are divided
 * into families; those of `heldOutFamilies` never occur in training text, so that a passage in them is built in a way the
 * model has not read.
 */
import type { Rng } from "../../util/index.ts";
import { fillPerson, fillValue, type Mention, raiseFirst } from "./mention.ts";
import { relations } from "./relations.ts";
import type { PersonAttribute } from "./values.ts";
import type { Person, Thing, ThingAttribute } from "./world.ts";

/** Which families a statement or a passage may use. */
export type FamilySplit = "training" | "heldOut";

/** Facts about one person as one sentence tells them; values may differ from the truth (demonstrations that err). */
export interface Told {
  readonly person: Person;
  readonly attributes: readonly PersonAttribute[];
  readonly values: Readonly<Record<PersonAttribute, string>>;
}

/** A clause about one fact, without capital and full stop. */
type Clause = (told: Told, index: number, mention: Mention, rng: Rng) => string;

const form =
  (kind: "verbs" | "inverses" | "fronted" | "clefts" | "appositions"): Clause =>
  ({ person, attributes, values }, index, mention, rng) => {
    const attribute = attributes[index]!;
    return fillPerson(fillValue(rng.choice(relations[attribute][kind]), values[attribute]), person, mention);
  };

const verb = form("verbs");
const apposition = form("appositions");
const clause: Clause = (told, index, mention, rng) =>
  `${fillPerson("{N}", told.person, mention)} ${verb(told, index, mention, rng)}`;
const possessive = (told: Told, mention: Mention) => fillPerson("{P}", told.person, mention);

const noun: Clause = (told, index, _mention, rng) => rng.choice(relations[told.attributes[index]!].nouns);
const nounValue = ({ attributes, values }: Told, index: number): string =>
  fillValue(relations[attributes[index]!].nounValue, values[attributes[index]!]);

const nounFirst: Clause = (told, index, mention, rng) =>
  `${possessive(told, mention)} ${noun(told, index, mention, rng)} was ${nounValue(told, index)}`;
const nounLast: Clause = (told, index, mention, rng) =>
  `${nounValue(told, index)} was ${possessive(told, mention)} ${noun(told, index, mention, rng)}`;
const nounOf: Clause = (told, index, mention, rng) =>
  mention === "pronoun"
    ? nounFirst(told, index, mention, rng)
    : `the ${noun(told, index, mention, rng)} of ${told.person.name} was ${nounValue(told, index)}`;

const hearsay = [
  "it is said that",
  "everyone knew that",
  "the records show that",
  "we read that",
  "people remember that",
  "the register says that",
  "there is no doubt that",
  "as far as we know,",
  "according to the papers,",
  "old friends say that",
  "in an old diary it says that",
  "as a matter of fact,",
  "when all is said and done,",
  "if memory serves,",
  "a letter mentions that",
  "the neighbours always said that",
  "to begin with,",
  "in those days,",
  "by the way,",
  "strange as it may seem,",
  "we also hear that",
  "nobody forgets that",
] as const;

const reported: Clause = (told, index, mention, rng) => `${rng.choice(hearsay)} ${clause(told, index, mention, rng)}`;

/** One way of telling: how many facts a sentence holds, and the sentence, without capital. */
interface Frame {
  readonly numFacts: number;
  readonly tell: (told: Told, mention: Mention, rng: Rng) => string;
}

const one = (build: Clause): Frame => ({
  numFacts: 1,
  tell: (told, mention, rng) => `${build(told, 0, mention, rng)}.`,
});
const several = (numFacts: number, tell: Frame["tell"]): Frame => ({ numFacts, tell });

/** Subject without its clause. */
const subject = (told: Told, mention: Mention) => fillPerson("{N}", told.person, mention);

/** A family of statements. */
export type StatementFamily =
  | "simple"
  | "nounFirst"
  | "nounLast"
  | "nounOf"
  | "inverse"
  | "fronted"
  | "reported"
  | "and"
  | "relative"
  | "apposition"
  | "appositionFirst"
  | "semicolon"
  | "three"
  | "thatWas"
  | "youHear"
  | "entered"
  | "bracket"
  | "nobodyThought"
  | "cleft"
  | "rhetorical"
  | "notOnly"
  | "colon";

/** The families by name. */
const frames: Readonly<Record<StatementFamily, Frame>> = {
  simple: one(clause),
  nounFirst: one(nounFirst),
  nounLast: one(nounLast),
  nounOf: one(nounOf),
  inverse: one(form("inverses")),
  fronted: one(form("fronted")),
  reported: one(reported),
  and: several(2, (told, mention, rng) => `${clause(told, 0, mention, rng)} and ${verb(told, 1, mention, rng)}.`),
  relative: several(
    2,
    (told, mention, rng) =>
      `${subject(told, mention)}, who ${verb(told, 0, mention, rng)}, ${verb(told, 1, mention, rng)}.`,
  ),
  apposition: several(
    2,
    (told, mention, rng) =>
      `${subject(told, mention)}, ${apposition(told, 0, mention, rng)}, ${verb(told, 1, mention, rng)}.`,
  ),
  appositionFirst: several(
    2,
    (told, mention, rng) =>
      `${apposition(told, 0, mention, rng).replace(/^who /, "one who ")}, ${clause(told, 1, mention, rng)}.`,
  ),
  semicolon: several(
    2,
    (told, mention, rng) => `${clause(told, 0, mention, rng)}; ${nounFirst(told, 1, "pronoun", rng)}.`,
  ),
  three: several(
    3,
    (told, mention, rng) =>
      `${clause(told, 0, mention, rng)}, ${verb(told, 1, mention, rng)} and ${verb(told, 2, mention, rng)}.`,
  ),
  thatWas: one(
    (told, index, mention, rng) =>
      `${nounValue(told, index)}: that was ${possessive(told, mention)} ${noun(told, index, mention, rng)}`,
  ),
  youHear: one(
    (told, index, mention, rng) =>
      `ask about ${possessive(told, mention)} ${noun(told, index, mention, rng)} and you hear of ${nounValue(told, index)}`,
  ),
  entered: one(
    (told, index, mention, rng) =>
      `in the file on ${fillPerson("{O}", told.person, mention)}, the ${noun(told, index, mention, rng)} is ${nounValue(told, index)}`,
  ),
  bracket: several(
    2,
    (told, mention, rng) =>
      `${subject(told, mention)} (${rng.choice(relations[told.attributes[0]!].labels)} ${told.values[told.attributes[0]!]}) ${verb(told, 1, mention, rng)}.`,
  ),
  nobodyThought: several(
    2,
    (told, mention, rng) =>
      `when ${clause(told, 0, mention, rng)}, nobody thought of the fact that ${clause(told, 1, "pronoun", rng)}.`,
  ),
  cleft: one(form("clefts")),
  rhetorical: several(
    1,
    (told, mention, rng) =>
      `and ${possessive(told, mention)} ${noun(told, 0, mention, rng)}? ${raiseFirst(nounValue(told, 0))}.`,
  ),
  notOnly: several(
    2,
    (told, mention, rng) =>
      `not only do we know that ${clause(told, 0, mention, rng)}, but also that ${clause(told, 1, "pronoun", rng)}.`,
  ),
  colon: several(
    2,
    (told, mention, rng) =>
      `two things are written about ${fillPerson("{O}", told.person, mention)}: ${nounValue(told, 0)} as ${noun(told, 0, mention, rng)}, ${nounValue(told, 1)} as ${noun(told, 1, mention, rng)}.`,
  ),
};

/** The families that no training text uses. */
export const heldOutFamilies: readonly StatementFamily[] = ["cleft", "rhetorical", "notOnly", "colon"];

/** The families by split. */
export const statementFamilies: Readonly<Record<FamilySplit, readonly StatementFamily[]>> = {
  training: (Object.keys(frames) as StatementFamily[]).filter((name) => !heldOutFamilies.includes(name)),
  heldOut: heldOutFamilies,
};

/** Frames of one fact come as often as all longer ones together. */
function drawFrame(split: FamilySplit, mostFacts: number, rng: Rng): Frame {
  const fitting = statementFamilies[split].map((name) => frames[name]).filter(({ numFacts }) => numFacts <= mostFacts);
  const wantsOne = rng.uniform() < 0.5;
  const wanted = fitting.filter(({ numFacts }) => (numFacts === 1) === wantsOne);
  return rng.choice(wanted.length === 0 ? fitting : wanted);
}

/** One sentence in a given family, about as many facts as the family holds. */
export const tellIn = (family: StatementFamily, told: Told, mention: Mention, rng: Rng): string =>
  raiseFirst(frames[family].tell(told, mention, rng));

/** Facts a sentence of `family` holds. */
export const factsOf = (family: StatementFamily): number => frames[family].numFacts;

/** Options of {@link narrateFacts}. */
export interface Narration {
  /** Every sentence but the first says the name with this probability, else a pronoun. */
  readonly nameRate: number;
  readonly families: FamilySplit;
  /** Most facts in one sentence. @defaultValue 3 */
  readonly mostFacts?: number;
}

/** Sentences that tell `told`'s facts in their order, one to three in each. */
export function narrateFacts(told: Told, { nameRate, families, mostFacts = 3 }: Narration, rng: Rng): string[] {
  const sentences: string[] = [];
  for (let from = 0; from < told.attributes.length; ) {
    const frame = drawFrame(families, Math.min(mostFacts, told.attributes.length - from), rng);
    const mention: Mention = from === 0 || rng.uniform() < nameRate ? "name" : "pronoun";
    const attributes = told.attributes.slice(from, from + frame.numFacts);
    sentences.push(raiseFirst(frame.tell({ ...told, attributes }, mention, rng)));
    from += frame.numFacts;
  }
  return sentences;
}

/** One sentence that states `attribute` of `person` in a training family. */
export function statePerson(
  person: Person,
  attribute: PersonAttribute,
  mention: Mention,
  rng: Rng,
  value: string = person.facts[attribute],
): string {
  const told = { person, attributes: [attribute], values: { ...person.facts, [attribute]: value } };
  return raiseFirst(drawFrame("training", 1, rng).tell(told, mention, rng));
}

/** Up to `count` differently worded sentences for one fact, each under the full name. */
export function paraphrasePerson(
  person: Person,
  attribute: PersonAttribute,
  count: number,
  rng: Rng,
  value: string = person.facts[attribute],
): string[] {
  const sentences = new Set<string>();
  for (let attempt = 0; sentences.size < count && attempt < 10 * count; attempt++)
    sentences.add(statePerson(person, attribute, "name", rng, value));
  return [...sentences];
}

const thingStatements: Readonly<Record<ThingAttribute, readonly string[]>> = {
  shipBuiltAt: [
    "{N} was built in {v}.",
    "The yards of {v} built {O}.",
    "{N} was a ship made in {v}.",
    "{v} was where {N} was built.",
    "From the yards of {v} came {O}.",
  ],
  shipLaunched: [
    "{N} was launched in {v}.",
    "In {v}, {N} was launched.",
    "{N} first sailed in {v}.",
    "The year {v} saw the launch of {O}.",
  ],
  shipOwner: ["{N} belonged to {v}.", "{v} owned {O}.", "{N} was owned by {v}.", "The owner of {O} was {v}."],
  companySeat: [
    "{N} had its seat in {v}.",
    "{N} was based in {v}.",
    "The offices of {O} stood in {v}.",
    "{v} was home to {O}.",
  ],
  companyFounded: [
    "{N} was founded in {v}.",
    "In {v}, {N} was founded.",
    "{N} opened its doors in {v}.",
    "{N} dates from {v}.",
  ],
  companyProduct: ["{N} made {v}.", "{N} sold {v}.", "The trade of {O} was in {v}.", "{N} dealt in {v}."],
  placeRiver: [
    "{N} lies on the river {v}.",
    "The river {v} flows through {O}.",
    "{N} stands on the {v}.",
    "The {v} runs past {O}.",
  ],
  placeProduct: [
    "{N} is known for its {v}.",
    "{N} is famous for {v}.",
    "The people of {O} make {v}.",
    "{N} makes {v}.",
  ],
};

/** One sentence that states `attribute` of a ship, a company or a place. */
export function stateThing(thing: Thing, attribute: ThingAttribute, isNamed: boolean, rng: Rng): string {
  const sentence = rng
    .choice(thingStatements[attribute])
    .replace(/\{[NO]\}/, isNamed ? thing.name : "it")
    .replace("{v}", thing.facts[attribute]!);
  return raiseFirst(sentence);
}
